"""The command that is interrupted, at whatever moment: in order, in one line, or at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Server, Site

    Serve = Callable[..., Server]

SOON = 20.0
INTERRUPTED = "interrupted before it was ready\n"
NUMBERS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])

IMPORTS_SLOWLY = """
import pathlib, time
from fps_lite.hooks import register_routes

pathlib.Path("reached").touch()
time.sleep(60)
routes = register_routes([])
"""
STARTS_SLOWLY = """
import asyncio, pathlib
from fps_lite import hookimpl

@hookimpl
async def lifespan():
    # Said once it waits: a signal in the middle of its own code is that code's to answer.
    asyncio.get_running_loop().call_later(0.2, pathlib.Path("waiting").rename, "reached")
    pathlib.Path("waiting").touch()
    try:
        await asyncio.sleep(60)
        yield
    finally:
        pathlib.Path("left").touch()
"""
BLOCKS = """
import pathlib, time
from fps_lite import hookimpl

@hookimpl
async def lifespan():
    pathlib.Path("reached").touch()
    time.sleep(60)
    yield
"""
STOPS_SLOWLY = """
import asyncio, pathlib
from fps_lite import hookimpl

@hookimpl
async def lifespan():
    yield
    pathlib.Path("reached").touch()
    try:
        await asyncio.sleep(60)
    finally:
        pathlib.Path("left").touch()
"""
DEAF = """
import asyncio, pathlib
from fps_lite import hookimpl

@hookimpl
async def lifespan():
    yield
    pathlib.Path("reached").touch()
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
"""


@contextmanager
def started(work: Path, *argv: str) -> Iterator[subprocess.Popen[str]]:
    """Start the command and kill it at the end if it still runs."""
    words = [sys.executable, "-m", "fps_lite", *argv]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=work, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def until_reached(work: Path) -> None:
    deadline = time.monotonic() + SOON
    while not (work / "reached").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@NUMBERS
@pytest.mark.parametrize("argv", [["serve", "--port=0"], ["check"], ["--help"]])
@pytest.mark.parametrize("source", [IMPORTS_SLOWLY])
def test_interrupted_import_is_one_line_and_exit_1(
    site: Site, work: Path, number: int, argv: list[str], source: str
) -> None:
    groups = {"fps_lite.plugins": {"slow": "slow_plugin"}, "fps_lite.cli": {"slow": "slow_plugin"}}
    site.install("slow", groups, {"slow_plugin": source})
    with started(work, *argv) as process:
        until_reached(work)
        process.send_signal(number)
        assert process.communicate(timeout=SOON) == ("", INTERRUPTED)
        assert process.returncode == 1


@NUMBERS
@pytest.mark.parametrize("argv", [["serve", "--port=0"], ["request", "/hello"]])
def test_interrupted_start_is_stopped_in_order_and_exit_1(
    site: Site, work: Path, number: int, argv: list[str]
) -> None:
    site.plugin("slow", STARTS_SLOWLY)
    with started(work, *argv) as process:
        until_reached(work)
        process.send_signal(number)
        assert process.communicate(timeout=SOON) == ("", INTERRUPTED)
        assert process.returncode == 1
    assert (work / "left").exists()


@NUMBERS
def test_interrupted_import_of_the_command_itself_is_no_traceback(work: Path, number: int) -> None:
    code = (
        "import os, sys\n"
        "class Slow:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == 'click': os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Slow())\n"
        "from fps_lite.cli import main\n"
        "main(['check'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=work, capture_output=True, timeout=SOON, check=False
    )
    assert (done.returncode, done.stderr.decode()) == (1, INTERRUPTED)


@pytest.mark.parametrize("plain", [False, True], ids=["uvloop", "asyncio"])
def test_third_signal_ends_a_process_whose_loop_is_blocked(
    site: Site,
    work: Path,
    plain: bool,  # noqa: FBT001
) -> None:
    site.plugin("blocks", BLOCKS)
    if plain:
        site.module("uvloop", "raise ImportError")
    with started(work, "serve", "--port=0") as process:
        until_reached(work)
        for _ in range(3):
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        assert process.wait(SOON) == 1


def test_second_signal_cuts_short_a_plugin_that_stops(site: Site, work: Path, serve: Serve) -> None:
    site.plugin("slow", STOPS_SLOWLY)
    server = serve("--fps.shutdown_timeout=300", "--log-format=console")
    server.process.send_signal(signal.SIGINT)
    until_reached(work)
    assert server.stop(signal.SIGINT) == 1
    assert (work / "left").exists()
    said = "\n".join(server.lines)
    assert said.count('plugin "slow" was cut short while it stopped') == 1
    assert server.lines[-1] == "stopped with 1 error, logged above"


def test_third_signal_ends_a_stop_at_once(site: Site, work: Path, serve: Serve) -> None:
    site.plugin("deaf", DEAF)
    server = serve("--fps.shutdown_timeout=300")
    server.process.send_signal(signal.SIGTERM)
    until_reached(work)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    assert server.stop() == 1


def test_plugin_that_will_not_end_is_named_once_and_nothing_else_is_said(
    site: Site, work: Path, serve: Serve
) -> None:
    site.plugin("deaf", DEAF)
    server = serve("--fps.shutdown_timeout=0.2", "--log-format=console")
    assert server.stop() == 1
    until_reached(work)
    logged, last = server.lines[-2:]
    assert logged.endswith(
        'plugin "deaf" did not stop within 0.2 s, ignores its cancellation and is left running'
    )
    assert last == "stopped with 1 error, logged above"
    assert len(server.lines) == 3


def test_request_waits_no_longer_than_serve_for_a_plugin_that_will_not_end(
    site: Site, work: Path
) -> None:
    site.plugin("deaf", DEAF)
    argv = ["request", "/hello", "--fps.shutdown_timeout=0.2", "--fps.logging.format=console"]
    with started(work, *argv) as process:
        said, logged = process.communicate(timeout=SOON)
    assert (process.returncode, said) == (1, "hello world 0")
    line, last = logged.splitlines()
    assert line.endswith("ignores its cancellation and is left running")
    assert last == "stopped with 1 error, logged above"


def test_start_that_blocks_beyond_its_limit_is_warned_of(site: Site, serve: Serve) -> None:
    site.plugin("blocks", BLOCKS.replace("60", "0.5"))
    server = serve("--fps.startup_timeout=0.2", "--log-format=console")
    assert server.stop() == 0
    (line,) = [line for line in server.lines if "warning" in line]
    assert 'plugin "blocks" took 0.5' in line
    assert line.endswith(" s to start, over its 0.2 s, and blocked the event loop")


CRASHES = """
import asyncio, anyio
from contextlib import asynccontextmanager
from fps_lite import hookimpl

async def fail():
    await asyncio.sleep(0.1)
    raise AssertionError

@hookimpl
@asynccontextmanager
async def lifespan():
    async with anyio.create_task_group() as group:
        group.start_soon(fail)
        yield
"""


def test_crash_is_said_once_with_its_place(site: Site, serve: Serve) -> None:
    site.plugin("crashes", CRASHES)
    server = serve("--log-format=console")
    assert server.process.wait(SOON) == 1
    until = time.monotonic() + SOON
    while server.lines[-1] != "stopped with 1 error, logged above":
        assert time.monotonic() < until, server.lines
        time.sleep(0.01)
    (line,) = [line for line in server.lines if "crashed" in line]
    assert 'plugin "crashes" crashed: AssertionError (' in line
    assert line.endswith("crashes_plugin.py:8)")


def test_errors_that_the_log_does_not_show_are_said_at_the_end(site: Site, serve: Serve) -> None:
    site.plugin("crashes", CRASHES)
    server = serve("--log-level=critical")
    assert server.process.wait(SOON) == 1
    until = time.monotonic() + SOON
    while 'plugin "crashes" crashed' not in server.lines[-1]:
        assert time.monotonic() < until, server.lines
        time.sleep(0.01)


def test_signal_while_serving_is_fine_with_either_loop(site: Site, serve: Serve) -> None:
    site.module("uvloop", "raise ImportError")
    server = serve()
    time.sleep(0.3)  # the loop sleeps in its selector
    assert server.stop(signal.SIGTERM) == 0
