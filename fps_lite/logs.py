"""One line for each record, in one format over all processes, with no secret in it.

Only the command calls `configure`: a library that touches the root logger takes it away
from its host.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from typing import TYPE_CHECKING, Any, Literal, TextIO
from urllib.parse import quote

from .secret import hide, spellings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .settings import LoggingConfig

COLOURS = {
    "debug": "\x1b[2m",
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[1;31m",
}
RESET = "\x1b[0m"
INDENT = "    "


def configure(
    settings: LoggingConfig, *, stream: TextIO | None = None, secrets: frozenset[str]
) -> None:
    """Write every logger's records to `stream` (stderr if None), `secrets` masked.

    Replace what an earlier call set up, and leave all other loggers and handlers alone.
    """
    stream = sys.stderr if stream is None else stream
    handler = _Handler(stream)
    handler.setFormatter(_formatter(settings.format, stream, secrets))
    root = logging.getLogger()
    for earlier in [one for one in root.handlers if isinstance(one, _Handler)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(settings.level.upper())
    # hypercorn says at this level only where it listens, which the command says itself.
    quiet = logging.NOTSET if settings.level == "debug" else logging.WARNING
    logging.getLogger("hypercorn.error").setLevel(quiet)


class _Handler(logging.StreamHandler[TextIO]):
    """The handler that `configure` makes, so that it finds it again."""


def _formatter(
    form: Literal["auto", "console", "logfmt", "json"], stream: TextIO, secrets: frozenset[str]
) -> _Formatter:
    terminal = stream.isatty()
    if form == "json":
        return _Json(secrets)
    if form == "logfmt" or (form == "auto" and not terminal):
        return _Logfmt(secrets)
    return _Console(secrets, colour=terminal and _wants_colour())


def _wants_colour() -> bool:
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class _Formatter(logging.Formatter):
    """What the three formats share: texts whose secrets are masked before any escaping."""

    def __init__(self, secrets: frozenset[str]) -> None:
        super().__init__()
        self.spelled = spellings(secrets)

    def masked(self, text: str) -> str:
        return hide(text, self.spelled)

    def message(self, record: logging.LogRecord) -> str:
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - a wrong log call must not hide what it meant
            text = f"{record.msg} {record.args!r}"
        return self.masked(text)

    def traceback(self, record: logging.LogRecord) -> str:
        parts = []
        if record.exc_info and record.exc_info[0] is not None:
            # Not cached on the record: another handler's is not masked, nor is ours for it.
            parts.append(self.formatException(record.exc_info))
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return self.masked("\n".join(parts))

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the record as flat fields, for a machine."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": self.masked(record.name),
            "pid": record.process,
            "message": self.message(record),
        }
        for name, value in getattr(record, "fields", {}).items():
            fields[name] = self.masked(value) if isinstance(value, str) else value
        trace = self.traceback(record)
        return {**fields, "traceback": trace} if trace else fields


class _Console(_Formatter):
    """`12:00:01 info  fps_lite.hello  message`, a traceback indented below."""

    def __init__(self, secrets: frozenset[str], *, colour: bool) -> None:
        super().__init__(secrets)
        self.colours = COLOURS if colour else {}

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = record.levelname.lower()
        shown = f"{level:<5}"
        if level in self.colours:
            shown = f"{self.colours[level]}{shown}{RESET}"
        name = _escaped(self.masked(record.name))
        head = f"{moment} {shown} {name}  {_escaped(self.message(record))}"
        trace = self.traceback(record)
        below = [INDENT + _escaped(line) for line in trace.split("\n")] if trace else []
        return "\n".join([head, *below])


class _Logfmt(_Formatter):
    """`time=… level=info logger=fps_lite.hello message="…"`."""

    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{name}={_quoted(value)}" for name, value in self.fields(record).items())


class _Json(_Formatter):
    """One JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.fields(record), default=repr)


def _escaped(text: str) -> str:
    """Return `text` without anything that ends a line or moves a terminal's cursor."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def _quoted(value: object) -> str:
    text = str(value)
    if text and text.isprintable() and not set(text) & set(' ="\\'):
        return text
    inner = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_escaped(inner)}"'


class AccessLog:
    """An ASGI app that logs one line for each request that `app` answers."""

    def __init__(self, app: ASGIApp, logger: logging.Logger) -> None:
        self.app = app
        self.logger = logger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and log it when it has ended, however it ended."""
        if scope["type"] == "lifespan" or not self.logger.isEnabledFor(logging.INFO):
            await self.app(scope, receive, send)
            return
        request = _Request(scope, send)
        try:
            await self.app(scope, receive, request.send)
        finally:
            fields = request.fields()
            line = " ".join(str(fields[name]) for name in ("method", "path", "status"))
            self.logger.info(
                "%s %sB %sms %s",
                line,
                fields["bytes"],
                fields["ms"],
                fields["client"],
                extra={"fields": fields},
            )


class _Request:
    """One request while it is answered: what it was, what was sent."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope = scope
        self.pass_on = send
        self.began = time.perf_counter()
        self.status = 0
        self.size = 0

    async def send(self, message: Message) -> None:
        """Count the message and send it."""
        kind = message["type"]
        if kind in {"http.response.start", "websocket.http.response.start"}:
            self.status = message["status"]
        elif kind == "websocket.accept":
            self.status = 101
        elif kind == "websocket.close" and not self.status:
            self.status = 403
        await self.pass_on(message)
        if kind == "websocket.send":
            text = message.get("text")
            self.size += len(message.get("bytes") or b"" if text is None else text.encode())
        else:
            self.size += len(message.get("body", b""))

    def fields(self) -> dict[str, Any]:
        """Return what the access log says of the request; the query may hold secrets."""
        return {
            "method": self.scope.get("method", "GET"),
            "path": _raw_path(self.scope),
            # The server answers 500 for an app that ended without an answer.
            "status": self.status or 500,
            "bytes": self.size,
            "ms": round((time.perf_counter() - self.began) * 1000, 1),
            "client": _address(self.scope.get("client")),
        }


def _raw_path(scope: Scope) -> str:
    """Return the path as the client wrote it, never decoded: `%0a` would forge a line."""
    raw = scope.get("raw_path") or quote(scope["path"], safe="/%:@!$&'()*+,;=~").encode()
    text = raw.partition(b"?")[0].decode("latin-1")
    return re.sub(r"[^\x21-\x7e]", lambda char: f"%{ord(char[0]):02x}", text)


def _address(client: Iterable[object] | None) -> str:
    host, port = [*(client or ("-", 0)), 0][:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}" if port else str(host)
