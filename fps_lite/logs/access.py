"""One line for each request, when it has ended."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CLIENT_LEFT = 499
"""What is logged, as nginx does, for a client that did not wait for an answer."""


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
        request = _Request(scope, receive, send)
        try:
            await self.app(scope, request.receive, request.send)
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

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.ask = receive
        self.pass_on = send
        self.began = time.perf_counter()
        self.status = 0
        self.size = 0
        self.client_left = False

    async def receive(self) -> Message:
        """Receive the next message, and see whether the client is still there."""
        message = await self.ask()
        if message["type"] == "http.disconnect":
            self.client_left = True
        return message

    async def send(self, message: Message) -> None:
        """Count the message and send it."""
        kind = message["type"]
        if kind in {"http.response.start", "websocket.http.response.start"}:
            self.status = CLIENT_LEFT if self.client_left else message["status"]
        elif kind == "websocket.accept":
            self.status = 101
        elif kind == "websocket.close" and not self.status:
            self.status = 403
        await self.pass_on(message)
        if self.client_left:
            return
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
            "status": self.status or (CLIENT_LEFT if self.client_left else 500),
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
