"""A WSGI app is served as PEP 3333 has it, and no client can keep one of its threads."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import time
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

import httpx2
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Server, Site

Serve: TypeAlias = "Callable[..., Server]"

THREADS = 40
LIMIT = 20.0
APPS = '''
import hashlib, json, sys, threading, time
from wsgiref.validate import validator

PLAIN = [("Content-Type", "text/plain")]
counted = {"streams": 0, "closed": 0, "told": []}
lock = threading.Lock()
together = threading.Barrier(40, timeout=20)


def count(name):
    with lock:
        counted[name] += 1
        print(name, counted[name], file=sys.stderr, flush=True)


def state(environ, start_response):
    start_response("200 OK", PLAIN)
    return [json.dumps(counted).encode()]


def events(environ, start_response):
    """Send events for ever, as a tab wants them."""
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    def body():
        count("streams")
        try:
            while True:
                yield b"data: x\\n\\n"
                time.sleep(0.05)
        finally:
            count("closed")
    return body()


def floods(environ, start_response):
    """Send more than sockets hold."""
    start_response("200 OK", PLAIN)

    def body():
        count("streams")
        try:
            while True:
                yield b"x" * 1_000_000
        finally:
            count("closed")
    return body()


def quiet(environ, start_response):
    """Send one event, and then none that anybody could see."""
    start_response("200 OK", PLAIN)

    def body():
        try:
            yield b"one"
            while True:
                yield b""
                time.sleep(0.05)
        finally:
            count("closed")
    return body()


def writes(environ, start_response):
    """Send for ever by `write`."""
    write = start_response("200 OK", PLAIN)
    try:
        while True:
            write(b"data\\n")
            time.sleep(0.05)
    except OSError as error:
        counted["told"].append(type(error).__name__)
        raise
    finally:
        count("closed")


def reads(environ, start_response):
    """Read a body that may never come."""
    count("streams")
    try:
        got = environ["wsgi.input"].read()
    except OSError as error:
        counted["told"].append(type(error).__name__)
        raise
    finally:
        count("closed")
    start_response("200 OK", PLAIN)
    return [hashlib.sha256(got).hexdigest().encode()]


def readers(environ, start_response):
    """Read as `cgi.FieldStorage` does, line by line with a limit."""
    lines = []
    while line := environ["wsgi.input"].readline(1 << 16):
        lines.append(line.decode())
    start_response("200 OK", PLAIN)
    return [json.dumps(lines).encode()]


def readlines(environ, start_response):
    start_response("200 OK", PLAIN)
    lines = [line.decode() for line in environ["wsgi.input"].readlines()]
    return [json.dumps([lines, environ["wsgi.input"].read().decode()]).encode()]


def iterates(environ, start_response):
    """Answer each line as it comes."""
    start_response("200 OK", PLAIN)
    for line in environ["wsgi.input"]:
        yield line.upper()


def mirror(environ, start_response):
    """Show the environ."""
    start_response("200 OK", PLAIN)
    shown = {key: value for key, value in environ.items() if isinstance(value, str | bool)}
    shown["body"] = environ["wsgi.input"].read().decode("latin-1")
    return [json.dumps(shown).encode()]


def complains(environ, start_response):
    print("one more complaint", file=environ["wsgi.errors"])
    start_response("200 OK", PLAIN)
    return [b"noted"]


def replaces(environ, start_response):
    """Begin well, and fail before anything was sent."""
    start_response("200 OK", [("X-First", "1")])
    yield b""
    try:
        1 / 0
    except ZeroDivisionError:
        start_response("503 Gone Home", [("X-Second", "2")], sys.exc_info())
    yield b"sorry"


def too_late(environ, start_response):
    start_response("200 OK", [("Content-Length", "100")])
    yield b"begun"
    try:
        raise ZeroDivisionError("too late")
    except ZeroDivisionError:
        start_response("500 Oh", [], sys.exc_info())
    yield b"never"


def twice(environ, start_response):
    start_response("200 OK", PLAIN)
    start_response("201 Created", PLAIN)
    return [b"never"]


def never(environ, start_response):
    return [b"no head"]


def text(environ, start_response):
    start_response("200 OK", PLAIN)
    return ["no bytes"]


def nonsense(environ, start_response):
    start_response("fine", PLAIN)
    return [b"fine"]


def raises(environ, start_response):
    raise RuntimeError("raised at once")


def exits(environ, start_response):
    sys.exit("left")


def breaks(environ, start_response):
    """Raise in the middle."""
    start_response("200 OK", PLAIN)

    def body():
        try:
            for _ in range(3):
                yield b"x" * 1000
            raise RuntimeError("in the middle")
        finally:
            count("closed")
    return body()


class Unclosable(list):
    def close(self):
        count("closed")
        raise RuntimeError("cannot be closed")


def unclosable(environ, start_response):
    start_response("200 OK", PLAIN)
    return Unclosable([b"all ", b"of it"])


def late(environ, start_response):
    """Call `start_response` only when iterated."""
    start_response("200 OK", PLAIN)
    yield b"late"


def bare(environ, start_response):
    start_response("200", [])
    return [b"bare"]


def nothing(environ, start_response):
    start_response("200 OK", PLAIN)
    return []


def no_content(environ, start_response):
    start_response("204 No Content", [])
    return []


def not_modified(environ, start_response):
    start_response("304 Not Modified", [("ETag", '"1"')])
    return iter([])


def written(environ, start_response):
    write = start_response("200 OK", PLAIN)
    write(b"written ")
    return [b"and ", b"returned"]


def meets(environ, start_response):
    together.wait()
    start_response("200 OK", PLAIN)
    return [threading.current_thread().name.encode()]


def sees(environ, start_response):
    from outer_plugin import user
    start_response("200 OK", PLAIN)
    return [user.get().encode()]


def sleeps(environ, start_response):
    """Answer when the client has left."""
    time.sleep(1)
    count("closed")
    start_response("200 OK", PLAIN)
    return [b"slept"]


def polite(environ, start_response):
    """Be what the validator approves of."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length)
    environ["wsgi.errors"].write("polite")
    start_response("200 OK", PLAIN)
    return iter([b"read ", body])


valid = validator(polite)


def app(environ, start_response):
    return globals()[environ["PATH_INFO"].strip("/")](environ, start_response)
'''
MOUNTS = """
[[fps.mounts]]
path = "/w"
app = "apps:app"
wsgi = true

[[fps.mounts]]
path = "/valid"
app = "apps:valid"
wsgi = true

[[fps.mounts]]
path = "/shown"
app = "apps:mirror"
wsgi = true

[[fps.mounts]]
path = "/stripped"
app = "apps:mirror"
wsgi = true
strip_prefix = true
"""


@pytest.fixture
def apps(site: Site, work: Path) -> None:
    site.module("apps", APPS)
    (work / "fps.toml").write_text(MOUNTS)


@pytest.fixture
def server(apps: None, serve: Serve) -> Server:  # noqa: ARG001
    return serve("--fps.drain_timeout=1")


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"{server.url}/w", timeout=LIMIT) as client:
        yield client


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    at = urlsplit(server.url)
    with closing(socket.create_connection((at.hostname, at.port), LIMIT)) as connection:
        yield connection


def ask(
    connection: socket.socket, path: str, *headers: str, method: str = "GET", body: bytes = b""
) -> None:
    lines = [f"{method} {path} HTTP/1.1", "host: x", *headers, "", ""]
    connection.sendall("\r\n".join(lines).encode("latin-1") + body)


def until(connection: socket.socket, expected: bytes) -> bytes:
    """Return what was received when `expected` has come."""
    got = b""
    while expected not in got:
        data = connection.recv(65536)
        assert data, got
        got += data
    return got


def in_time(client: httpx2.Client, within: float = LIMIT, **expected: object) -> dict[str, Any]:
    """Return what the apps have counted, once it is what is expected."""
    deadline = time.monotonic() + within
    while True:
        counted: dict[str, Any] = client.get("/state").json()
        if expected.items() <= counted.items():
            return counted
        assert time.monotonic() < deadline, counted
        time.sleep(0.1)


def said(server: Server, text: str) -> bool:
    """Tell whether the server says `text` in time."""
    deadline = time.monotonic() + LIMIT
    while not any(text in line for line in server.lines):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


# A client that has left.


def test_closed_event_streams_free_every_thread(server: Server, client: httpx2.Client) -> None:
    with ExitStack() as tabs:
        for _ in range(THREADS):
            tab = tabs.enter_context(connected(server))
            ask(tab, "/w/events")
            until(tab, b"data: x")
    in_time(client, streams=THREADS, closed=THREADS)
    assert not [line for line in server.lines if "Traceback" in line]


@pytest.mark.parametrize("name", ["quiet", "writes"])
def test_left_client_ends_what_sends_nothing_and_what_writes(
    server: Server, client: httpx2.Client, name: str
) -> None:
    with connected(server) as connection:
        ask(connection, f"/w/{name}")
        until(connection, b"one" if name == "quiet" else b"data")
    counted = in_time(client, closed=1)
    assert counted["told"] == ([] if name == "quiet" else ["LostError"])
    assert not [line for line in server.lines if "Traceback" in line]


def waits(unread: int) -> Any:
    return pytest.param(unread, marks=(pytest.mark.slow, pytest.mark.timeout(200)))


@pytest.mark.parametrize("unread", [1, 10_000, waits(100_000), waits(10_000_000)])
def test_client_that_leaves_with_its_body_unread_is_noticed(
    server: Server, client: httpx2.Client, unread: int
) -> None:
    with connected(server) as connection:
        connection.settimeout(1)
        ask(connection, "/w/events", f"content-length: {unread + 1}", method="POST")
        until(connection, b"data: x")
        with pytest.raises(TimeoutError) if unread > 1_000_000 else ExitStack():
            connection.sendall(b"x" * unread)
    in_time(client, within=20 if unread < 65536 else 150, closed=1)


def test_client_that_leaves_an_upload_is_an_error_of_its_reader(
    server: Server, client: httpx2.Client
) -> None:
    with connected(server) as connection:
        ask(connection, "/w/reads", "content-length: 10", method="POST", body=b"half")
        in_time(client, streams=1)
    assert in_time(client, closed=1)["told"] == ["LostError"]


def test_reset_http_2_stream_frees_its_thread(server: Server, client: httpx2.Client) -> None:
    with connected(server) as connection:
        peer = http2(connection, b"/w/events")
        until(connection, b"data: x")
        peer.reset_stream(1)
        connection.sendall(peer.data_to_send())
        in_time(client, closed=1)


def test_no_thread_outlives_a_drain_that_is_cut(server: Server, client: httpx2.Client) -> None:
    with connected(server) as reads, connected(server) as deaf:
        ask(reads, "/w/reads", "content-length: 10", method="POST", body=b"half")
        ask(deaf, "/w/floods")  # none of it is received
        in_time(client, streams=2)
        client.close()
        assert server.stop() == 0
    assert said(server, "closed 2"), server.lines


# What a client sends.


def test_lines_are_whole_however_they_arrive(server: Server, client: httpx2.Client) -> None:
    def slowly() -> Iterator[bytes]:
        for piece in (b"on", b"e\ntwo", b"\n", b"x" * 100_000, b"\nlast"):
            yield piece
            time.sleep(0.1)

    lines = client.post("/readers", content=slowly()).json()
    assert lines == ["one\n", "two\n", "x" * 65536, "x" * (100_000 - 65536) + "\n", "last"]
    assert client.post("/readlines", content=b"a\n\nb").json() == [["a\n", "\n", "b"], ""]
    assert client.post("/readlines", content=b"").json() == [[], ""]
    assert client.get("/readers").json() == []
    assert server.stop() == 0


def test_line_is_answered_before_the_next_is_sent(server: Server) -> None:
    with connected(server) as connection:
        ask(connection, "/w/iterates", "transfer-encoding: chunked", method="POST")
        for line in ("one", "two"):
            connection.sendall(f"4\r\n{line}\n\r\n".encode())
            until(connection, line.upper().encode())
        connection.sendall(b"0\r\n\r\n")
        until(connection, b"0\r\n\r\n")


def test_body_without_a_length_is_said_to_end(client: httpx2.Client) -> None:
    seen = client.post("/mirror", content=iter([b"a", b"b"])).json()
    assert "CONTENT_LENGTH" not in seen
    assert seen["wsgi.input_terminated"] is True
    assert seen["body"] == "ab"


def test_large_upload_arrives_whole(client: httpx2.Client) -> None:
    body = bytes(range(256)) * 200_000
    answer = client.post("/reads", content=body)
    assert answer.text == hashlib.sha256(body).hexdigest()


def test_cookies_in_several_headers_are_one(server: Server) -> None:
    cookies = ("cookie: a=1", "x-many: 1", "cookie: b=2", "x-many: 2")
    with connected(server) as connection:
        ask(connection, "/w/mirror", *cookies, "connection: close")
        seen = until(connection, b"input_terminated")
    assert b'"HTTP_COOKIE": "a=1; b=2"' in seen
    assert b'"HTTP_X_MANY": "1,2"' in seen


def test_header_cannot_pass_for_another(client: httpx2.Client) -> None:
    seen = client.get("/mirror", headers={"X_User": "eve"}).json()
    assert "HTTP_X_USER" not in seen


def http2(connection: socket.socket, path: bytes, *headers: tuple[bytes, bytes]) -> H2Connection:
    """Send a request of HTTP/2; return the client's state."""
    peer = H2Connection(H2Configuration())
    peer.initiate_connection()
    head = [(b":method", b"GET"), (b":path", path), (b":scheme", b"http"), (b":authority", b"x")]
    peer.send_headers(1, [*head, *headers], end_stream=True)
    connection.sendall(peer.data_to_send())
    return peer


def answer_of(peer: H2Connection, connection: socket.socket) -> bytes:
    body = b""
    while True:
        for event in peer.receive_data(connection.recv(65536)):
            if isinstance(event, DataReceived):
                body += event.data
            elif isinstance(event, StreamEnded):
                return body


def test_query_may_have_any_bytes(server: Server) -> None:
    with connected(server) as connection:
        peer = http2(connection, b"/w/mirror?q=\xff")
        assert json.loads(answer_of(peer, connection))["QUERY_STRING"] == "q=\xff"


# What an app answers.


def test_head_can_be_replaced_until_something_was_sent(client: httpx2.Client) -> None:
    answer = client.get("/replaces")
    assert (answer.status_code, answer.text) == (503, "sorry")
    assert answer.headers["x-second"] == "2"
    assert "x-first" not in answer.headers


@pytest.mark.parametrize(
    "name, error",
    [
        ("too_late", "ZeroDivisionError: too late"),
        ("breaks", "RuntimeError: in the middle"),
    ],
)
def test_answer_that_fails_in_the_middle_is_seen_to_be_cut(
    server: Server, client: httpx2.Client, name: str, error: str
) -> None:
    with client.stream("GET", f"/{name}") as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx2.RemoteProtocolError):
            answer.read()
    assert in_time(client, closed=int(name == "breaks"))
    assert said(server, error)


FAULTY = {
    "twice": "AssertionError: start_response was called twice, the second time without exc_info",
    "never": "AssertionError: the WSGI app answered without calling start_response",
    "text": "TypeError: a WSGI app answers with bytes, not with str",
    "nonsense": "ValueError: a WSGI status is like",
    "raises": "RuntimeError: raised at once",
    "exits": "SystemExit: left",
}


def test_faulty_app_is_a_500_and_says_why(server: Server, client: httpx2.Client) -> None:
    for name, error in FAULTY.items():
        assert (name, client.get(f"/{name}").status_code) == (name, 500)
        assert said(server, error), server.lines
    assert client.get("/late").text == "late"


def test_error_in_close_leaves_the_answer_whole(server: Server, client: httpx2.Client) -> None:
    for _ in range(20):
        assert client.get("/unclosable").text == "all of it"
    assert in_time(client, closed=20)
    assert said(server, "cannot be closed")


ANSWERS = [
    ("GET", "late", 200, "late"),
    ("GET", "bare", 200, "bare"),
    ("GET", "nothing", 200, ""),
    ("GET", "written", 200, "written and returned"),
    ("HEAD", "written", 200, ""),
    ("HEAD", "bare", 200, ""),
    ("GET", "no_content", 204, ""),
    ("GET", "not_modified", 304, ""),
]


def test_answer_of_any_shape_is_served(client: httpx2.Client) -> None:
    for method, name, status, text in ANSWERS * 2:
        answer = client.request(method, f"/{name}")
        assert (name, answer.status_code, answer.text) == (name, status, text)


def test_complaints_go_to_stderr(apps: None, serve: Serve, tmp_path: Path) -> None:  # noqa: ARG001
    errors = tmp_path / "errors"
    with errors.open("w") as stderr:
        server = serve(stderr=stderr)
        assert httpx2.get(f"{server.url}/w/complains").text == "noted"
        assert server.stop() == 0
    assert "one more complaint" in errors.read_text()
    assert not [line for line in server.lines if "complaint" in line]


def test_forty_requests_are_answered_side_by_side(client: httpx2.Client) -> None:
    async def everyone() -> list[str]:
        limits = httpx2.Limits(max_connections=THREADS)
        async with httpx2.AsyncClient(limits=limits, timeout=LIMIT) as many:
            asked = (many.get(f"{client.base_url}meets") for _ in range(THREADS))
            return [answer.text for answer in await asyncio.gather(*asked)]

    names = asyncio.run(everyone())
    assert len(set(names)) == THREADS
    assert all(name.startswith("WSGI") for name in names)


def test_validator_finds_no_fault(server: Server) -> None:
    for path in ("/valid", "/valid/", "/valid/n?q=1"):
        answer = httpx2.post(f"{server.url}{path}", content=b"a body", timeout=LIMIT)
        assert answer.text == "read a body"
        assert httpx2.get(f"{server.url}{path}").text == "read "
    assert not [line for line in server.lines if "Error" in line or "Warning" in line]


# Where it is mounted.


@pytest.mark.parametrize("root", ["", "/r"])
@pytest.mark.parametrize("path", ["/shown", "/stripped"])
def test_prefix_is_the_script_name(
    apps: None,  # noqa: ARG001
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    root: str,
    path: str,
) -> None:
    monkeypatch.setenv("SCRIPT_NAME", "/of-another-app")
    server = serve(*(["--root-path", root] if root else []))
    for rest, shown in [
        ("", "/"),
        ("/", "/"),
        ("/n", "/n"),
        ("/a%2Fb%20%C3%A9", "/a/b Ã©"),
        (f"{path}/n", f"{path}/n"),
        (f"{path}er", f"{path}er"),
    ]:
        seen = httpx2.get(f"{server.url}{path}{rest}").json()
        assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == (root + path, shown)


# What stands before it.

MIDDLEWARE = """
import asyncio
from contextvars import ContextVar
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from fps_lite import hookimpl

user = ContextVar("user")


class Limits:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def limited():
            message = await receive()
            if len(message.get("body", b"")) > 1000:
                raise HTTPException(413, "too much")
            return message

        user.set("wren")
        try:
            async with asyncio.timeout(1 if scope["query_string"] == b"cut" else 60):
                await self.app(scope, limited, send)
        except TimeoutError:
            pass


async def passes(request, call_next):
    return await call_next(request)


@hookimpl
def middleware():
    return [Middleware(BaseHTTPMiddleware, dispatch=passes), Middleware(Limits)]
"""


@pytest.fixture
def behind(site: Site) -> None:
    site.plugin("outer", MIDDLEWARE)


@pytest.mark.usefixtures("behind")
def test_app_sees_the_context_of_its_request(client: httpx2.Client) -> None:
    assert client.get("/sees").text == "wren"


@pytest.mark.usefixtures("behind")
def test_request_that_a_middleware_cancels_frees_its_thread(
    server: Server, client: httpx2.Client
) -> None:
    with connected(server) as reads, connected(server) as deaf, connected(server) as writes:
        ask(reads, "/w/reads?cut", "content-length: 10", method="POST", body=b"half")
        ask(deaf, "/w/floods?cut")  # none of it is received
        ask(writes, "/w/writes?cut")
        counted = in_time(client, closed=3)
    assert counted["told"] == ["LostError"] * 2


@pytest.mark.usefixtures("behind")
def test_request_that_is_cancelled_in_the_queue_never_begins(
    server: Server, client: httpx2.Client
) -> None:
    with ExitStack() as stack:
        for _ in range(THREADS):
            reads = stack.enter_context(connected(server))
            ask(reads, "/w/reads", "content-length: 10", method="POST", body=b"half")
        assert said(server, f"streams {THREADS}")
        queued = stack.enter_context(connected(server))
        ask(queued, "/w/writes?cut")
        assert said(server, "GET /w/writes")
    assert in_time(client, closed=THREADS)["told"] == ["LostError"] * THREADS


@pytest.mark.usefixtures("behind")
def test_body_that_a_middleware_refuses_is_refused_in_its_words(client: httpx2.Client) -> None:
    assert client.post("/reads", content=b"x" * 100).status_code == 200
    answer = client.post("/reads", content=b"x" * 2000)
    assert (answer.status_code, answer.text) == (413, "too much")


@pytest.mark.usefixtures("behind")
def test_client_that_leaves_behind_middleware_is_no_error(
    server: Server, client: httpx2.Client
) -> None:
    for name in ("events", "writes", "sleeps"):
        with connected(server) as connection:
            ask(connection, f"/w/{name}")
            if name != "sleeps":
                until(connection, b"data")
    in_time(client, closed=3)
    assert not [line for line in server.lines if "Traceback" in line], server.lines
