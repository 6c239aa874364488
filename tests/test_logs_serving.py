"""The log of real servers: its fields, its file, its workers."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import stat
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from fps_lite.supervisor import Link
from fps_lite.supervisor.messages import Drain, Go, Order, Reopen, line_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Server, Site

    Serve = Callable[..., Server]

LIMIT = 20.0
PLUGIN = """
import logging, os, signal, threading
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from fps_lite import hookimpl, mount

OTHER = logging.getLogger("somebody.else")

async def hello(request):
    OTHER.info("in a handler")
    return PlainTextResponse(str(os.getpid()))

def in_thread(request):
    OTHER.info("in a thread")
    return PlainTextResponse("")

async def fail(request):
    raise ValueError("wrong")

def wsgi(environ, start_response):
    OTHER.info("in a wsgi app")
    start_response("200 OK", [])
    return [b""]

async def bare(scope, receive, send):
    if scope["type"] == "http":
        OTHER.info("in an app")
        await PlainTextResponse("")(scope, receive, send)

@hookimpl
def routes(context):
    OTHER.info("in a hook")
    hi = Route("/{name}", hello)
    return [
        hi,
        Route("/x/thread", in_thread),
        Route("/x/fail", fail),
        Mount("/in/{user}", routes=[Mount("/deep", routes=[Route("/{name}", hello)])]),
        Mount("/one", routes=[hi]),
        Mount("/app", app=Starlette(routes=[Route("/a/{name}", hello)])),
        mount("/foreign", factory=lambda: Starlette(routes=[Route("/a/{name}", hello)])),
        mount("/bare", bare, strip_prefix=True),
        mount("/wsgi", wsgi, wsgi=True),
    ]

@hookimpl
async def lifespan(context):
    context.logger.info("started")
    yield
    OTHER.info("in a lifespan")
"""


def records(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines if line.startswith("{")]


def wait_for(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + LIMIT
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def ask(server: Server, path: str, **headers: str) -> http.client.HTTPResponse:
    """Ask on a connection of its own."""
    host = urlsplit(server.url)
    connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=LIMIT)
    connection.request("GET", path, headers={**headers, "Connection": "close"})
    response = connection.getresponse()
    response.body = response.read()  # type: ignore[attr-defined]
    connection.close()
    return response


@pytest.fixture
def start(site: Site, serve: Serve) -> Callable[..., Server]:
    site.plugin("hi", PLUGIN)

    def run(*argv: str, **options: Any) -> Server:
        words = ["--fps.enabled_plugins", "hi", "--log-format", "json", *argv]
        return serve(*words, **{"workers": None, **options})

    return run


ANSWERED = {
    "/bob": ("/{name}", "in a handler"),
    "/x/thread": ("/x/thread", "in a thread"),
    "/x/fail": ("/x/fail", "Error in ASGI Framework"),
    "/in/ann/deep/bob": ("/in/{user}/deep/{name}", "in a handler"),
    "/one/bob": ("/one/{name}", "in a handler"),
    "/app/a/bob": ("/app/a/{name}", "in a handler"),
    "/foreign/a/bob": ("/foreign/a/{name}", "in a handler"),
    "/bare/bob": ("/bare", "in an app"),
    "/wsgi/bob": ("/wsgi", "in a wsgi app"),
}
"""Path to the route that answers, and what is logged meanwhile."""


@pytest.mark.parametrize(
    "options", [("--workers", "2"), ("--workers", "0", "--root-path", "/root")], ids="20"
)
def test_what_a_request_logs_has_its_id_its_plugin_and_its_worker(
    options: tuple[str, ...], start: Callable[..., Server]
) -> None:
    server = start(*options)
    for number, path in enumerate(ANSWERED):
        ask(server, path, **{"X-Request-ID": f"id-{number}"})
    ask(server, "/no/such/path")
    assert server.stop() == 0
    found = records(server.lines)
    workers = {1, 2} if options[1] == "2" else {None}
    assert {one.get("worker") for one in found} == workers
    for number, (path, (route, logged)) in enumerate(ANSWERED.items()):
        of_it = [one for one in found if one.get("request") == f"id-{number}"]
        assert {one["plugin"] for one in of_it} == {"hi"}
        assert logged in [one["message"] for one in of_it]
        (access,) = [one for one in of_it if one["logger"] == "fps_lite.access"]
        assert (access["path"], access["route"]) == (path, route)
        assert access["status"] == (500 if path == "/x/fail" else 200)
        assert access.keys() >= {"method", "bytes", "ms", "client"}
    (missed,) = [one for one in found if one.get("path") == "/no/such/path"]
    assert missed.keys().isdisjoint({"plugin", "route"})
    assert re.fullmatch("[0-9a-f]{12}", missed["request"])


def test_hooks_lifespans_and_loggers_of_a_plugin_have_its_name(
    start: Callable[..., Server],
) -> None:
    server = start()
    assert server.stop() == 0
    found = {one["message"]: one for one in records(server.lines)}
    for message in ("in a hook", "started", "in a lifespan"):
        assert (found[message]["plugin"], found[message]["worker"]) == ("hi", 1)
        assert "request" not in found[message]


def test_answer_has_the_id_of_its_request_only_if_that_is_set(
    start: Callable[..., Server],
) -> None:
    server = start("--fps.logging.request_id_header", "--fps.logging.access=no")
    assert ask(server, "/bob", **{"X-Request-ID": "a.b-c_1"}).headers["x-request-id"] == "a.b-c_1"
    made = ask(server, "/bob", **{"X-Request-ID": "a b"}).headers.get_all("x-request-id")
    assert made is not None
    assert re.fullmatch("[0-9a-f]{12}", made[0])
    server.stop()
    assert not [one for one in records(server.lines) if one["logger"] == "fps_lite.access"]
    assert made[0] in [one.get("request") for one in records(server.lines)]


def test_worker_in_the_place_of_another_has_its_number(start: Callable[..., Server]) -> None:
    server = start("--workers", "2")

    def started() -> list[tuple[int, int]]:
        found = [one for one in records(server.lines) if one["message"] == "started"]
        return [(one["worker"], one["pid"]) for one in found]

    assert sorted(number for number, _ in started()) == [1, 2]
    for number in (1, 2):
        before = started()
        os.kill(dict(before)[number], signal.SIGKILL)
        wait_for(lambda before=before: len(started()) > len(before))  # type: ignore[misc]
        assert started()[-1][0] == number
    server.stop()


@pytest.mark.parametrize("workers", ["2", "0"])
def test_rotated_file_loses_no_line(workers: str, start: Callable[..., Server], work: Path) -> None:
    log, rotated = work / "fps.log", [work / f"fps.log.{number}" for number in range(3)]
    server = start("--workers", workers, "--fps.logging.file", "fps.log")
    asked: list[str] = []
    is_over = threading.Event()

    def keep_asking() -> None:
        while not is_over.is_set():
            asked.append(f"id-{len(asked)}")
            ask(server, "/bob", **{"X-Request-ID": asked[-1]})

    thread = threading.Thread(target=keep_asking)
    thread.start()
    try:
        for target in rotated:
            count = len(asked)
            wait_for(lambda count=count: len(asked) > count + 20)  # type: ignore[misc]
            log.rename(target)
            server.process.send_signal(signal.SIGUSR1)
            wait_for(lambda: len(_pids(log)) == max(1, int(workers)))
    finally:
        is_over.set()
        thread.join(LIMIT)
    assert server.stop() == 0
    found = [one for file in (*rotated, log) for one in records(_lines(file))]
    logged = [one["request"] for one in found if one["logger"] == "fps_lite.access"]
    assert sorted(logged) == sorted(asked)
    assert stat.S_IMODE(log.stat().st_mode) & 0o137 == 0
    assert not records(server.lines)


def _pids(file: Path) -> set[int]:
    return {one["pid"] for one in records(_lines(file))}


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


@pytest.mark.parametrize("workers", ["1", "0"])
def test_sigusr1_without_a_file_does_nothing(workers: str, start: Callable[..., Server]) -> None:
    server = start("--workers", workers)
    server.process.send_signal(signal.SIGUSR1)
    for one in records(server.lines):
        os.kill(one["pid"], signal.SIGUSR1)
    assert ask(server, "/bob").status == 200
    assert server.stop() == 0


def test_file_that_cannot_be_opened_anew_is_told_where_the_log_was(
    start: Callable[..., Server], work: Path
) -> None:
    (work / "logs").mkdir()
    server = start("--fps.logging.file", "logs/fps.log")
    (work / "logs").rename(work / "old")
    server.process.send_signal(signal.SIGUSR1)
    log = work / "old" / "fps.log"
    told = "cannot reopen the log file: No such file or directory"
    wait_for(lambda: [one["message"] for one in records(_lines(log))].count(told) == 2)
    assert ask(server, "/bob").status == 200
    assert server.stop() == 0


@pytest.mark.parametrize("workers", [1, 0])
@pytest.mark.parametrize(
    "path, reason",
    [("no/log", "no such file or directory"), (".", "is a directory"), ("pipe", "no such device")],
)
def test_file_that_cannot_be_written_is_one_line_at_its_key(
    cli: Callable[..., Any], work: Path, path: str, reason: str, workers: int
) -> None:
    os.mkfifo(work / "pipe")
    text = f'[fps]\nworkers = {workers}\nport = 0\nenabled_plugins = ["x"]\n'
    (work / "x.py").write_text("")
    text += f'plugins = {{ x = "x" }}\n[fps.logging]\nfile = "{path}"\n'
    (work / "fps.toml").write_text(text)
    done = cli("serve")
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("fps.toml:7:8: fps.logging.file: ")
    assert reason in line.lower()


def test_other_commands_write_no_log_file(cli: Callable[..., Any], work: Path, site: Site) -> None:
    site.plugin("hi", PLUGIN)
    given = ("--fps.enabled_plugins", "hi", "--fps.logging.file", "fps.log")
    assert cli("check", *given).returncode == 0
    assert not (work / "fps.log").exists()


@pytest.mark.parametrize("workers", ["1", "0"])
@pytest.mark.parametrize(
    "code",
    [
        'logging.config.dictConfig({"version": 1})',
        "logging.config.fileConfig(io.StringIO(INI))",
    ],
    ids=["dictConfig", "fileConfig"],
)
def test_no_plugin_disables_the_loggers_of_another(
    code: str, workers: str, site: Site, serve: Serve
) -> None:
    ini = "[loggers]\nkeys=root\n[handlers]\nkeys=\n[formatters]\nkeys=\n"
    ini += "[logger_root]\nlevel=CRITICAL\nhandlers=\n"
    source = f"import io, logging.config\nINI = {ini!r}\n{code}\n"
    source += "from fps_lite import hookimpl\n@hookimpl\ndef routes(): return []\n"
    site.plugin("zz", source)
    site.plugin("hi", PLUGIN)
    given = ("--fps.enabled_plugins", "hi,zz", "--log-format", "json", "--workers", workers)
    server = serve(*given)
    ask(server, "/bob")
    assert server.stop() == 0
    messages = [one["message"] for one in records(server.lines)]
    assert {"started", "in a handler", "in a lifespan"} <= {*messages}
    assert any(one.startswith("GET /bob 200") for one in messages)


@pytest.mark.parametrize("orders", [[Reopen(), Drain()], [Drain(2), Drain()]])
@pytest.mark.parametrize("is_early", [True, False])
def test_orders_that_come_together_are_all_heard(
    orders: list[Order],
    is_early: bool,  # noqa: FBT001 - a case
) -> None:
    ours, theirs = socket.socketpair()
    link = Link(theirs.detach())
    together = b"".join(map(line_of, orders))
    heard: list[float] = []

    async def attend() -> None:
        if not is_early:
            ours.sendall(together)
        link.attend(asyncio.get_running_loop(), heard.append, lambda: 0)
        await asyncio.sleep(0.2)

    with ours:
        if is_early:
            ours.sendall(line_of(Go()) + together)
            assert link.wait() == Go()
        asyncio.run(attend())
    link._socket.close()
    assert heard == [one.linger for one in orders if isinstance(one, Drain)]
