"""Results that cannot be written, and a stderr that nobody reads."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Server, Site

    Cli = Callable[..., subprocess.CompletedProcess[str]]
    Serve = Callable[..., Server]

SOON = 20.0
FULL = Path("/dev/full")
LOST = "cannot write to stdout: no space left on device\n"

needs_dev_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@needs_dev_full
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "argv",
    [
        ["check"], ["config"], ["routes", "--json"], ["--help"], ["--version"],
        ["serve", "--port=0"], ["request", "/hello"], ["request", "/big"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_output_that_is_lost_is_one_line_and_exit_1(
    cli: Cli, site: Site, argv: list[str], unbuffered: str
) -> None:
    source = """
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route
        from fps_lite.hooks import register_routes

        async def big(request):
            return PlainTextResponse("x" * 1_000_000)

        routes = register_routes([Route("/big", big)])
        """
    site.plugin("big", source)
    with FULL.open("w") as full:
        env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = cli(*argv, capture_output=False, stdout=full, stderr=subprocess.PIPE, env=env)
    assert (done.returncode, done.stderr) == (1, LOST)


@pytest.mark.parametrize("argv", [["check"], ["config"], ["routes"]])
def test_pipe_that_nobody_reads_is_left_quietly(cli: Cli, argv: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as nobody:
        done = cli(*argv, capture_output=False, stdout=nobody, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (1, "")


@contextmanager
def serving_with(work: Path, stdout: int, stderr: int, *argv: str) -> Iterator[httpx2.Client]:
    """Serve on a unix socket; stop the server at the end, which must be in order."""
    uds = work.parent / "s"
    words = [sys.executable, "-m", "fps_lite", "serve", f"--bind=unix:{uds}", *argv]
    with subprocess.Popen(words, cwd=work, stdout=stdout, stderr=stderr) as process:
        try:
            with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(uds))) as client:
                until = time.monotonic() + SOON
                while not uds.exists():
                    assert time.monotonic() < until
                    time.sleep(0.02)
                assert client.get("http://fps/hello", timeout=SOON).status_code == 200
                yield client
            process.send_signal(signal.SIGTERM)
            assert process.wait(SOON) == 0
        finally:
            if process.poll() is None:
                process.kill()


def test_server_goes_on_when_nobody_reads_where_it_serves(work: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    log = work.parent / "log"
    with log.open("w") as stderr, os.fdopen(writer, "w") as nobody:
        stdout = nobody.fileno()
        with serving_with(work, stdout, stderr.fileno(), "--log-format=console"):
            pass
    assert "cannot write to stdout: nobody reads it" in log.read_text()
    assert "Traceback" not in log.read_text()


def test_server_answers_and_stops_while_nobody_reads_its_log(work: Path) -> None:
    reader, writer = os.pipe()
    try:
        with serving_with(work, subprocess.DEVNULL, writer, "--log-format=console") as client:
            for _ in range(500):
                url = f"http://fps/{'x' * 200}"
                assert client.get(url, timeout=SOON).status_code == 404
            logged = os.read(reader, 1_000_000).decode()
            client.get("http://fps/last", timeout=SOON)
            while "GET /last 404" not in logged:  # a line follows its answer
                logged += os.read(reader, 1_000_000).decode()
        kept = logged.count(" info  fps_lite.access  GET /x")
        (warned,) = [line for line in logged.splitlines() if "log lines dropped" in line]
        assert warned.endswith(f"log lines dropped, as they could not be written: {500 - kept}")
    finally:
        os.close(reader)
        os.close(writer)


LEAKS = """
import sys, threading, warnings
from fps_lite import PluginConfig, Secret, hookimpl

class Config(PluginConfig, frozen=True, kw_only=True):
    token: Secret

class Leak:
    def __init__(self, text):
        self.text = text

    def __del__(self):
        raise ValueError("dying: " + self.text)

@hookimpl
def config():
    return Config

@hookimpl
async def lifespan(config):
    token = config.token.reveal()

    def fail():
        raise ValueError("thread: " + token)

    def leave():
        raise SystemExit

    warnings.warn("warning: " + token)
    for target in (fail, leave):
        thread = threading.Thread(target=target, name="worker")
        thread.start()
        thread.join()
    Leak(token)
    sys.excepthook(ValueError, ValueError("hook: " + token), None)
    yield
"""


def test_what_python_prints_is_logged_with_its_secrets_masked(cli: Cli, site: Site) -> None:
    site.plugin("leaks", LEAKS)
    done = cli("request", "/hello", "--leaks.token=s3sam3", "--fps.logging.format=console")
    assert done.returncode == 0
    assert "s3sam3" not in done.stderr
    for said in ("warning: ***", "thread: ***", "dying: ***", "hook: ***"):
        assert said in done.stderr
    heads = [line for line in done.stderr.splitlines() if not line.startswith(" ")]
    assert ["py.warnings" in heads[0]] + [
        " error fps_lite.python " in one for one in heads[1:]
    ] == [True] * 4


def test_running_out_of_files_is_one_line(site: Site, work: Path) -> None:
    site.module("uvloop", "raise ImportError")  # which closes connections without a word
    log = work.parent / "log"
    uds = work.parent / "s"
    script = (
        "import resource, sys\n"
        "from fps_lite.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))\n"
        f"main(['serve', '--bind=unix:{uds}', '--log-format=console'])\n"
    )
    with log.open("w") as stderr:
        words = [sys.executable, "-c", script]
        process = subprocess.Popen(words, cwd=work, stdout=stderr, stderr=stderr)
    clients: list[socket.socket] = []
    try:
        until = time.monotonic() + SOON
        while "serving on" not in log.read_text():
            assert time.monotonic() < until
            time.sleep(0.02)
        for _ in range(60):
            clients.append(socket.socket(socket.AF_UNIX))
            clients[-1].connect(str(uds))
        time.sleep(2.5)
        process.send_signal(signal.SIGTERM)
        for client in clients:
            client.close()
        assert process.wait(SOON) == 0
    finally:
        for client in clients:
            client.close()
        if process.poll() is None:
            process.kill()
            process.wait(SOON)
    said = log.read_text()
    assert said.count("cannot accept connections: too many open files") == 1
    assert "Traceback" not in said
    assert "Logging error" not in said
    assert len(said.splitlines()) < 5
