"""A root path is right under every server, whether its proxy strips it or not."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias

import httpx2
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Server, Site

Serve: TypeAlias = "Callable[..., Server]"

APP = """
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def page(request):
    keys = ("path", "root_path", "raw_path")
    seen = {key: request.scope[key] for key in keys}
    seen["raw_path"] = seen["raw_path"].decode()
    return JSONResponse({**seen, "url": request.url_for("page", name="n").path})

app = Starlette(routes=[Route("/", page), Route("/{name}", page, name="page")])
"""
MOUNTS = """
[fps]
root_path = "/root/er"

[[fps.mounts]]
path = "/x"
app = "shown:app"

[[fps.mounts]]
path = "/stripped"
app = "shown:app"
strip_prefix = true
"""
COMMANDS = {
    "uvicorn": "uvicorn fps_lite.main:app --port {port} --root-path /root/er",
    "granian": "granian fps_lite.main:app --interface asgi --port {port} "
    "--url-path-prefix /root/er",
    "hypercorn": "hypercorn fps_lite.main:app --bind 127.0.0.1:{port} --root-path /root/er",
}


@pytest.fixture(params=["fps-lite", *COMMANDS])
def url(request: pytest.FixtureRequest, site: Site, work: Path, serve: Serve) -> Iterator[str]:
    site.module("shown", APP)
    (work / "fps.toml").write_text(MOUNTS)
    if request.param == "fps-lite":
        yield serve().url
        return
    with running(COMMANDS[request.param]) as url:
        yield url


@contextmanager
def running(command: str) -> Iterator[str]:
    """Run another server as a process; yield its URL when it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = command.format(port=port).split()
    process = subprocess.Popen([sys.executable, "-m", *words], stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def test_root_path_is_right_whether_the_proxy_strips_it_or_not(url: str) -> None:
    with httpx2.Client(base_url=url, timeout=20) as client:
        for sent in ("", "/root/er"):
            whole = {"root_path": "/root/er/x", "url": "/root/er/x/n"}
            path, raw = "/root/er/x/m m", "/root/er/x/m%20m"
            seen = client.get(f"{sent}/x/m%20m").json()
            assert seen == {**whole, "path": path, "raw_path": raw}
            seen = client.get(f"{sent}/x").json()
            assert seen == {**whole, "path": "/root/er/x/", "raw_path": "/root/er/x/"}
            seen = client.get(f"{sent}/stripped/m%20m").json()
            assert (seen["path"], seen["raw_path"]) == ("/m m", "/m%20m")
            moved = client.get(f"{sent}/x?a=1", headers={"accept": "text/html"})
            assert moved.headers["location"] == "/root/er/x/?a=1"
            assert client.get(f"{sent}/nowhere").status_code == 404


@pytest.mark.usefixtures("work")
def test_server_that_runs_no_lifespan_is_told_what_to_do() -> None:
    with running("uvicorn fps_lite.main:app --port {port} --lifespan off") as url:
        answer = httpx2.get(url, timeout=20)
    assert answer.status_code == 503
    assert "a server must run the app's (uvicorn: --lifespan on)" in answer.text


def test_app_named_on_the_command_line_is_the_root_mount(site: Site, serve: Serve) -> None:
    site.module("shown", APP)
    server = serve("shown:app")
    with httpx2.Client(base_url=server.url, timeout=20) as client:
        assert client.get("/n").json()["path"] == "/n"
        assert client.get("/").json()["url"] == "/n"
    assert server.stop() == 0


LEAVES_A_THREAD = """
import os, threading, time
from contextlib import asynccontextmanager
from starlette.applications import Starlette

def work():
    time.sleep(600)

@asynccontextmanager
async def lifespan(app):
    threading.Thread(target=work, name="never-ends").start()
    yield
    {end}

app = Starlette(lifespan=lifespan)
"""


@pytest.mark.parametrize(
    "end, said",
    [
        ("pass", r"threads that did not end: never-ends \(.*leaver\.py:7\)"),
        ("os._exit(0)", ""),
    ],
)
def test_foreign_app_cannot_keep_the_command_from_ending(
    site: Site, serve: Serve, end: str, said: str
) -> None:
    site.module("leaver", LEAVES_A_THREAD.replace("{end}", end))
    server = serve("leaver:app", "--fps.shutdown_timeout=5")
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 15
    time.sleep(0.1)
    assert re.search(said, "\n".join(server.lines))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_foreign_app_cannot_take_the_signals_for_itself(
    site: Site, serve: Serve, number: int
) -> None:
    site.module("taker", TAKES_SIGNALS)
    assert serve("taker:app").stop(number) == 0


TAKES_SIGNALS = """
import asyncio, signal
from contextlib import asynccontextmanager
from starlette.applications import Starlette

@asynccontextmanager
async def lifespan(app):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, print)
    yield

app = Starlette(lifespan=lifespan)
"""


RUDE = """
import asyncio, atexit, concurrent.futures, multiprocessing, os, sys, time
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

CHILDREN = []

async def fork(request):
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    child.start()
    CHILDREN.append(child)
    return PlainTextResponse(str(child.pid))

async def terminate(request):
    for child in CHILDREN:
        child.terminate()
        await asyncio.to_thread(child.join, 20)
    return PlainTextResponse(str([child.exitcode for child in CHILDREN]))

async def pool(request):
    context = multiprocessing.get_context("fork")
    executor = concurrent.futures.ProcessPoolExecutor(1, mp_context=context)
    CHILDREN.append(executor)
    executor.submit(time.sleep, 600)
    await asyncio.sleep(0.2)
    return PlainTextResponse("")

async def wait_at_exit(request):
    def wait():
        time.sleep(600)
    atexit.register(wait)
    return PlainTextResponse("")

async def sleep_at_exit(request):
    atexit.register(time.sleep, 600)
    return PlainTextResponse("")

async def stop_loop(request):
    asyncio.get_running_loop().call_soon(asyncio.get_running_loop().stop)
    return PlainTextResponse("")

async def cancel_all(request):
    for task in asyncio.all_tasks():
        task.cancel()
    return PlainTextResponse("")

async def exit_in_a_task(request):
    async def job():
        sys.exit(3)
    asyncio.create_task(job())
    return PlainTextResponse("")

async def exit_in_the_loop(request):
    asyncio.get_running_loop().call_soon(sys.exit, "enough")
    return PlainTextResponse("")

async def interrupt(request):
    raise KeyboardInterrupt

async def sleep(request):
    time.sleep(600)

async def sleep_deaf(request):
    while True:
        try:
            time.sleep(600)
        except Exception:
            pass

pages = (fork, terminate, pool, wait_at_exit, sleep_at_exit, stop_loop, cancel_all, exit_in_a_task,
         exit_in_the_loop, interrupt, sleep, sleep_deaf)
app = Starlette(routes=[Route("/" + page.__name__, page) for page in pages])
"""


@pytest.fixture
def rude(site: Site, serve: Serve) -> Server:
    site.module("rude", RUDE)
    return serve("rude:app")


def test_child_that_an_app_forks_has_neither_our_signals_nor_our_port(rude: Server) -> None:
    assert int(httpx2.get(f"{rude.url}/fork").text) > 0
    assert httpx2.get(f"{rude.url}/terminate", timeout=30).text == "[-15]"
    assert httpx2.get(f"{rude.url}/nowhere").status_code == 404
    child = int(httpx2.get(f"{rude.url}/fork").text)
    rude.process.kill()
    rude.process.wait(20)
    port = int(rude.url.rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 20)
    os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(
    "page, said",
    [
        pytest.param(
            "fork",
            r"child processes that did not end: ForkProcess-1 \(\d+\)",
            marks=pytest.mark.slow,
        ),
        ("pool", r"child processes that did not end: ForkProcess-1 \(\d+\)"),
        pytest.param(
            "sleep_at_exit", r"an exit handler did not end within 5 s$", marks=pytest.mark.slow
        ),
        ("wait_at_exit", r"an exit handler did not end within 5 s \(.*rude\.py:\d+\)$"),
    ],
)
def test_what_keeps_the_process_from_ending_is_named_and_left(
    rude: Server, page: str, said: str
) -> None:
    assert httpx2.get(f"{rude.url}/{page}").status_code == 200
    assert rude.stop() == 0
    time.sleep(0.1)
    assert re.search(said, "\n".join(rude.lines), re.MULTILINE)


@pytest.mark.parametrize(
    "page, said",
    [
        ("stop_loop", "the event loop was stopped by code that runs in it"),
        ("cancel_all", "was cancelled"),
    ],
)
def test_app_that_ends_the_event_loop_ends_the_server_with_one_line(
    rude: Server, page: str, said: str
) -> None:
    with suppress(httpx2.HTTPError):  # the answer may be lost with the loop
        httpx2.get(f"{rude.url}/{page}")
    assert rude.process.wait(20) == 1
    time.sleep(0.1)
    assert said in "\n".join(rude.lines)
    assert "Traceback" not in "\n".join(rude.lines)


@pytest.fixture(params=["uvloop", "asyncio"])
def each_loop(request: pytest.FixtureRequest, site: Site) -> None:
    if request.param == "asyncio":
        site.module("uvloop", "raise ImportError")


@pytest.mark.usefixtures("each_loop")
def test_app_that_exits_the_process_ends_no_more_than_what_did_it(site: Site, serve: Serve) -> None:
    site.module("rude", RUDE)
    server = serve("rude:app")
    assert httpx2.get(f"{server.url}/interrupt").status_code == 500
    assert httpx2.get(f"{server.url}/exit_in_a_task").status_code == 200
    assert httpx2.get(f"{server.url}/exit_in_the_loop").status_code == 200
    assert httpx2.get(f"{server.url}/nowhere").status_code == 404
    assert server.stop() == 0
    time.sleep(0.1)
    (task, loop) = [line for line in server.lines if "the server goes on" in line]
    assert re.search(r"rude\.py:\d+ called sys\.exit: the server goes on", task)
    assert "called sys.exit: the server goes on" in loop
    assert "never retrieved" not in "\n".join(server.lines)


BLOCKING = """
import threading, time
from contextlib import asynccontextmanager
from pathlib import Path
from starlette.applications import Starlette

@asynccontextmanager
async def joins(app):
    thread = threading.Thread(target=time.sleep, args=(600,), name="never-ends", daemon=True)
    thread.start()
    yield
    thread.join()

@asynccontextmanager
async def leaves_in_order(app):
    yield
    Path("left").touch()

joiner = Starlette(lifespan=joins)
other = Starlette(lifespan=leaves_in_order)
"""
BLOCKING_MOUNTS = """
[fps]
shutdown_timeout = 0.5

[[fps.mounts]]
path = "/joiner"
app = "blocking:joiner"

[[fps.mounts]]
path = "/other"
app = "blocking:other"
"""


def test_app_that_blocks_the_loop_in_its_end_is_interrupted_and_the_others_end_in_order(
    site: Site, work: Path, serve: Serve
) -> None:
    site.module("blocking", BLOCKING)
    (work / "fps.toml").write_text(BLOCKING_MOUNTS)
    server = serve()
    assert server.stop() == 1
    time.sleep(0.1)
    said = "\n".join(server.lines)
    assert re.search(r"blocking\.py:12 blocks the event loop: it is interrupted", said)
    assert "the app mounted at /joiner (fps.toml:7:7) did not stop: BlockedError" in said
    assert "/other" not in said
    assert (work / "left").exists()


@pytest.mark.usefixtures("each_loop")
@pytest.mark.parametrize(
    "page, said, code",
    [
        ("sleep", "blocks the event loop: it is interrupted", 0),
        ("sleep_deaf", "blocks the event loop and goes on: the process ends here", 1),
    ],
)
def test_handler_that_blocks_the_loop_keeps_no_server_from_ending(
    site: Site, serve: Serve, page: str, said: str, code: int
) -> None:
    site.module("rude", RUDE)
    server = serve("rude:app", "--fps.drain_timeout=0.5")
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.get(f"{server.url}/{page}", timeout=1)
    assert server.stop() == code
    time.sleep(0.1)
    assert re.search(rf"rude\.py:\d+ {said}", "\n".join(server.lines))


def test_second_signal_ends_a_blocked_loop_at_once(rude: Server) -> None:
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.get(f"{rude.url}/sleep_deaf", timeout=1)
    began = time.monotonic()
    rude.process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    assert rude.stop() == 1
    assert time.monotonic() - began < 8  # and not the ten seconds of the drain


@pytest.mark.parametrize("pause", [0.0005, 0.003])
def test_signals_until_the_last_moment_never_end_the_process_by_themselves(
    rude: Server, pause: float
) -> None:
    while rude.process.poll() is None:
        rude.process.send_signal(signal.SIGTERM)
        time.sleep(pause)
    assert rude.process.returncode in (0, 1)


def test_app_that_hangs_in_its_end_is_named_and_left(site: Site, serve: Serve) -> None:
    site.module("hanger", HANGS)
    server = serve("hanger:app", "--fps.shutdown_timeout=0.5")
    assert server.stop() == 1
    time.sleep(0.1)
    said = "\n".join(server.lines)
    assert re.search("the app mounted at / did not stop within 0.5 s", said)
    assert "Traceback" not in said


HANGS = """
import asyncio
from contextlib import asynccontextmanager
from starlette.applications import Starlette

@asynccontextmanager
async def lifespan(app):
    yield
    await asyncio.Event().wait()

app = Starlette(lifespan=lifespan)
"""
