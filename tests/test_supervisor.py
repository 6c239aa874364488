"""Workers: replaced when they end, all of them at a reload, and nothing is lost meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx2
import pexpect  # type: ignore[import-untyped]
import pytest
import trustme
import websockets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Server, Site

Serve: TypeAlias = "Callable[..., Server]"
Cli: TypeAlias = "Callable[..., subprocess.CompletedProcess[str]]"
SOON = 20.0

APP = """
import asyncio, os, re, time
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

async def pid(request):
    return PlainTextResponse(str(os.getpid()))

async def version(request):
    return PlainTextResponse("1")

waiting = 0

async def slow(request):
    global waiting
    waiting += 1
    await asyncio.sleep(3)
    return PlainTextResponse("done")

async def in_flight(request):
    return PlainTextResponse(str(waiting))

async def block(request):
    time.sleep(600)

async def fork(request):
    if os.fork() == 0:
        raise SystemExit(0)
    return PlainTextResponse("forked")

async def search(request):
    re.match("(a+)+$", "a" * 100 + "b")  # takes years, and holds the interpreter

async def events(request):
    async def numbers():
        for number in range(10**6):
            yield f"data: {number}\\n\\n"
            await asyncio.sleep(0.05)
    return StreamingResponse(numbers(), media_type="text/event-stream")

async def flood(request):
    async def data():
        while True:
            yield b"x" * 65536
    return StreamingResponse(data())

async def numbers(websocket):
    await websocket.accept()
    for number in range(10**6):
        await websocket.send_text(str(number))
        await asyncio.sleep(0.05)

pages = (pid, version, slow, in_flight, block, fork, search, events, flood)
routes = [Route("/" + page.__name__, page) for page in pages]
app = Starlette(routes=[*routes, WebSocketRoute("/numbers", numbers)])
"""
TOML = """
[fps]
drain_timeout = 1

[[fps.mounts]]
path = ""
app = "shown:app"
"""


@pytest.fixture
def app(site: Site, work: Path) -> Path:
    """An app of its own, in a file that can be changed."""
    (work / "fps.toml").write_text(TOML)
    return site.module("shown", APP)


def change(file: Path, old: str, new: str) -> None:
    """Edit a source, so that Python does not take what it compiled in the same second."""
    file.write_text(file.read_text().replace(old, new))
    later = time.time() + 2
    os.utime(file, (later, later))


def status(cli: Cli, server: Server) -> dict[str, Any]:
    found = cli("status", "--json", f"--port={port_of(server)}")
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)  # type: ignore[no-any-return]


def pids(server: Server) -> set[int]:
    """Return the workers, those that start or drain, too."""
    pid = server.process.pid
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


def ask(server: Server, page: str) -> str:
    return httpx2.get(f"{server.url}/{page}", timeout=SOON).text


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def is_logged(server: Server, said: str) -> bool:
    return any(re.search(said, line) for line in server.lines)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.mark.usefixtures("app")
def test_one_worker_is_the_default_and_zero_is_the_process_itself(serve: Serve) -> None:
    server = serve(workers=None)
    assert int(ask(server, "pid")) != server.process.pid
    assert server.stop() == 0
    server = serve(workers=0)
    assert int(ask(server, "pid")) == server.process.pid


@pytest.mark.usefixtures("app")
def test_killed_worker_is_replaced_and_the_others_answer_meanwhile(serve: Serve) -> None:
    server = serve(workers=2)
    before = pids(server)
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    assert all(int(ask(server, "pid")) != victim for _ in range(10))
    until(lambda: len(pids(server)) == 2 and victim not in pids(server))
    assert is_logged(server, rf"worker {victim} was killed by SIGKILL: another one takes its place")
    assert server.stop() == 0


@pytest.mark.slow
@pytest.mark.usefixtures("app")
def test_worker_that_has_served_a_while_is_replaced_at_once_however_many_died_before(
    serve: Serve,
) -> None:
    server = serve(workers=1)
    took = 0.0
    for _ in range(4):
        (victim,) = pids(server)
        assert int(ask(server, "pid")) == victim
        time.sleep(0.5)
        os.kill(victim, signal.SIGKILL)
        began = time.monotonic()
        until(lambda victim=victim: bool(pids(server) - {victim}))  # type: ignore[misc]
        took = time.monotonic() - began
    assert took < 0.6  # and not 0.8 s more, as after one that died as soon as it served
    assert server.stop() in {0, 1}  # 1: before the last one was ready


def test_replacement_runs_the_configuration_of_its_generation(
    app: Path, serve: Serve, work: Path
) -> None:
    assert app.exists()
    server = serve(workers=1)
    (work / "fps.toml").write_text("[fps\n")
    (first,) = pids(server)
    os.kill(first, signal.SIGKILL)
    until(lambda: int(ask(server, "pid")) != first)
    assert server.stop() == 0


def test_reload_serves_new_code_from_new_workers(app: Path, serve: Serve, cli: Cli) -> None:
    server = serve(workers=2)
    before = pids(server)
    assert ask(server, "version") == "1"
    change(app, '"1"', '"2"')
    found = cli("reload", f"--port={port_of(server)}")
    assert (found.returncode, found.stderr) == (0, "")
    assert re.fullmatch(r"generation 2 serves after \d+\.\d+ s\n", found.stdout)
    assert ask(server, "version") == "2"
    until(lambda: len(pids(server)) == 2)
    assert not before & pids(server)
    assert status(cli, server)["generation"] == 2
    app.write_text("x y")
    assert cli("reload", f"--port={port_of(server)}").returncode == 4
    now = status(cli, server)
    assert now["reload"].startswith("refused: fps.toml:7:7: fps.mounts[0].app: cannot import")
    assert now["generation"] == 2
    assert server.stop() == 0


@pytest.mark.usefixtures("app")
def test_reload_of_nothing_new_keeps_the_workers_unless_it_is_forced(
    serve: Serve, cli: Cli
) -> None:
    server = serve(workers=1)
    before = pids(server)
    which = f"--port={port_of(server)}"
    assert cli("reload", which).stdout == "nothing has changed\n"
    until(lambda: pids(server) == before)
    assert cli("reload", "--force", which).stdout.startswith("generation 2 serves")
    until(lambda: not before & pids(server))


def test_reload_at_sighup_takes_new_configuration(app: Path, serve: Serve, work: Path) -> None:
    assert app.exists()
    server = serve(workers=None)
    (work / "fps.toml").write_text(TOML.replace("[fps]", "[fps]\nworkers = 3"))
    server.process.send_signal(signal.SIGHUP)
    until(lambda: is_logged(server, "reload: generation 2 serves"))
    until(lambda: len(pids(server)) == 3)


BROKEN = {
    "no TOML": ("fps.toml", "[fps\n", 3, r"fps\.toml:1:5: "),
    "unknown key": ("fps.toml", "[fps]\nprot = 1\n", 3, r"fps\.toml:2:1: fps\.prot: unknown key"),
    "wrong type": ("fps.toml", '[fps]\ndebug = "no"\n', 3, r"fps\.toml:2:9: fps\.debug: "),
    "syntax": ("shown.py", "x y", 4, r"cannot import shown:app: SyntaxError"),
    "import": ("shown.py", "import nowhere", 4, "No module named 'nowhere'"),
    "no app": ("shown.py", "app = 3", 4, r"shown:app"),
    "conflict": (
        "fps.toml",
        TOML + '[[fps.mounts]]\npath = ""\napp = "shown:app"\n',
        3,
        "path",
    ),
    "lifespan raises": (
        "shown.py",
        APP + "\nasync def fail(scope, receive, send):\n    await receive()\n    1/0\napp = fail",
        1,
        "did not start: ZeroDivisionError",
    ),
    "lifespan hangs": (
        "shown.py",
        APP + "\nasync def hang(scope, receive, send):\n"
        "    await receive()\n    await asyncio.sleep(600)\napp = hang",
        1,
        "did not start within 2 s",
    ),
    "lifespan blocks": (
        "shown.py",
        APP + "\nasync def hang(scope, receive, send):\n"
        "    await receive()\n    time.sleep(600)\napp = hang",
        1,
        "did not turn its event loop for 7 s, and was killed",
    ),
    "certificate": (
        "fps.toml",
        TOML + '[fps.hypercorn]\ncertfile = "no.pem"\nkeyfile = "no.pem"\n',
        3,
        r"fps\.hypercorn\.certfile",
    ),
    "address": ("fps.toml", TOML.replace("[fps]", '[fps]\nbind = ["127.0.0.1:1"]'), 3, "bind"),
    "exits": ("shown.py", "import os; os._exit(7)", 1, "exited with code 7"),
}


LATE = ("lifespan blocks", "lifespan hangs")


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=[pytest.mark.slow] if kind in LATE else []) for kind in BROKEN],
)
def test_broken_reload_leaves_the_old_workers_alone_and_says_why_in_one_line(
    app: Path, serve: Serve, cli: Cli, work: Path, kind: str
) -> None:
    name, text, code, said = BROKEN[kind]
    file = app if name == app.name else work / name
    server = serve("--fps.startup_timeout=2", workers=2)
    before = pids(server)
    change(file, file.read_text(), text)
    found = cli("reload", f"--port={port_of(server)}", cwd="/" if kind == "address" else work)
    assert found.returncode == code, found.stderr
    assert re.search(said, found.stderr)
    assert "Traceback" not in found.stderr
    until(lambda: pids(server) == before)
    (line,) = [line for line in server.lines if "reload: refused" in line]
    assert re.search(said, line)
    assert ask(server, "version") == "1"
    assert server.stop() == 0


def test_reloads_that_are_asked_for_during_a_reload_are_one(
    app: Path, serve: Serve, cli: Cli
) -> None:
    change(app, "import asyncio", "import time; time.sleep(0.5)\nimport asyncio")
    server = serve(workers=1)
    change(app, '"1"', '"2"')
    which = f"--port={port_of(server)}"
    with ThreadPoolExecutor() as pool:
        first = pool.submit(cli, "reload", "--force", which)
        until(lambda: len(pids(server)) == 2)
        others = [pool.submit(cli, "reload", "--force", which) for _ in range(3)]
        said = [one.result().stdout for one in (first, *others)]
    assert said[0].startswith("generation 2 ")
    assert {one.partition(" serves")[0] for one in said[1:]} <= {"generation 3", "generation 4"}
    assert status(cli, server)["generation"] <= 4


@pytest.mark.slow
def test_clients_lose_nothing_in_reloads(app: Path, serve: Serve, cli: Cli) -> None:
    server = serve("--log-level=warning", workers=2)
    answered = 0
    deadline = time.monotonic() + 8
    reloading = ThreadPoolExecutor(1)
    reloads: list[Future[subprocess.CompletedProcess[str]]] = []
    with httpx2.Client(base_url=server.url, timeout=SOON) as kept:
        while time.monotonic() < deadline:
            if not reloads or reloads[-1].done():
                reloads.append(
                    reloading.submit(cli, "reload", "--force", f"--port={port_of(server)}")
                )
            assert kept.get("/pid").status_code == 200
            assert httpx2.get(f"{server.url}/version", timeout=SOON).text == "1"
            answered += 2
    assert app.exists()
    assert len(reloads) > 2
    assert all(one.result().returncode == 0 for one in reloads)
    assert answered > 50
    assert server.stop() == 0


@pytest.mark.slow
@pytest.mark.usefixtures("app")
def test_requests_in_flight_are_answered_before_the_server_ends(serve: Serve) -> None:
    server = serve("--fps.drain_timeout=10", workers=1)
    with ThreadPoolExecutor(50) as pool:
        answers = [pool.submit(ask, server, "slow") for _ in range(50)]
        until(lambda: ask(server, "in_flight") == "50")
        assert server.stop() == 0
        assert [one.result() for one in answers] == ["done"] * 50


@pytest.mark.usefixtures("app")
def test_streams_end_so_that_their_clients_come_back(serve: Serve, cli: Cli) -> None:
    server = serve(workers=1)

    async def listen() -> tuple[str, int | None]:
        async with (
            httpx2.AsyncClient(timeout=SOON) as client,
            client.stream("GET", f"{server.url}/events") as stream,
            websockets.connect(server.url.replace("http", "ws") + "/numbers") as numbers,
        ):
            await asyncio.to_thread(cli, "reload", "--force", f"--port={port_of(server)}")
            text = "".join([part async for part in stream.aiter_text()])
            with suppress(websockets.ConnectionClosed):
                async for _ in numbers:
                    pass
            return text, numbers.close_code

    text, code = asyncio.run(listen())
    assert text.endswith("\n\n")  # and no error: the stream has an end
    assert code == 1012
    assert is_logged(server, "generation 2 serves")


@pytest.mark.usefixtures("app")
def test_client_that_never_reads_is_cut_at_the_deadline(serve: Serve) -> None:
    server = serve(workers=1)
    with socket.create_connection(("127.0.0.1", port_of(server)), SOON) as client:
        client.sendall(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.5)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 6  # drain_timeout is one second


@pytest.mark.usefixtures("app")
def test_workers_end_when_their_parent_is_killed(serve: Serve) -> None:
    server = serve(workers=2)
    workers = pids(server)
    server.process.kill()
    until(lambda: not any(map(alive, workers)))


@pytest.mark.usefixtures("app")
def test_blocked_worker_is_replaced_and_the_log_says_where_it_was(serve: Serve) -> None:
    server = serve("--fps.blocked_timeout=2", "--log-format=console", workers=1)
    (first,) = pids(server)
    with pytest.raises(httpx2.HTTPError):
        httpx2.get(f"{server.url}/block", timeout=SOON)
    until(lambda: first not in pids(server))
    assert int(ask(server, "pid")) != first
    assert is_logged(server, rf"worker {first} did not turn its event loop for 2 s, and was killed")
    assert is_logged(server, r"shown\.py.* in block")


@pytest.mark.slow
@pytest.mark.usefixtures("app")
def test_worker_that_holds_the_interpreter_is_named_and_ended(serve: Serve) -> None:
    server = serve("--fps.shutdown_timeout=1", "--log-format=console", workers=1)
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.get(f"{server.url}/search", timeout=1)
    assert server.stop() == 1
    time.sleep(0.1)
    assert is_logged(server, "did not turn its event loop for 4 s, and was killed")
    assert is_logged(server, r"shown\.py.* in search")


@pytest.mark.parametrize(
    "text, code, said",
    [
        ("x y", 4, "cannot import shown:app: SyntaxError"),
        (BROKEN["lifespan raises"][1], 1, "did not start: ZeroDivisionError"),
        ("import os; os._exit(7)", 1, r"worker \d+ exited with code 7"),
    ],
)
def test_start_that_fails_ends_at_once_with_one_message(
    app: Path, cli: Cli, text: str, code: int, said: str
) -> None:
    app.write_text(text)
    found = cli("serve", "--port=0", "--workers=3", "--log-level=critical")
    assert (found.returncode, found.stdout) == (code, "")
    assert len(re.findall(said, found.stderr)) == 1, found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.slow
def test_workers_that_do_not_start_any_more_are_the_end(app: Path, serve: Serve) -> None:
    server = serve(workers=1)
    (first,) = pids(server)
    change(app, APP, "x y")
    os.kill(first, signal.SIGKILL)
    assert server.process.wait(60) == 4
    assert len([line for line in server.lines if "a worker did not start" in line]) == 6
    time.sleep(0.1)
    assert "cannot import shown:app: SyntaxError" in server.lines[-1]


@pytest.mark.usefixtures("app")
def test_second_server_is_refused_and_the_first_keeps_its_pid_file(
    serve: Serve, cli: Cli, work: Path
) -> None:
    server = serve("--fps.pid_file=pid", workers=1)
    until((work / "pid").exists)
    assert (work / "pid").read_text() == f"{server.process.pid}\n"
    found = cli("serve", f"--port={port_of(server)}", "--fps.pid_file=pid")
    assert (found.returncode, found.stdout) == (1, "")
    assert re.fullmatch(r"cannot listen on .*: address already in use\n", found.stderr)
    assert (work / "pid").read_text() == f"{server.process.pid}\n"
    assert server.stop() == 0
    assert not (work / "pid").exists()


@pytest.mark.usefixtures("app")
def test_status_is_a_table_for_people(serve: Serve, cli: Cli) -> None:
    server = serve(workers=2)
    for _ in range(4):
        ask(server, "pid")
    until(lambda: status(cli, server)["requests"] == 4)
    found = cli("status", f"--port={port_of(server)}")
    lines = found.stdout.splitlines()
    assert lines[0] == f"serving on {server.url} (pid {server.process.pid})"
    assert re.fullmatch(r"generation 1, up \d+s", lines[1])
    assert lines[3].split() == ["worker", "generation", "state", "uptime", "requests"]
    assert {line.split()[2] for line in lines[4:]} == {"serving"}
    assert len(lines) == 6


@pytest.mark.usefixtures("app")
def test_stop_returns_when_the_server_has_ended(serve: Serve, cli: Cli) -> None:
    server = serve(workers=1)
    which = f"--port={port_of(server)}"
    assert cli("stop", which).returncode == 0
    assert server.process.wait(1) == 0
    for command in ("stop", "status", "reload"):
        found = cli(command, which)
        assert (found.returncode, found.stdout) == (1, "")
        assert re.fullmatch(r"no server runs here: nobody listens on .*\.sock\n", found.stderr)


@pytest.mark.usefixtures("app")
def test_control_socket_is_for_its_user_alone(serve: Serve, cli: Cli, work: Path) -> None:
    server = serve("--fps.control_socket=run/control", workers=1)
    path = work / "run" / "control"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert cli("status", "--fps.control_socket=run/control").returncode == 0
    assert server.stop() == 0
    assert not path.exists()


@pytest.mark.usefixtures("app")
def test_nothing_of_the_command_line_shows_in_a_workers_own(serve: Serve) -> None:
    server = serve("--fps.hypercorn.server_names=[]", workers=1)
    (worker,) = pids(server)
    argv = Path(f"/proc/{worker}/cmdline").read_text().split("\0")
    assert argv[1:3] == ["-m", "fps_lite.worker"]
    assert all(word.isdigit() for word in argv[3:] if word)


@pytest.mark.usefixtures("app")
def test_worn_worker_serves_until_the_next_one_does(serve: Serve) -> None:
    server = serve("--fps.hypercorn.max_requests=5", workers=1)
    (first,) = pids(server)
    until(lambda: int(ask(server, "pid")) != first)
    until(lambda: first not in pids(server))
    assert not is_logged(server, "error")
    assert server.stop() == 0


CRASHES = """
import asyncio, os
from contextlib import asynccontextmanager
import anyio
from fps_lite import hookimpl

async def crash():
    await asyncio.sleep(1.5)
    if not os.path.exists("crashed"):
        open("crashed", "w").close()
        raise AssertionError("once")

@hookimpl
@asynccontextmanager
async def lifespan():
    async with anyio.create_task_group() as group:
        group.start_soon(crash)
        yield
"""


@pytest.mark.slow
@pytest.mark.usefixtures("app")
def test_worker_whose_plugin_crashes_is_replaced(site: Site, serve: Serve) -> None:
    site.plugin("crashes", CRASHES)
    server = serve(workers=1)
    (first,) = pids(server)
    until(lambda: first not in pids(server))
    until(lambda: len(pids(server)) == 1)
    assert ask(server, "version") == "1"
    assert is_logged(server, r'plugin \\?"crashes\\?" crashed: AssertionError: once')
    assert server.stop() == 0


SETUP = """
import os
from contextlib import contextmanager
from fps_lite import hookimpl

@hookimpl
@contextmanager
def cli_setup():
    print("set up in", os.getpid(), flush=True)
    yield
    print("torn down", flush=True)
"""


@pytest.mark.usefixtures("app")
def test_cli_setup_is_the_commands_own(site: Site, serve: Serve, cli: Cli) -> None:
    site.plugin("setup", SETUP)
    server = serve(workers=2)
    until(lambda: is_logged(server, f"set up in {server.process.pid}"))
    cli("reload", "--force", f"--port={port_of(server)}")
    assert server.stop() == 0
    time.sleep(0.1)
    assert len([line for line in server.lines if "set up" in line]) == 1
    assert server.lines[-1] == "torn down"


@pytest.fixture
def manager(work: Path) -> Iterator[socket.socket]:
    """What systemd listens on for its services' notifications."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(work / "notify"))
        listener.settimeout(SOON)
        yield listener


def test_service_manager_is_told(
    app: Path, serve: Serve, manager: socket.socket, work: Path
) -> None:
    told: list[str] = []

    def until_told(word: str) -> None:
        while word not in told:
            told.extend(manager.recv(4096).decode().splitlines())

    environ = {**os.environ, "NOTIFY_SOCKET": str(work / "notify"), "WATCHDOG_USEC": "200000"}
    server = serve(workers=1, env=environ)
    until_told("READY=1")
    until_told("WATCHDOG=1")
    told.clear()
    change(app, '"1"', '"2"')
    server.process.send_signal(signal.SIGHUP)
    until_told("RELOADING=1")
    until_told("READY=1")
    assert any(re.fullmatch(r"MONOTONIC_USEC=\d+", line) for line in told)
    assert server.stop() == 0
    until_told("STOPPING=1")


ACTIVATE = """
import os, sys
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.dup2(int(sys.argv[1]), 3)
os.execv(sys.executable, [sys.executable, "-m", "fps_lite", "serve"])
"""


@pytest.mark.usefixtures("app")
def test_socket_of_a_service_manager_is_served(work: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        process = subprocess.Popen(
            [sys.executable, "-c", ACTIVATE, str(number)], pass_fds=[number], cwd=work
        )
        port = listener.getsockname()[1]
        try:  # a request waits in the socket's queue until it is served
            for _ in range(2):
                assert httpx2.get(f"http://127.0.0.1:{port}/version", timeout=SOON).text == "1"
                process.send_signal(signal.SIGHUP)
        finally:
            process.terminate()
            assert process.wait(SOON) == 0


def test_changes_of_sources_and_configuration_are_reloaded(
    app: Path, serve: Serve, cli: Cli, work: Path
) -> None:
    server = serve("--reload", workers=1)
    time.sleep(0.5)  # until the files are watched
    change(app, '"1"', '"2"')
    until(lambda: ask(server, "version") == "2")
    change(app, "import asyncio", "import asyncio x")
    until(lambda: is_logged(server, "reload: refused"))
    change(app, "import asyncio x", "import asyncio")
    (work / "fps.toml").write_text(TOML.replace("[fps]", "[fps]\nworkers = 2"))
    assert ask(server, "version") == "2"
    until(lambda: status(cli, server)["generation"] >= 3)
    assert server.stop() == 0


def test_reload_without_a_worker_is_refused(work: Path, cli: Cli) -> None:
    (work / "fps.toml").write_text("[fps]\nreload = true\nworkers = 0\n")
    found = cli("check")
    said = "fps.toml:2:10: fps.reload: needs a worker to replace: fps.workers is 0\n"
    assert (found.returncode, found.stderr) == (3, said)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_start_that_is_interrupted_ends_with_one_line(app: Path, work: Path, number: int) -> None:
    change(app, APP, "open('reached', 'w').close()\nimport time\ntime.sleep(600)")
    process = subprocess.Popen(
        [sys.executable, "-m", "fps_lite", "serve", "--port=0"],
        cwd=work,
        stderr=subprocess.PIPE,
        text=True,
    )
    until((work / "reached").exists)
    process.send_signal(number)
    assert process.communicate(timeout=SOON)[1] == "interrupted before it was ready\n"
    assert process.returncode == 1


@pytest.mark.usefixtures("app")
def test_fork_that_exits_is_no_second_worker(serve: Serve, cli: Cli) -> None:
    server = serve(workers=1)
    for _ in range(3):
        assert ask(server, "fork") == "forked"
    assert cli("reload", "--force", f"--port={port_of(server)}").returncode == 0
    until(lambda: len(pids(server)) == 1)
    assert server.stop() == 0
    assert not is_logged(server, "error")


@pytest.mark.usefixtures("app")
def test_server_whose_configuration_is_broken_is_found_by_its_directory(
    serve: Serve, cli: Cli, work: Path
) -> None:
    server = serve(workers=1)
    (work / "fps.toml").write_text("[fps\n")
    found = cli("reload")
    assert (found.returncode, found.stdout) == (3, "")
    assert found.stderr.startswith("fps.toml:1:5: ")
    assert "refused: fps.toml:1:5: " in cli("status").stdout
    assert cli("stop").returncode == 0
    assert server.process.wait(SOON) == 0
    assert cli("status").stderr.startswith("fps.toml:1:5: ")


@pytest.mark.usefixtures("app")
def test_server_starts_without_standard_streams(work: Path) -> None:
    line = 'exec "$0" -m fps_lite serve --port=0 --fps.pid_file=pid <&- >&- 2>&-'
    process = subprocess.Popen(["sh", "-c", line, sys.executable], cwd=work)
    try:
        until((work / "pid").exists)
    finally:
        process.terminate()
        assert process.wait(SOON) == 0


def test_servers_on_unix_sockets_of_one_relative_name_are_told_apart(
    app: Path, serve: Serve, cli: Cli, tmp_path: Path
) -> None:
    assert app.exists()
    servers = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        servers.append(
            serve("shown:app", "--bind=unix:s", port=None, workers=1, cwd=tmp_path / name)
        )
    assert cli("stop", "--bind=unix:s", cwd=tmp_path / "two").returncode == 0
    assert servers[1].process.wait(SOON) == 0
    assert servers[0].stop() == 0


@pytest.mark.usefixtures("app")
def test_server_ends_with_its_terminal(work: Path) -> None:
    terminal = pexpect.spawn(
        sys.executable, ["-m", "fps_lite", "serve", "--port=0"], cwd=str(work), timeout=SOON
    )
    terminal.expect("serving on ")
    workers = Path(f"/proc/{terminal.pid}/task/{terminal.pid}/children").read_text().split()
    terminal.ptyproc.fileobj.close()
    until(lambda: not any(alive(pid) for pid in (terminal.pid, *map(int, workers))))


def test_module_of_the_working_directory_hides_none_of_the_library(
    app: Path, work: Path, serve: Serve
) -> None:
    assert app.exists()
    (work / "random.py").write_text("1 / 0")
    command = Path(sys.executable).parent / "fps-lite"
    server = serve(workers=1, command=[str(command)])
    assert ask(server, "version") == "1"
    assert server.stop() == 0


@pytest.mark.usefixtures("app")
def test_third_signal_ends_everything_at_once(serve: Serve) -> None:
    server = serve("--fps.drain_timeout=300", workers=1)
    (worker,) = pids(server)
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.get(f"{server.url}/block", timeout=1)
    for _ in range(2):
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
    assert server.stop() == 1
    until(lambda: not alive(worker))


@pytest.mark.usefixtures("app")
def test_certificate_is_renewed_by_a_reload(serve: Serve, cli: Cli, work: Path) -> None:
    def renew() -> None:
        cert = trustme.CA().issue_cert("127.0.0.1")
        cert.cert_chain_pems[0].write_to_path(str(work / "cert.pem"))
        cert.private_key_pem.write_to_path(str(work / "key.pem"))

    def served() -> str:
        return ssl.get_server_certificate(("127.0.0.1", port_of(server)))

    renew()
    options = ("--fps.hypercorn.certfile=cert.pem", "--fps.hypercorn.keyfile=key.pem")
    server = serve(*options, workers=1)
    before = served()
    renew()
    assert "generation 2" in cli("reload", f"--port={port_of(server)}").stdout
    assert served() != before
    assert server.stop() == 0
