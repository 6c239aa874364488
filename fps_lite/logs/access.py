"""One line for each request, when it has ended."""

from __future__ import annotations

import logging
import random
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fps_lite.settings import LoggingConfig

from .about import REQUEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    Describe = Callable[[Scope], tuple[str, str]]
    """Returns the plugin that answers, and its route as `/a/{name}`; "" where not known."""

CLIENT_LEFT = 499
"""What is logged, as nginx does, for a client that did not wait for an answer."""
SERVER_ERROR = 500
SANE = re.compile(rb"[A-Za-z0-9._-]{1,64}")
"""An id that a client may give its request: nothing in it is taken for something else."""
STARTS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})
DEFAULTS = LoggingConfig()


class AccessLog:
    """An ASGI app that logs one line for each request that `app` answers.

    Whatever is logged while it answers has the request's id. `describe` tells whose route
    answers.
    """

    def __init__(
        self,
        app: ASGIApp,
        logger: logging.Logger,
        settings: LoggingConfig = DEFAULTS,
        describe: Describe | None = None,
    ) -> None:
        self.app = app
        self.logger = logger
        self.settings = settings
        self.describe = describe or (lambda _: ("", ""))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and log it when it has ended, however it ended."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        request = _Request(scope, receive, send, self.describe)
        # For good: a server has a task for each request, and logs in it what the app raises.
        REQUEST.set(request)
        if self.settings.request_id_header:
            request.pass_on = request.send_with_id
        if not self.settings.access or not self.logger.isEnabledFor(logging.INFO):
            await self.app(scope, receive, request.pass_on)
            return
        try:
            await self.app(scope, request.receive, request.send)
        finally:
            if self._is_wanted(request):
                self._log(request.fields())

    def _is_wanted(self, request: _Request) -> bool:
        share = self.settings.access_sample
        return share >= 1 or request.answered >= SERVER_ERROR or random.random() < share  # noqa: S311

    def _log(self, fields: dict[str, Any]) -> None:
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

    def __init__(self, scope: Scope, receive: Receive, send: Send, describe: Describe) -> None:
        self.scope = scope
        self.ask = receive
        self.pass_on = self.sends = send
        self.describe = describe
        self.began = time.perf_counter()
        self.status = 0
        self.size = 0
        self.client_left = False
        self._id = ""

    @property
    def id(self) -> str:
        """The id that the client gave it, or a new one."""
        self._id = self._id or _given_id(self.scope) or f"{random.getrandbits(48):012x}"
        return self._id

    @property
    def plugin(self) -> str:
        """Whose route answers, if that is known by now."""
        return self.describe(self.scope)[0]

    @property
    def answered(self) -> int:
        """The status that the client has seen."""
        # The server answers 500 for an app that ended without an answer.
        return self.status or (CLIENT_LEFT if self.client_left else SERVER_ERROR)

    async def receive(self) -> Message:
        """Receive the next message, and see whether the client is still there."""
        message = await self.ask()
        if message["type"] == "http.disconnect":
            self.client_left = True
        return message

    async def send_with_id(self, message: Message) -> None:
        """Send the message, the head of an answer with the request's id."""
        if message["type"] in STARTS:
            others = [
                one for one in message.get("headers") or () if one[0].lower() != b"x-request-id"
            ]
            message = {**message, "headers": [*others, (b"x-request-id", self.id.encode())]}
        await self.sends(message)

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
        plugin, route = self.describe(self.scope)
        return {
            "method": self.scope.get("method", "GET"),
            "path": _raw_path(self.scope),
            **({"route": route} if route else {}),
            **({"plugin": plugin} if plugin else {}),
            "status": self.answered,
            "bytes": self.size,
            "ms": round((time.perf_counter() - self.began) * 1000, 1),
            "client": _address(self.scope.get("client")),
            "request": self.id,
        }


def _given_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and SANE.fullmatch(value):
            given: str = value.decode()
            return given
    return ""


def _raw_path(scope: Scope) -> str:
    """Return the path as the client wrote it, never decoded: `%0a` would forge a line."""
    raw = scope.get("raw_path") or quote(scope["path"], safe="/%:@!$&'()*+,;=~").encode()
    text = raw.partition(b"?")[0].decode("latin-1")
    return re.sub(r"[^\x21-\x7e]", lambda char: f"%{ord(char[0]):02x}", text)


def _address(client: Iterable[object] | None) -> str:
    host, port = [*(client or ("-", 0)), 0][:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}" if port else str(host)
