from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import re
import string
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient

from fps_lite import logs
from fps_lite.logs.about import REQUEST
from fps_lite.settings import LoggingConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send
    from starlette.websockets import WebSocket

LOGGER = logging.getLogger("fps_lite.hello")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def root() -> Iterator[logging.Logger]:
    """Put back what `configure` changes: it is for a process of its own."""
    root, hypercorn = logging.getLogger(), logging.getLogger("hypercorn.error")
    before = root.handlers[:], root.level, hypercorn.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield root
    logging.captureWarnings(capture=False)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    root.handlers[:], level, quiet = before
    root.setLevel(level)
    hypercorn.setLevel(quiet)


def configured(*secrets: str, stream: io.StringIO | None = None, **settings: Any) -> io.StringIO:
    stream = io.StringIO() if stream is None else stream
    logs.configure(LoggingConfig(**settings), stream=stream, secrets=frozenset(secrets))
    return stream


def failed(message: str) -> None:
    try:
        raise ValueError(message)  # noqa: TRY301
    except ValueError:
        LOGGER.exception("it failed")


def test_console_line_has_time_level_logger_and_message() -> None:
    stream = configured(format="console")
    LOGGER.info("hello %s", "world")
    assert re.fullmatch(r"\d\d:\d\d:\d\d info  fps_lite\.hello  hello world\n", stream.getvalue())


def test_auto_is_console_in_colour_on_a_terminal_and_logfmt_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = configured(stream=Terminal())
    LOGGER.warning("hello")
    assert " \x1b[33mwarning\x1b[0m fps_lite.hello  hello" in terminal.getvalue()
    pipe = configured()
    LOGGER.warning("hello")
    assert pipe.getvalue().startswith("time=")
    assert "\x1b" not in pipe.getvalue()


@pytest.mark.parametrize("name, value", [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_terminal_that_wants_no_colour_gets_none(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv(name, value)
    terminal = configured(stream=Terminal())
    LOGGER.error("hello")
    assert "\x1b" not in terminal.getvalue()


def test_logfmt_quotes_what_would_be_read_as_another_field() -> None:
    stream = configured(format="logfmt")
    LOGGER.info('a "b" c=d \\ \n level=error')
    pattern = r'time=\S+Z level=info logger=fps_lite\.hello pid=\d+ message="(.*)"\n'
    found = re.fullmatch(pattern, stream.getvalue())
    assert found is not None
    assert found[1] == 'a \\"b\\" c=d \\\\ \\n level=error'


def test_json_is_one_object_a_line() -> None:
    stream = configured(format="json")
    LOGGER.info("a\nb\x1b[31m")
    failed("wrong")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["level"], first["message"]) == ("info", "a\nb\x1b[31m")
    assert "traceback" not in first
    assert second["traceback"].endswith("ValueError: wrong")


@pytest.mark.parametrize("form", ["console", "logfmt", "json"])
@pytest.mark.parametrize(
    "char", ["\n", "\r", "\x1b", "\x7f", "\x9b", "\u2028", "\u202e", "\ud800"], ids=ascii
)
def test_record_is_one_line_whatever_is_in_it(form: str, char: str, root: logging.Logger) -> None:
    stream = configured(format=form)
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "a%sb", (char,), None)
    # Not through a logger: pytest's own handlers would see what this one must escape.
    root.handlers[-1].handle(record)
    line = stream.getvalue()
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    # In JSON the delete character stands for itself, as its grammar has it.
    assert char not in line[:-1] or (form, char) == ("json", "\x7f")
    line.encode()


def test_traceback_is_indented_on_the_console_so_that_it_forges_no_record() -> None:
    stream = configured(format="console")
    failed("wrong\n12:00:00 info  fps_lite  forged")
    head, *below = stream.getvalue().splitlines()
    assert head.endswith("it failed")
    assert len(below) > 3
    assert all(line.startswith(logs.INDENT) for line in below)


@pytest.mark.parametrize("form", ["console", "logfmt", "json"])
@pytest.mark.parametrize("secret", ["sesame", 'se"sa\\me', "se\nsame", "sésame"])
def test_secret_is_masked_in_messages_tracebacks_and_fields(form: str, secret: str) -> None:
    stream = configured(secret, format=form)
    LOGGER.info("token %s and %r", secret, secret, extra={"fields": {"path": f"/{secret}"}})
    failed(f"bad token {secret}")
    written = stream.getvalue()
    assert "***" in written
    for trace in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], "same", "ésame"):
        assert trace not in written


def test_wrong_log_call_is_a_masked_line_and_no_traceback(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = configured("sesame", format="console")
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "%d items", ("sesame",), None)
    root.handlers[-1].handle(record)
    assert stream.getvalue().endswith("info  x  %d items ('***',)\n")
    assert capsys.readouterr().err == ""


def test_escaping_imports_nothing() -> None:
    code = (
        "import io, logging, sys; from fps_lite import logs; from fps_lite.settings import *\n"
        "logs.configure(LoggingConfig(), stream=io.StringIO(), secrets=frozenset())\n"
        "before = set(sys.modules); logging.error('\\x1b\\ud800')\n"
        "assert set(sys.modules) == before, set(sys.modules) - before"
    )
    root = Path(__file__).parent.parent
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30, cwd=root)


def test_line_that_nobody_reads_is_dropped_counted_and_never_waited_for() -> None:
    reader, writer = os.pipe()
    with closing(os.fdopen(reader, "rb")) as pipe, os.fdopen(writer, "w") as stream:
        logs.configure(LoggingConfig(format="console"), stream=stream, secrets=frozenset())
        LOGGER.info("first %s", "x" * 200_000)
        for _ in range(3):
            LOGGER.info("unread")
        os.set_blocking(reader, False)
        cut = pipe.read()
        assert b"  first xxx" in cut
        assert not cut.endswith(b"\n")
        LOGGER.info("read again")
        rest = pipe.read().decode().splitlines()
    assert rest[0] == ""
    assert rest[1].endswith(
        "warning fps_lite.logs  log lines dropped, as they could not be written: 4"
    )
    assert rest[2].endswith("read again")
    assert len(rest) == 3


def test_long_line_arrives_whole_where_somebody_reads() -> None:
    reader, writer = os.pipe()
    text = "é" * 300_000
    with closing(os.fdopen(reader, encoding="utf-8")) as pipe:
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.extend(pipe))
        thread.start()
        with os.fdopen(writer, "w", encoding="utf-8") as stream:
            logs.configure(LoggingConfig(format="console"), stream=stream, secrets=frozenset())
            LOGGER.info(text)
        thread.join(20)
    assert [line.rpartition("  ")[2] for line in found] == [f"{text}\n"]


def test_reader_that_has_gone_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        logs.configure(LoggingConfig(), stream=stream, secrets=frozenset())
        LOGGER.error("lost")
    assert capsys.readouterr() == ("", "")


def test_other_loggers_and_handlers_are_left_alone(root: logging.Logger) -> None:
    other, handler = logging.getLogger("somebody.else"), logging.NullHandler()
    root.addHandler(handler)
    first = configured(format="console")
    second = configured(format="console", level="warning")
    other.info("hidden")
    other.warning("seen")
    assert first.getvalue() == ""
    assert second.getvalue().count("\n") == 1
    assert handler in root.handlers
    assert not other.disabled


def test_hypercorn_does_not_say_where_it_listens_unless_at_debug() -> None:
    hypercorn = logging.getLogger("hypercorn.error")
    stream = configured()
    hypercorn.info("Running on http://127.0.0.1:8000 (CTRL + C to quit)")
    hypercorn.error("bad")
    assert stream.getvalue().count("\n") == 1
    stream = configured(level="debug")
    hypercorn.info("Running")
    assert "Running" in stream.getvalue()


def test_record_is_as_it_was_for_other_handlers(root: logging.Logger) -> None:
    configured("wrong", format="console")
    try:
        raise ValueError("wrong")  # noqa: TRY301
    except ValueError:
        record = LOGGER.makeRecord("x", logging.ERROR, "x.py", 1, "it", (), sys.exc_info())
    before = dict(vars(record))
    root.handlers[-1].handle(record)
    assert vars(record) == before


async def hello(_request: Request) -> Response:
    return PlainTextResponse("hello")


async def fail(_request: Request) -> Response:
    raise ValueError


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


async def reject(websocket: WebSocket) -> None:
    await websocket.close()


@pytest.fixture
def client() -> TestClient:
    routes = [
        Route("/fail", fail),
        WebSocketRoute("/talk", talk),
        WebSocketRoute("/reject", reject),
        Route("/{rest:path}", hello, methods=["GET", "POST"]),
    ]
    app = logs.AccessLog(Starlette(routes=routes), logging.getLogger("fps_lite.access"))
    return TestClient(app, raise_server_exceptions=False)


def access_lines(stream: io.StringIO) -> list[str]:
    """Return what is not the test client's own log."""
    return [line for line in stream.getvalue().splitlines() if "httpx" not in line]


def test_request_is_logged_with_what_was_sent(client: TestClient) -> None:
    stream = configured(format="console")
    client.post("/a%20b?token=secret")
    pattern = (
        r".* info  fps_lite\.access  POST /a%20b 200 5B [\d.]+ms testclient:50000  [0-9a-f]{12}"
    )
    (line,) = access_lines(stream)
    assert re.fullmatch(pattern, line)


def test_request_is_fields_for_a_machine(client: TestClient) -> None:
    stream = configured(format="json")
    client.get("/fail")
    (line,) = map(json.loads, access_lines(stream))
    assert line["message"].startswith("GET /fail 500 ")
    assert (line["method"], line["path"], line["status"]) == ("GET", "/fail", 500)


def test_path_forges_no_line_and_sends_nothing_to_the_terminal(client: TestClient) -> None:
    stream = configured(format="console")
    client.get("/a%0aFAKE%1b[31m")
    (line,) = access_lines(stream)
    assert "GET /a%0aFAKE%1b[31m 404" in line


def test_websocket_is_logged_when_it_has_ended(client: TestClient) -> None:
    stream = configured(format="console")
    with client.websocket_connect("/talk") as websocket:
        websocket.receive_text()
    with pytest.raises(Exception), client.websocket_connect("/reject"):  # noqa: B017, PT011
        pass
    first, second = access_lines(stream)
    assert "GET /talk 101 5B" in first
    assert "GET /reject 403 0B" in second


def test_nothing_is_measured_when_nobody_listens(client: TestClient) -> None:
    stream = configured(level="error")
    assert client.get("/").text == "hello"
    assert stream.getvalue() == ""


def access_log(**settings: Any) -> TestClient:
    """A client of `hello` and `fail` behind an access log with these settings."""
    routes = [Route("/fail", fail), Route("/{rest:path}", hello)]
    logger = logging.getLogger("fps_lite.access")
    app = logs.AccessLog(Starlette(routes=routes), logger, LoggingConfig(**settings))
    return TestClient(app, raise_server_exceptions=False)


def test_sample_is_a_share_and_has_all_that_failed() -> None:
    stream = configured(format="json")
    client = access_log(access_sample=0.5)
    for _ in range(200):
        client.get("/")
    found = len(access_lines(stream))
    assert 40 < found < 160  # outside once in 10^17
    none = access_log(access_sample=0)
    none.get("/")
    none.get("/fail")
    (line,) = map(json.loads, access_lines(stream)[found:])
    assert line["status"] == 500


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=70) | st.from_regex(r"\A[A-Za-z0-9._-]{1,70}\Z").map(str.encode))
def test_id_of_a_request_is_the_given_one_if_that_is_a_plain_word(given_id: bytes) -> None:
    seen: list[str] = []

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        request = REQUEST.get()
        assert request is not None
        seen.extend([request.id, request.id])

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"x-request-id", given_id)]}
    log = logs.AccessLog(app, logging.getLogger("fps_lite.access"), LoggingConfig(access=False))
    asyncio.run(log(scope, never, never))
    plain = bytes(c for c in given_id if chr(c) in string.ascii_letters + string.digits + "._-")
    is_sane = given_id == plain and 1 <= len(given_id) <= 64
    assert (seen[0] == given_id.decode("latin-1")) == is_sane
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", seen[0])
    assert seen[0] == seen[1]


async def never(*_: object) -> Any:
    raise NotImplementedError


def test_console_shows_the_worker_only_where_there_are_several() -> None:
    stream = io.StringIO()
    for is_alone in (True, False):
        about = logs.About(2, is_alone, frozenset({"hello"}))
        given = LoggingConfig(format="console")
        logs.configure(given, stream=stream, secrets=frozenset(), about=about)
        LOGGER.info("hi")
    first, second = stream.getvalue().splitlines()
    assert first.endswith("info  fps_lite.hello  hi")
    assert second.endswith("info  [2] fps_lite.hello  hi")


def test_record_says_which_worker_and_plugin_it_is_of() -> None:
    stream = io.StringIO()
    about = logs.About(2, False, frozenset({"hello"}))  # noqa: FBT003 - two facts
    logs.configure(LoggingConfig(format="logfmt"), stream=stream, secrets=frozenset(), about=about)
    logging.getLogger("fps_lite.hello.part").info("hi")
    logging.getLogger("fps_lite.server").info("hi")
    logging.getLogger("hello").info("hi")
    first, second, third = stream.getvalue().splitlines()
    assert " worker=2 plugin=hello message=hi" in first
    assert "plugin" not in second + third


def test_import_touches_no_logger() -> None:
    code = "import logging; from fps_lite import logs; r = logging.getLogger()\n"
    code += "assert (r.handlers, r.level) == ([], logging.WARNING)"
    root = Path(__file__).parent.parent
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30, cwd=root)
