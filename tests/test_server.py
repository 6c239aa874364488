"""Real processes on real sockets: `SCRIPT` is what the command does with the server's parts."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec
import pytest
import trustme
from hypercorn.config import Config
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from fps_lite import server
from fps_lite.errors import ConfigError, StartupError
from fps_lite.server.uploads import LINGER
from fps_lite.settings import FPSConfig, HypercornConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
SOON = 20.0
"""Seconds for what takes a fraction of one on an idle machine."""

SCRIPT = """
import asyncio, json, os, signal, socket, sys, time
if os.environ.get("PLAIN_LOOP"):
    sys.modules["uvloop"] = None
from contextlib import asynccontextmanager
import msgspec
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from fps_lite import logs, server
from fps_lite.errors import FPSError, StartupError
from fps_lite.settings import FPSConfig

options = json.loads(sys.argv[2])

def say(*words):
    print(json.dumps(words), flush=True)

async def hello(request):
    return PlainTextResponse(f"hello {request.scope['root_path']}")

async def upload(request):
    say("upload")
    return PlainTextResponse(await request.body())

async def ignore(request):
    return PlainTextResponse("ignored")

async def broken(request):
    raise ValueError("broken")

async def loop(request):
    return PlainTextResponse(type(asyncio.get_running_loop()).__mro__[2].__module__)

def block(request):
    say("block")
    time.sleep(60)

stopping = asyncio.Event()

async def late(request):
    say("late")
    await stopping.wait()
    await asyncio.sleep(0.5)
    return PlainTextResponse("done")

class Burst(BaseException):
    pass

async def burst(request):
    say("burst")
    await stopping.wait()
    await asyncio.sleep(0.2)
    raise Burst

async def stubborn(request):
    say("stubborn")
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

async def stream(request):
    async def ticks():
        while True:
            yield "data: x\\n\\n"
            await asyncio.sleep(0.05)
    return StreamingResponse(ticks(), media_type="text/event-stream")

async def flood(request):
    async def blocks():
        while True:
            yield b"x" * 65536
    return StreamingResponse(blocks())

async def leave(request):
    sys.exit(7)

async def crash(request):
    app.crash = StartupError("plugin db: crashed")
    app.crashed.set()
    return PlainTextResponse("crashing")

async def socket_echo(websocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)

@asynccontextmanager
async def lifespan(app):
    say("starting")
    if options.get("start") == "fps":
        raise StartupError("plugin db: no database")
    if options.get("start") == "error":
        raise ValueError("no luck")
    if options.get("start") == "wait":
        await asyncio.sleep(0.5)
    if options.get("start") == "hang":
        await asyncio.sleep(60)
    if options.get("start") == "deaf":
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
    if options.get("own_server"):
        own = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
        say("own", own.sockets[0].getsockname()[1], type(own).__module__)
    yield
    if options.get("stop") == "hang":
        say("hanging")
        await asyncio.sleep(60)
    if options.get("stop") == "block":
        say("blocking")
        time.sleep(60)
    say("stopped")

app = Starlette(lifespan=lifespan, routes=[
    Route("/hello", hello), Route("/upload", upload, methods=["POST"]),
    Route("/ignore", ignore, methods=["POST"]), Route("/broken", broken, methods=["POST"]),
    Route("/loop", loop), Route("/late", late), Route("/burst", burst),
    Route("/block", block), Route("/stubborn", stubborn),
    Route("/stream", stream), Route("/flood", flood),
    Route("/leave", leave), Route("/crash", crash), WebSocketRoute("/ws", socket_echo)])
app.crashed = asyncio.Event()
app.crash = None

def begin_stopping():
    say("stopping")
    stopping.set()

app.begin_stopping = begin_stopping

def ready(urls):
    if options.get("ready") == "error":
        raise StartupError("nobody wants to know")
    for url in urls:
        if url.startswith("http://"):
            host, _, port = url.removeprefix("http://").rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    say("ready", *urls)

def own_handler(*_):
    pass

code = 0
signal.signal(signal.SIGTERM, own_handler)
try:
    settings = msgspec.convert(
        json.loads(sys.argv[1]), FPSConfig, dec_hook=lambda kind, value: kind(value))
    logs.configure(settings.logging, secrets=frozenset())
    with server.bind_sockets(settings) as sockets:
        server.run(app, settings, sockets=sockets, ready=ready)
except FPSError as error:
    print(error, file=sys.stderr)
    code = error.exit_code
assert signal.getsignal(signal.SIGTERM) is own_handler
left = server.leftover_threads(0.5)
say("returned", code, left)
if left:
    os._exit(code)
sys.exit(code)
"""


@dataclasses.dataclass
class Process:
    """A server in a process of its own, and what it says."""

    popen: subprocess.Popen[str]
    urls: tuple[str, ...] = ()

    def hear(self, word: str) -> list[Any]:
        """Return what follows `word`, once it is said."""
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            said = json.loads(line)
            if said[0] == word:
                return list(said[1:])
        pytest.fail(f"never said {word}: {self.errors()}")

    def errors(self) -> str:
        assert self.popen.stderr is not None
        return self.popen.stderr.read()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.popen.send_signal(number)
        return self.popen.wait(SOON)

    @property
    def port(self) -> int:
        return int(self.urls[0].rpartition(":")[2])


def settings_of(**options: Any) -> FPSConfig:
    given = {"port": 0, **options}
    return msgspec.convert(given, FPSConfig, dec_hook=lambda kind, value: kind(value))


@contextmanager
def started(
    settings: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    *,
    plain: bool = False,
    pass_fds: tuple[int, ...] = (),
) -> Iterator[Process]:
    """Run a server that may not get ready, and kill it if it is still there at the end."""
    given = {"port": 0, "drain_timeout": 1.0, "logging": {"access": False}, **(settings or {})}
    if "bind" in given:
        del given["port"]
    words = [sys.executable, "-W", "error", "-c", SCRIPT, json.dumps(given)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PLAIN_LOOP": "1" if plain else ""}
    popen = subprocess.Popen(
        [*words, json.dumps(options or {})],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        pass_fds=pass_fds,
    )
    with popen:
        try:
            yield Process(popen)
        finally:
            if popen.poll() is None:
                popen.kill()


@contextmanager
def serving(*arguments: Any, **options: Any) -> Iterator[Process]:
    """Run a server that is ready."""
    with started(*arguments, **options) as process:
        process.urls = tuple(process.hear("ready"))
        yield process


def fetch(sock: socket.socket, path: str) -> tuple[int, bytes]:
    sock.settimeout(SOON)
    sock.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    response = http.client.HTTPResponse(sock)
    response.begin()
    return response.status, response.read()


def opened(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=SOON)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificate(authority: trustme.CA, tmp_path: Path) -> dict[str, str]:
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(tmp_path / "cert.pem", append=number > 0)
    return {"certfile": str(tmp_path / "cert.pem"), "keyfile": str(tmp_path / "key.pem")}


UPLOAD = 80 * 65536  # more than hypercorn holds for an app
LOOPS = pytest.mark.parametrize("plain", [False, True], ids=["uvloop", "asyncio"])


# --- serving ---


@LOOPS
def test_http_and_websocket_are_served_on_a_free_port_with_either_loop(plain: bool) -> None:  # noqa: FBT001
    with serving({"root_path": "/outer"}, plain=plain) as process:
        with opened(process.port) as sock:
            assert fetch(sock, "/outer/hello") == (200, b"hello /outer")
            assert fetch(sock, "/loop") == (200, b"asyncio.unix_events" if plain else b"uvloop")
        with connect(f"ws://127.0.0.1:{process.port}/ws", proxy=None) as websocket:
            websocket.send("hi")
            assert websocket.recv(SOON) == "hi"
        assert process.stop() == 0
        assert process.errors() == ""


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """Return a context for one client: an HTTP client writes its own protocols into it.

    A websocket client that offers `h2` with such a context, and then speaks HTTP/1.1, is cut off.
    """
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@LOOPS
def test_http2_and_http1_are_served_over_tls_and_cleartext_beside_it(
    plain: bool,  # noqa: FBT001
    authority: trustme.CA,
    certificate: dict[str, str],
) -> None:
    options = {**certificate, "insecure_bind": ["127.0.0.1:0"]}
    with serving({"hypercorn": options}, plain=plain) as process:
        secure, insecure = process.urls
        for http2, version in ((True, "HTTP/2"), (False, "HTTP/1.1")):
            trust = trusting(authority)
            with httpx2.Client(http2=http2, verify=trust, trust_env=False) as client:
                answer = client.get(f"{secure}/hello")
            assert (answer.status_code, answer.http_version) == (200, version)
            assert "server" not in answer.headers
        assert insecure.startswith("http://")
        with opened(int(insecure.rpartition(":")[2])) as sock:
            assert fetch(sock, "/hello")[0] == 200
        wss = f"{secure.replace('https', 'wss')}/ws"
        with connect(wss, ssl=trusting(authority), proxy=None) as websocket:
            websocket.send("hi")
            assert websocket.recv(SOON) == "hi"
        assert process.stop() == 0


def test_empty_body_that_nobody_reads_breaks_no_http2_connection(
    authority: trustme.CA, certificate: dict[str, str]
) -> None:
    with serving({"hypercorn": certificate}) as process:
        with httpx2.Client(http2=True, verify=trusting(authority), trust_env=False) as client:
            for body in (b"", b"x", b"", b"", b"x") * 4:
                answer = client.post(f"{process.urls[0]}/hello", content=body)
                assert (answer.status_code, answer.http_version) == (405, "HTTP/2")
        assert process.stop() == 0
        assert process.errors() == ""


def test_several_addresses_are_served_and_named_with_their_ports(tmp_path: Path) -> None:
    path = tmp_path / "fps.sock"
    binds = ["127.0.0.1:0", "[::1]:0", f"unix:{path}"]
    with serving({"bind": binds, "hypercorn": {"umask": 0o077}}) as process:
        first, second, third = process.urls
        assert first.startswith("http://127.0.0.1:")
        assert second.startswith("http://[::1]:")
        assert third == f"unix:{path}"
        assert path.stat().st_mode & 0o777 == 0o700
        with socket.create_connection(("::1", int(second.rpartition(":")[2]))) as sock:
            assert fetch(sock, "/hello")[0] == 200
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            assert fetch(sock, "/hello")[0] == 200
        assert process.stop() == 0
    assert not path.exists()


@LOOPS
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_inherited_socket_is_served(
    plain: bool,  # noqa: FBT001
    family: socket.AddressFamily,
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "s")
    with socket.socket(family) as listening:
        listening.bind(path if family == socket.AF_UNIX else ("127.0.0.1", 0))
        number = listening.fileno()
        with serving({"bind": [f"fd://{number}"]}, plain=plain, pass_fds=(number,)) as process:
            with socket.socket(family) as sock:
                sock.connect(listening.getsockname())
                assert fetch(sock, "/hello") == (200, b"hello ")
            assert process.stop() == 0
    assert Path(path).exists() == (family == socket.AF_UNIX)


def test_handler_that_exits_fails_its_own_request_only() -> None:
    with serving() as process:
        for _ in range(2):
            with opened(process.port) as sock:
                assert fetch(sock, "/leave")[0] == 500
        assert process.stop() == 0


@LOOPS
def test_client_that_leaves_in_an_upload_is_no_error(plain: bool) -> None:  # noqa: FBT001
    logging = {"access": True, "format": "console"}
    options = {"logging": logging, "hypercorn": {"read_timeout": 0.5}}
    with serving(options, plain=plain) as process:
        upload = b"POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc"
        with opened(process.port) as stalls:
            stalls.sendall(upload)
            process.hear("upload")
            stalls.recv(100)
        with opened(process.port) as leaves:
            leaves.sendall(upload)
            process.hear("upload")
        with opened(process.port) as sock:
            assert fetch(sock, "/hello")[0] == 200
        assert process.stop() == 0
        lines = process.errors().splitlines()
    assert sum(" info  fps_lite.access  POST /upload 499 0B" in line for line in lines) == 2
    assert len(lines) == 3


@LOOPS
@pytest.mark.parametrize("path, status", [("/ignore", 200), ("/broken", 500), ("/nowhere", 404)])
def test_upload_that_nobody_reads_does_not_stop_its_connection(
    plain: bool,  # noqa: FBT001
    path: str,
    status: int,
) -> None:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {UPLOAD}\r\n\r\n"
    with serving(plain=plain) as process, opened(process.port) as sock:
        for _ in range(2):
            sock.sendall(head.encode())
            for _ in range(UPLOAD // 65536):
                sock.sendall(b"x" * 65536)
            response = http.client.HTTPResponse(sock)
            response.begin()
            assert response.status == status
            response.read()
        assert fetch(sock, "/hello")[0] == 200
        assert process.stop() == 0


def test_answer_to_an_upload_that_nobody_reads_comes_before_its_end() -> None:
    head = b"POST /ignore HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n"
    with serving({"logging": {"access": True, "format": "console"}}) as process:
        with opened(process.port) as sock:
            sock.sendall(head + b"x" * 3_000_000)
            assert sock.recv(15) == b"HTTP/1.1 200 \r\n"
        assert process.stop() == 0
        assert process.errors().count("POST /ignore 200") == 1


@pytest.mark.slow
def test_upload_that_never_ends_is_given_up_when_its_answer_is_out() -> None:
    head = b"POST /ignore HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n"
    with serving() as process, opened(process.port) as sock:
        sock.sendall(head + b"x" * 3_000_000)
        sock.settimeout(LINGER + SOON)
        while sock.recv(65536):
            pass
        assert process.stop() == 0


def test_own_server_of_a_plugin_is_left_as_the_loop_makes_it() -> None:
    with started(options={"own_server": True}, plain=True) as process:
        port, module = process.hear("own")
        assert module == "asyncio.base_events"
        with opened(port) as sock:
            assert sock.recv(1) == b""
        process.hear("ready")
        assert process.stop() == 0


# --- start-up ---


@pytest.mark.parametrize(
    "start, line",
    [
        ("fps", "plugin db: no database"),
        ("error", "the app did not start: ValueError: no luck"),
    ],
)
def test_failed_start_is_one_line_and_exit_code_1(start: str, line: str) -> None:
    with started(options={"start": start}) as process:
        assert process.popen.wait(SOON) == 1
        assert process.errors() == f"{line}\n"
        assert process.popen.stdout is not None
        assert "ready" not in process.popen.stdout.read()


def test_client_that_comes_during_start_up_is_answered_when_it_is_over(tmp_path: Path) -> None:
    path = tmp_path / "fps.sock"
    with started({"bind": [f"unix:{path}"]}, {"start": "wait"}) as process:
        process.hear("starting")
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            assert fetch(sock, "/hello")[0] == 200
        assert process.hear("ready") == [f"unix:{path}"]
        assert process.stop() == 0


def test_port_in_use_is_one_line_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with started({"port": port}) as process:
            assert process.popen.wait(SOON) == 1
            line = f"cannot listen on 127.0.0.1:{port}: address already in use\n"
            assert process.errors() == line
            assert process.popen.stdout is not None
            assert "starting" not in process.popen.stdout.read()


def test_port_bound_by_another_that_does_not_listen_yet_is_not_shared() -> None:
    settings = settings_of()
    with server.bind_sockets(settings) as first:
        port = int(first.urls[0].rpartition(":")[2])
        with pytest.raises(StartupError, match="already in use"):
            server.bind_sockets(settings_of(port=port))


@pytest.mark.parametrize("start", ["hang", "deaf"])
@LOOPS
def test_signal_during_start_up_ends_it(plain: bool, start: str) -> None:  # noqa: FBT001
    with started(options={"start": start}, plain=plain) as process:
        process.hear("starting")
        assert process.stop() == 1
        assert process.errors() == "interrupted before it was ready\n"


def test_error_of_ready_is_raised_after_the_app_stopped() -> None:
    with started(options={"ready": "error"}) as process:
        process.hear("stopped")
        assert process.popen.wait(SOON) == 1
        assert process.errors() == "nobody wants to know\n"


# --- unix sockets ---


def test_stale_unix_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "fps.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    settings = settings_of(bind=[f"unix:{path}"])
    with server.bind_sockets(settings), socket.socket(socket.AF_UNIX) as sock:
        with pytest.raises(StartupError) as refused:
            server.bind_sockets(settings)
        sock.connect(str(path))
    assert str(refused.value) == f"cannot listen on unix:{path}: another server answers there"
    assert not path.exists()


def test_file_that_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("kept")
    with pytest.raises(StartupError, match="exists and is not a socket"):
        server.bind_sockets(settings_of(bind=[f"unix:{path}"]))
    assert path.read_text() == "kept"


def test_unix_socket_that_another_server_put_there_since_is_left(tmp_path: Path) -> None:
    path = tmp_path / "fps.sock"
    sockets = server.bind_sockets(settings_of(bind=[f"unix:{path}"]))
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        sockets.close()
        assert path.exists()


def test_every_address_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    path = tmp_path / "fps.sock"
    long = f"/{'x' * 200}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wrong:
        number = wrong.fileno()
        binds = [f"unix:{path}", "fd://9876", f"fd://{number}", "unix:/nodir/x", f"unix:{long}"]
        with pytest.raises(StartupError) as refused:
            server.bind_sockets(settings_of(bind=binds))
    assert refused.value.problems == (
        "cannot listen on fd://9876: bad file descriptor",
        f"cannot listen on fd://{number}: is not a SOCK_STREAM socket",
        "cannot listen on unix:/nodir/x: no such file or directory",
        f"cannot listen on unix:{long}: AF_UNIX path too long",
    )
    assert not path.exists()


def test_when_one_address_fails_none_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "fps.sock"
    with pytest.raises(StartupError, match="cannot listen on fd://9876: bad file descriptor"):
        server.bind_sockets(settings_of(bind=[f"unix:{path}", "fd://9876"]))
    assert not path.exists()


# --- the end ---


def _wait_until_refused(port: int) -> None:
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        try:
            opened(port).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            pass  # it was in the queue of the socket that is being closed
        time.sleep(0.01)
    pytest.fail("connections are still accepted")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@LOOPS
def test_signal_lets_requests_finish_and_runs_the_shutdown(plain: bool, number: int) -> None:  # noqa: FBT001
    with serving({"drain_timeout": 10}, plain=plain) as process, opened(process.port) as sock:
        sock.sendall(b"GET /late HTTP/1.1\r\nhost: x\r\n\r\n")
        process.hear("late")
        process.popen.send_signal(number)
        process.hear("stopping")
        response = http.client.HTTPResponse(sock)
        response.begin()
        assert response.read() == b"done"
        process.hear("stopped")
        assert process.popen.wait(SOON) == 0
        assert process.errors() == ""


def _idle(_process: Process, sock: socket.socket) -> None:
    assert fetch(sock, "/hello")[0] == 200


def _stream(_process: Process, sock: socket.socket) -> None:
    sock.sendall(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n")
    assert b"data" in sock.recv(65536) + sock.recv(65536)


def _never_reading(_process: Process, sock: socket.socket) -> None:
    sock.sendall(b"GET /flood HTTP/1.1\r\nhost: x\r\n\r\n")
    sock.recv(1)
    time.sleep(0.5)


def _blocking(process: Process, sock: socket.socket) -> None:
    sock.sendall(b"GET /block HTTP/1.1\r\nhost: x\r\n\r\n")
    process.hear("block")


def _stubborn(process: Process, sock: socket.socket) -> None:
    sock.sendall(b"GET /stubborn HTTP/1.1\r\nhost: x\r\n\r\n")
    process.hear("stubborn")


@LOOPS
@pytest.mark.parametrize("occupy", [_idle, _stream, _never_reading, _blocking, _stubborn])
def test_no_client_and_no_handler_holds_up_the_end(plain: bool, occupy: Any) -> None:  # noqa: FBT001
    with serving(plain=plain) as process, opened(process.port) as sock:
        occupy(process, sock)
        process.popen.send_signal(signal.SIGTERM)
        before = time.monotonic()
        process.hear("stopped")
        code, threads = process.hear("returned")
        # 1 s to drain and 2 s to force it, and as much again for a busy machine.
        assert time.monotonic() - before < 6
        assert bool(threads) == (occupy is _blocking)
        assert (code, process.popen.wait(SOON)) == (0, 0)


@LOOPS
def test_idle_tls_client_does_not_hold_up_the_end(
    plain: bool,  # noqa: FBT001
    authority: trustme.CA,
    certificate: dict[str, str],
) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with (
        serving({"hypercorn": certificate}, plain=plain) as process,
        opened(process.port) as plain_sock,
        context.wrap_socket(plain_sock, server_hostname="localhost") as sock,
    ):
        _idle(process, sock)
        process.popen.send_signal(signal.SIGTERM)
        before = time.monotonic()
        process.hear("returned")
        assert time.monotonic() - before < 6
        assert process.popen.wait(SOON) == 0


@LOOPS
def test_connection_that_fails_in_the_drain_takes_no_other_along(plain: bool) -> None:  # noqa: FBT001
    with (
        serving({"drain_timeout": 10}, plain=plain) as process,
        opened(process.port) as good,
        opened(process.port) as bad,
    ):
        bad.sendall(b"GET /burst HTTP/1.1\r\nhost: x\r\n\r\n")
        process.hear("burst")
        good.sendall(b"GET /late HTTP/1.1\r\nhost: x\r\n\r\n")
        process.hear("late")
        process.popen.send_signal(signal.SIGTERM)
        response = http.client.HTTPResponse(good)
        response.begin()
        assert response.read() == b"done"
        assert process.popen.wait(SOON) == 0
        assert "a connection failed in the drain" in process.errors()


@LOOPS
def test_open_websocket_is_told_to_come_back(plain: bool) -> None:  # noqa: FBT001
    with serving(plain=plain) as process:
        with connect(f"ws://127.0.0.1:{process.port}/ws", proxy=None) as websocket:
            websocket.send("hi")
            assert websocket.recv(SOON) == "hi"
            process.popen.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                websocket.recv(SOON)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert process.popen.wait(SOON) == 0
        assert len(process.errors().splitlines()) == 1


@LOOPS
@pytest.mark.parametrize("occupy, number", [(None, 0), ("_idle", 0), ("_stream", 1)])
def test_connections_that_are_cut_are_counted_in_one_line(
    plain: bool,  # noqa: FBT001
    occupy: str | None,
    number: int,
) -> None:
    with serving({"logging": {"format": "console"}}, plain=plain) as process:
        with opened(process.port) as sock, opened(process.port) as other:
            if occupy:
                globals()[occupy](process, sock)
                globals()[occupy](process, other)
            else:
                other.close()
            assert process.stop() == 0
        lines = [line for line in process.errors().splitlines() if "fps_lite.access" not in line]
        said = [f"cut {2 * number} connections that did not end within 1 s"] * number
        assert [line.partition("fps_lite.server  ")[2] for line in lines] == said


def test_idle_connection_does_not_wait_for_the_drain_timeout() -> None:
    with serving({"drain_timeout": 300}) as process, opened(process.port) as sock:
        _idle(process, sock)
        assert process.stop() == 0


def test_drain_refuses_new_clients_and_a_second_signal_cuts_it_short() -> None:
    with serving({"drain_timeout": 300}) as process, opened(process.port) as sock:
        _stream(process, sock)
        process.popen.send_signal(signal.SIGTERM)
        process.hear("stopping")
        _wait_until_refused(process.port)
        process.popen.send_signal(signal.SIGINT)
        process.hear("stopped")
        assert process.popen.wait(SOON) == 0
        (line,) = process.errors().splitlines()
        # One that was looked for above may have been accepted just before the end of that.
        number = line.partition('message="cut ')[2].partition(" ")[0]
        assert number in ("1", "2")
        assert line.rstrip('"').endswith(" at the second signal")


@LOOPS
def test_second_signal_ends_a_shutdown_that_hangs(plain: bool) -> None:  # noqa: FBT001
    with serving(options={"stop": "hang"}, plain=plain) as process:
        process.popen.send_signal(signal.SIGTERM)
        process.hear("hanging")
        assert process.stop() == 0


@LOOPS
def test_third_signal_ends_the_process_at_once(plain: bool) -> None:  # noqa: FBT001
    with serving(options={"stop": "block"}, plain=plain) as process:
        process.popen.send_signal(signal.SIGTERM)
        process.hear("blocking")
        process.popen.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert process.popen.poll() is None
        assert process.stop() == 1


def test_crash_of_the_app_drains_and_is_raised() -> None:
    with serving() as process, opened(process.port) as sock:
        assert fetch(sock, "/crash") == (200, b"crashing")
        process.hear("stopped")
        assert process.popen.wait(SOON) == 1
        assert process.errors() == "plugin db: crashed\n"


# --- options ---

SAMPLES: dict[str, Any] = {
    "alpn_protocols": ["http/1.1"],
    "alt_svc_headers": ['h3=":443"'],
    "backlog": 7,
    "ca_certs": "ca.pem",
    "certfile": "cert.pem",
    "ciphers": "AES",
    "dogstatsd_tags": "a:b",
    "group": 5,
    "h11_max_incomplete_size": 7,
    "h11_pass_raw_headers": True,
    "h2_max_concurrent_streams": 7,
    "h2_max_header_list_size": 7,
    "h2_max_inbound_frame_size": 2**15,
    "include_date_header": False,
    "include_server_header": True,
    "insecure_bind": ["127.0.0.1:80"],
    "keep_alive_max_requests": 7,
    "keep_alive_timeout": 7.5,
    "keyfile": "key.pem",
    "keyfile_password": "secret",
    "max_app_queue_size": 7,
    "max_requests": 7,
    "max_requests_jitter": 7,
    "read_timeout": 7.5,
    "server_names": ["a"],
    "ssl_handshake_timeout": 7.5,
    "statsd_host": "localhost:8125",
    "statsd_prefix": "p",
    "umask": 0o77,
    "user": 5,
    "verify_flags": ["x509_strict"],
    "verify_mode": "required",
    "websocket_max_message_size": 7,
    "websocket_ping_interval": 7.5,
}
CONVERTED = {"verify_flags": ssl.VERIFY_X509_STRICT, "verify_mode": ssl.CERT_REQUIRED}


def test_every_option_of_hypercorn_is_taken_moved_or_refused_for_a_reason() -> None:
    theirs = {
        name
        for name, value in vars(Config).items()
        if not name.startswith("_")
        and (isinstance(value, property) or name in Config.__annotations__ or not callable(value))
        and not isinstance(value, classmethod)
        and name not in {"log", "ssl_enabled"}  # read only
    } | set(Config.__annotations__) - {"_log"}
    theirs = {name for name in theirs if not name.startswith("_")} | {"logger_class"}
    fields = set(HypercornConfig.__struct_fields__)
    ours = [fields, set(HypercornConfig.moved), set(HypercornConfig.refused)]
    assert theirs == set.union(*ours)
    assert sum(map(len, ours)) == len(theirs)


def test_every_option_arrives_at_hypercorn() -> None:
    assert set(SAMPLES) | {"quic_bind"} == set(HypercornConfig.__struct_fields__)
    settings = settings_of(
        bind=["127.0.0.1:1", "unix:/x"],
        hypercorn=SAMPLES,
        drain_timeout=3,
        workers=1,
        root_path="/r",
    )
    config = server.hypercorn_config(settings)
    assert {name: getattr(config, name) for name in SAMPLES} == {**SAMPLES, **CONVERTED}
    assert config.bind == ["127.0.0.1:1", "unix:/x"]
    assert (config.graceful_timeout, config.root_path) == (3, "/r")
    assert (config.workers, config.accesslog, config.debug) == (1, None, False)


def test_defaults_are_ours_where_hypercorns_lose_requests_or_tell_the_server() -> None:
    config = server.hypercorn_config(settings_of(host="::1"))
    assert config.bind == ["[::1]:0"]
    assert config.keep_alive_max_requests == 2**31 - 1
    assert config.backlog == 512
    assert config.include_server_header is False


@pytest.mark.parametrize(
    "options, line",
    [
        ({"certfile": "x"}, "certfile: does nothing without fps.hypercorn.keyfile"),
        ({"insecure_bind": ["a:1"]}, "insecure_bind: does nothing without fps.hypercorn.certfile"),
        ({"verify_mode": "none"}, "verify_mode: does nothing without fps.hypercorn.certfile"),
        ({"umask": 7}, "umask: is for unix sockets, and fps.bind has none"),
        ({"max_requests": 7}, "max_requests: fps.workers = 0 has nobody who starts a new worker"),
        ({"statsd_host": "x"}, 'statsd_host: "x": expected HOST:PORT'),
    ],
)
def test_option_that_would_do_nothing_is_refused(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        server.hypercorn_config(settings_of(hypercorn=options, workers=0))
    assert f"fps.hypercorn.{line}" in refused.value.problems


@pytest.mark.parametrize(
    "text",
    ["80a", ":8000", "::1", "::1:80", "h:99999", "h:-1", "h:", "fd://x", "unix:", "a b:1",
     "foo..bar:1", ".:1", "[1::2::3]:1", "[x]:1", "[]:1", "x" * 64 + ":1"],
)  # fmt: skip
def test_address_that_is_not_clear_is_refused(text: str) -> None:
    forms = "expected HOST:PORT, [IPV6]:PORT, unix:PATH or fd://N"
    (error,) = server.check_certificates(settings_of(bind=[text]))
    assert str(error) == f'fps.bind: "{text}": {forms}'


@pytest.mark.parametrize(
    "host", ["", " ", "foo..bar", "x" * 300, "a:1", "unix:/x", "fd://3", "[::1", "a/b", "a\n"]
)
def test_host_that_is_none_is_refused_by_its_own_key(host: str) -> None:
    (error,) = server.check_certificates(settings_of(host=host))
    assert str(error) == f'fps.host: expected a host name or address, got "{host}"'


@pytest.mark.parametrize("host", ["::1", "[::1]", "::", "fe80::1%lo", "localhost.", "bücher.de"])
def test_host_is_a_name_or_an_address(host: str) -> None:
    assert server.check_certificates(settings_of(host=host)) == ()


def test_unknown_verify_flag_is_refused_with_the_known_ones() -> None:
    options = {"certfile": "c", "keyfile": "k", "verify_flags": ["crl"]}
    with pytest.raises(ConfigError, match='verify_flags: "crl": expected allow_proxy_certs, '):
        server.hypercorn_config(settings_of(hypercorn=options))


def problems(certificate: dict[str, str], **options: Any) -> list[str]:
    settings = settings_of(hypercorn={**certificate, **options})
    return [str(error) for error in server.check_certificates(settings)]


def test_good_certificate_has_no_problem(certificate: dict[str, str]) -> None:
    assert problems(certificate) == []


def test_every_missing_tls_file_is_named() -> None:
    assert problems({"certfile": "/no/c", "keyfile": "/no/k"}, ca_certs="/no/a") == [
        "fps.hypercorn.certfile: /no/c: no such file or directory",
        "fps.hypercorn.keyfile: /no/k: no such file or directory",
        "fps.hypercorn.ca_certs: /no/a: no such file or directory",
    ]


def test_tls_files_that_cannot_be_used_are_named(
    certificate: dict[str, str], authority: trustme.CA, tmp_path: Path
) -> None:
    text, other = str(tmp_path / "text"), str(tmp_path / "other.pem")
    Path(text).write_text("no pem")
    authority.issue_cert("other").private_key_pem.write_to_path(other)
    no_pem = f"{text}: has no certificate in PEM form"
    assert problems(certificate, certfile=text) == [f"fps.hypercorn.certfile: {no_pem}"]
    assert problems(certificate, ca_certs=text) == [f"fps.hypercorn.ca_certs: {no_pem}"]
    (line,) = problems(certificate, keyfile=other)
    assert line == f"fps.hypercorn.keyfile: {other}: is not the key of {certificate['certfile']}"
    (line,) = problems(certificate, keyfile=text)
    assert line.startswith(f"fps.hypercorn.keyfile: {text}: cannot be used (")
    (line,) = problems(certificate, ciphers="ROT13")
    assert line == 'fps.hypercorn.ciphers: "ROT13": OpenSSL knows no such cipher'
    (line,) = problems(certificate, verify_mode="required")
    assert "ca_certs" in line


def test_encrypted_key_is_opened_by_its_password_alone(
    certificate: dict[str, str], tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives import serialization as keys

    key = keys.load_pem_private_key(Path(certificate["keyfile"]).read_bytes(), None)
    path = tmp_path / "encrypted.pem"
    encryption = keys.BestAvailableEncryption(b"sesame")
    form = keys.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(keys.Encoding.PEM, form, encryption))
    own = {**certificate, "keyfile": str(path)}
    assert problems(own, keyfile_password="sesame") == []
    (line,) = problems(own, keyfile_password="wrong")
    assert line == f"fps.hypercorn.keyfile_password: does not open {path}"
    (line,) = problems(own)
    assert line == f"fps.hypercorn.keyfile: {path}: is encrypted: set keyfile_password"


def test_bad_certificate_is_refused_before_the_port_is_taken() -> None:
    with pytest.raises(ConfigError, match="certfile: /no"):
        server.bind_sockets(settings_of(hypercorn={"certfile": "/no", "keyfile": "/no"}))


def test_metrics_go_to_statsd() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind(("127.0.0.1", 0))
        statsd.settimeout(SOON)
        host = f"127.0.0.1:{statsd.getsockname()[1]}"
        options = {"statsd_host": host, "statsd_prefix": "mine"}
        with serving({"hypercorn": options}) as process:
            with opened(process.port) as sock:
                assert fetch(sock, "/hello")[0] == 200
            received = b""
            with suppress(TimeoutError):
                while b"mine.hypercorn.requests:" not in received:
                    received = statsd.recv(1000)
            assert b"mine.hypercorn.requests:1" in received
            assert process.stop() == 0
