"""A server as a process: started on a free port, waited for, its CPU time read, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .pairs import Absent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

START_LIMIT = 60.0  # seconds
STOP_LIMIT = 10.0
POLL = 0.001
GET = "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Server:
    """A server that answers; its processes are those of one session."""

    port: int
    process: subprocess.Popen[bytes]
    started: float  # seconds from its start to its first answer

    def cpu_ns(self) -> int:
        """Return the nanoseconds that all threads of its processes have run."""
        return sum(
            int(_text(task / "schedstat").split()[0] or 0)
            for pid in self._pids()
            for task in _entries(Path(f"/proc/{pid}/task"))
            if _text(task / "schedstat")
        )

    def memory(self) -> int:
        """Return the bytes of memory that its processes have; shared pages count in each."""
        page = os.sysconf("SC_PAGE_SIZE")
        found = (_text(Path(f"/proc/{pid}/statm")).split() for pid in self._pids())
        return sum(int(one[1]) * page for one in found if one)

    def _pids(self) -> list[int]:
        pids = [int(entry.name) for entry in _entries(Path("/proc")) if entry.name.isdigit()]
        return [pid for pid in pids if _session(pid) == self.process.pid]


def _entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:  # it ended meanwhile
        return []


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except OSError:
        return ""


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def serving(
    command: Sequence[str],
    *,
    path: str = "/bench",
    directory: Path | None = None,
    environ: Mapping[str, str] | None = None,
    cpu: int | None = None,
) -> Iterator[Server]:
    """Run a server command, `{port}` in it a free port, until it answers; end it afterwards.

    Raises `Absent` if it ends by itself, or does not answer in time.
    """
    port = free_port()
    argv = [one.replace("{port}", str(port)) for one in command]
    with tempfile.TemporaryFile() as log:
        before = time.perf_counter()
        try:
            process = subprocess.Popen(
                argv,
                cwd=directory,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        except OSError as error:
            raise Absent(str(error)) from error
        try:
            if cpu is not None:
                os.sched_setaffinity(process.pid, {cpu})
            while not answers(port, path):
                if process.poll() is not None or time.perf_counter() - before > START_LIMIT:
                    log.seek(0)
                    words = log.read().decode(errors="replace").strip().splitlines()
                    raise Absent(words[-1] if words else "it does not answer, and says nothing")
                time.sleep(POLL)
            yield Server(port, process, time.perf_counter() - before)
        finally:
            end(process)


def answers(port: int, path: str) -> bool:
    """Return whether a request is answered with 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=START_LIMIT) as connection:
            connection.sendall(GET.format(path=path, port=port).encode())
            return connection.recv(64).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server, politely first, and whatever it has started."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_LIMIT)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
