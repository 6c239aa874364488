"""The servers that are compared, and one of them as it runs."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.environments import HERE, worker_environ
from benchmarks.pairs import Absent
from benchmarks.processes import START_LIMIT, end, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEADLINE = 3
"""Seconds that each server gives what is in flight when it stops."""
SETTLE = 2.0
"""Seconds until all workers serve, when the first one does."""
APP = HERE / "apps" / "faults.py"
TOML = '[[fps.mounts]]\npath = ""\napp = "shown:app"\n'
READY = re.compile(r"^serving on ", re.MULTILINE)
RELOADED = re.compile(r"reload: generation \d+ serves")
REFUSED = re.compile(r"reload: refused: .*")


@dataclass(frozen=True)
class Subject:
    """A server; `{port}`, `{deadline}` and, with TLS, `{cert}` and `{key}` are filled in."""

    name: str
    argv: tuple[str, ...]
    tls: tuple[str, ...] = ()
    """Options for HTTP/2 over TLS; none: it does not speak it."""

    @property
    def is_ours(self) -> bool:
        """Whether the promises are its."""
        return self.name == "fps-lite"


OURS = Subject(
    "fps-lite",
    ("-m", "fps_lite", "serve", "--port={port}", "--workers=2", "--fps.drain_timeout={deadline}"),
    ("--fps.hypercorn.certfile={cert}", "--fps.hypercorn.keyfile={key}"),
)
PEERS = (
    Subject(
        "hypercorn",
        (
            *("-m", "hypercorn", "--bind=127.0.0.1:{port}", "--workers=2"),
            *("--graceful-timeout={deadline}", "shown:app"),
        ),
        ("--certfile={cert}", "--keyfile={key}"),
    ),
    Subject(
        "uvicorn",
        (
            *("-m", "uvicorn", "--port={port}", "--workers=2", "--log-level=warning"),
            *("--timeout-graceful-shutdown={deadline}", "shown:app"),
        ),
    ),
    Subject(
        "granian",
        (
            *("-m", "granian", "--interface=asgi", "--port={port}", "--workers=2"),
            *("--workers-kill-timeout={deadline}", "--respawn-failed-workers", "shown:app"),
        ),
        ("--ssl-certificate={cert}", "--ssl-keyfile={key}"),
    ),
    Subject(
        "gunicorn",
        (
            *("-m", "gunicorn", "--bind=127.0.0.1:{port}", "--workers=2"),
            *("--worker-class=asgi", "--graceful-timeout={deadline}", "shown:app"),
        ),
        ("--certfile={cert}", "--keyfile={key}", "--http-protocols=h2,h1"),
    ),
)


@dataclass(frozen=True)
class Certificate:
    """Files of a certificate for 127.0.0.1."""

    cert: Path
    key: Path


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    subject: Subject
    port: int
    process: subprocess.Popen[bytes]
    directory: Path

    def log(self) -> str:
        """Return all that it wrote, without where its files happen to be."""
        text = (self.directory / "log").read_text(encoding="utf-8", errors="replace")
        return text.replace(f"{self.directory}/", "")

    def lines(self, said: re.Pattern[str]) -> list[str]:
        """Return what it wrote that looks like this."""
        return said.findall(self.log())

    @property
    def lives(self) -> bool:
        """Whether its first process does."""
        return self.process.poll() is None

    def write(self, name: str, text: str) -> None:
        """Write one of its files, so that Python reads it again."""
        (self.directory / name).write_text(text, encoding="utf-8")

    def reload(self) -> None:
        """Change a source, and tell it to reload."""
        os.utime(self.directory / "shown.py")
        self.hang_up()

    def hang_up(self) -> None:
        """Tell it to reload."""
        if self.lives:
            self.process.send_signal(signal.SIGHUP)

    def workers(self) -> set[int]:
        """Return its first process's children, but for Python's own helpers."""
        return {pid for pid in children(self.process.pid) if "_tracker" not in command_of(pid)}


def children(pid: int) -> set[int]:
    """Return the processes that a process has started."""
    found: set[int] = set()
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found.update(map(int, file.read_text().split()))
    return found


def command_of(pid: int) -> str:
    """Return its command line."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


@contextlib.contextmanager
def running(
    subject: Subject,
    python: Path,
    *,
    options: Sequence[str] = (),
    certificate: Certificate | None = None,
) -> Iterator[Running]:
    """Run a server until the body ends; raises `Absent` if it does not answer."""
    tls = subject.tls if certificate else ()
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        shutil.copy(APP, directory / "shown.py")
        (directory / "fps.toml").write_text(TOML, encoding="utf-8")
        port = free_port()
        filled = {
            "port": port,
            "deadline": DEADLINE,
            "cert": certificate and certificate.cert,
            "key": certificate and certificate.key,
        }
        argv = [one.format(**filled) for one in (*subject.argv, *tls, *options)]
        environ = {**worker_environ(), "HOME": made, "XDG_RUNTIME_DIR": made}
        environ["PYTHONPATH"] += os.pathsep + made
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
                [str(python), *argv],
                cwd=directory,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        server = Running(subject, port, process, directory)
        try:
            _wait(server, secure=bool(tls))
            yield server
        finally:
            end(process)


def _wait(server: Running, *, secure: bool) -> None:
    deadline = time.monotonic() + START_LIMIT
    while not answers(server.port, secure=secure) or len(server.workers()) < 2:
        if not server.lives or time.monotonic() > deadline:
            words = server.log().strip().splitlines()
            raise Absent(words[-1] if words else "it does not answer, and says nothing")
        time.sleep(0.05)
    while server.subject.is_ours and not server.lines(READY) and time.monotonic() < deadline:
        time.sleep(0.05)
    if not server.subject.is_ours:
        time.sleep(SETTLE)  # one worker answers; that the others do as well, not all say


def answers(port: int, *, secure: bool = False, limit: float = 2.0) -> bool:
    """Return whether a request is answered with 200."""
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    url = f"http{'s' if secure else ''}://127.0.0.1:{port}/pid"
    try:
        with urllib.request.urlopen(
            url, timeout=limit, context=anyone if secure else None
        ) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def own_python() -> Path:
    """Return the interpreter of ours: the one that runs this."""
    return Path(sys.executable)
