"""What stands before the app: nothing is answered from plugins that are not running."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Match, Mount, Route, WebSocketRoute

from .paths import PrefixedRoute

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.datastructures import URLPath
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TRY_AGAIN_LATER = 1013  # a websocket close code
SERVER_ERROR = 500


async def unavailable(scope: Scope, receive: Receive, send: Send, *, why: str) -> None:
    """Answer 503 and say why; a websocket is closed before it is accepted."""
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get(
        "extensions", {}
    ):
        await send({"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": ""})
        return
    await PlainTextResponse(why + "\n", 503)(scope, receive, send)


class Guard:
    """An ASGI app that answers 503 while its plugin is down."""

    def __init__(self, app: ASGIApp, name: str, is_down: Callable[[], bool]) -> None:
        self.app = app
        self.is_down = is_down
        self.why = f'Service Unavailable: plugin "{name}" is not running'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if the plugin runs."""
        if self.is_down():
            await unavailable(scope, receive, send, why=self.why)
        else:
            await self.app(scope, receive, send)


class GuardedRoute(BaseRoute):
    """A route of a kind of its own, matched as before and handled behind a `Guard`."""

    only_under = ""
    """The path under which alone it can match, where a prefix says so."""

    def __init__(self, route: BaseRoute, name: str, is_down: Callable[[], bool]) -> None:
        self.route = route
        # What others' classes say may not hold for a subclass of theirs.
        self.only_under = route.only_under if isinstance(route, PrefixedRoute) else ""
        self.guard = Guard(route.handle, name, is_down)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match what the route matches."""
        return self.route.matches(scope)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Return the route's own URL."""
        return self.route.url_path_for(name, **path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle the request behind the guard."""
        await self.guard(scope, receive, send)


def guarded(route: BaseRoute, name: str, is_down: Callable[[], bool]) -> BaseRoute:
    """Return a copy of `route` that answers 503 while `is_down()`."""
    if not isinstance(route, Route | WebSocketRoute | Mount):
        return GuardedRoute(route, name, is_down)
    behind = copy.copy(route)
    behind.app = Guard(route.app, name, is_down)
    return behind


def with_whole_path(scope: Scope) -> Scope:
    """Return `scope` with the root path once in its path, where ASGI wants it.

    hypercorn and granian leave the path as the proxy sent it, often without the root path;
    Starlette's mounts find nothing then. uvicorn puts it before a path that may have it.
    """
    root, path, raw = scope.get("root_path", ""), scope["path"], scope.get("raw_path")
    # Where a host mounted us, `app_root_path` is set, and the path is right already.
    doubled = root and "app_root_path" not in scope and _is_under(path, root + root)
    if not root or (_is_under(path, root) and not doubled):
        return scope
    quoted = quote(root).encode()
    path = path.removeprefix(root) if doubled else root + path
    if raw is not None:
        raw = raw.removeprefix(quoted) if doubled else quoted + raw
    return {**scope, "path": path, **({} if raw is None else {"raw_path": raw})}


def _is_under(path: str, root: str) -> bool:
    return path == root or path.startswith(root + "/")


def with_own_router(scope: Scope) -> Scope:
    """Return `scope` without a host's router, so that `url_for` asks ours.

    A host that names its mount, or mounts two of us, would answer wrongly or not at all.
    """
    if "router" not in scope:
        return scope
    own = {key: value for key, value in scope.items() if key != "router"}
    return {**own, "app_root_path": scope.get("root_path", "")}


def masking(send: Send, mask: Callable[[str], str]) -> Send:
    """Return a `send` that masks secrets in error pages, which show what code saw."""
    held: list[Message] = []

    async def masked(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= SERVER_ERROR:
            held.append(message)
            return
        if held and message["type"] == "http.response.body":
            start = held.pop()
            body = mask(message.get("body", b"").decode(errors="surrogateescape"))
            message = {**message, "body": body.encode(errors="surrogateescape")}
            await send({**start, "headers": _with_length(start["headers"], message)})
        await send(message)

    return masked


def _with_length(headers: Any, message: Message) -> list[tuple[bytes, bytes]]:
    kept = [(key, value) for key, value in headers if key.lower() != b"content-length"]
    if message.get("more_body"):
        return kept
    return [*kept, (b"content-length", str(len(message["body"])).encode())]
