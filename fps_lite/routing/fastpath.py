"""A request in one coroutine: Starlette's layers run only where something goes wrong.

Between a server and a function that answers, Starlette has seven coroutines, and three of them
remember whether the response has started. Here that is remembered once. After an error
Starlette's own code runs on what was remembered: handlers, status codes and the 500 are its.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette._exception_handler import wrap_app_handling_exceptions
from starlette.applications import Starlette
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response

from .router import CompiledRouter, enter
from .understood import is_understood_app, is_understood_call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

START, BODY = "http.response.start", "http.response.body"
_REMEMBERED: Message = {"type": START}
_SENDING = Response.__call__


@dataclass(frozen=True, slots=True)
class Layers:
    """The middleware of an app that has none of its own, and its router."""

    errors: ServerErrorMiddleware
    handlers: tuple[Any, Any]
    """What the exception middleware puts into each scope."""
    router: CompiledRouter
    router_stack: ASGIApp


class FastPath:
    """An ASGI app that answers as `app` does, and stands where Starlette's `__call__` does.

    Whatever is not a plain function behind a plain route goes the long way: websockets, misses,
    classes, middleware of a route, a mount or the app, `max_body_size`, `debug`.
    """

    def __init__(self, app: Starlette) -> None:
        self.app = app
        self._stack: ASGIApp = app
        self._layers: Layers | None = None
        self._long_way: ASGIApp = app

    def _read_stack(self) -> None:
        app = self.app
        self._stack = app.middleware_stack = app.middleware_stack or app.build_middleware_stack()
        self._layers = layers_of(self._stack)
        # Whoever has patched Starlette's own call is to hear of each request.
        is_stock = is_understood_call()
        self._long_way = self._stack if is_stock else partial(Starlette.__call__, app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        scope["app"] = app = self.app
        if app.middleware_stack is not self._stack:
            self._read_stack()
        layers = self._layers
        function = None if layers is None else _entered(layers, scope)
        if layers is None or function is None:
            await self._long_way(scope, receive, send)
            return
        has_begun = has_started = False

        async def send_begun(message: Message) -> None:
            nonlocal has_begun
            has_begun = has_begun or message["type"] == START
            await send(message)

        request = Request(scope, receive, send_begun)
        try:
            answer = await function(request)
            if type(answer).__call__ is _SENDING:
                head = {"type": START, "status": answer.status_code, "headers": answer.raw_headers}
                has_started = True
                await send(head)
                await send({"type": BODY, "body": answer.body})
                if answer.background is not None:
                    await answer.background()
            else:

                async def send_started(message: Message) -> None:
                    nonlocal has_started
                    has_started = has_started or message["type"] == START
                    await send(message)

                await answer(scope, receive, send_started)
        except Exception as error:  # noqa: BLE001 - Starlette's layers raise it again, or answer
            await _answer_error(error, request, layers, send, begun=has_begun, started=has_started)


def layers_of(stack: ASGIApp) -> Layers | None:
    """Return the layers of an app's middleware stack; None if there are others."""
    if not is_understood_app() or type(stack) is not ServerErrorMiddleware or stack.debug:
        return None
    inner = stack.app
    if type(inner) is not ExceptionMiddleware:
        return None
    router: object = inner.app
    if not isinstance(router, CompiledRouter) or not router.is_only_routes:
        return None
    handlers = inner._exception_handlers, inner._status_handlers  # noqa: SLF001
    return Layers(stack, handlers, router, router.middleware_stack)


def _entered(layers: Layers, scope: Scope) -> Callable[[Request], Awaitable[Any]] | None:
    """Return the function that answers, with `scope` as all layers leave it; None if none does."""
    router = layers.router
    if scope["type"] != "http" or router.middleware_stack is not layers.router_stack:
        return None
    hit = router.table().find(scope)
    if hit is None:
        return None
    entry = hit[0]
    if entry.function is None or entry.route.app is not entry.app:
        return None
    scope["starlette.exception_handlers"] = layers.handlers
    if "router" not in scope:
        scope["router"] = router
    enter(hit, scope)
    function: Callable[[Request], Awaitable[Any]] = entry.function
    return function


async def _answer_error(  # noqa: PLR0913 - it is all that is remembered
    error: Exception, request: Request, layers: Layers, send: Send, *, begun: bool, started: bool
) -> None:
    """Run Starlette's layers around an endpoint that raises `error`.

    `begun`: the endpoint started a response itself, which the layer next to it does not see.
    `started`: its response has started, which all three see.
    """

    async def forget(message: Message) -> None:
        if message is not _REMEMBERED:
            await send(message)

    async def endpoint(_: Scope, __: Receive, send: Send) -> None:
        if started:
            await send(_REMEMBERED)
        raise error

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        if begun:
            await send(_REMEMBERED)
        await wrap_app_handling_exceptions(endpoint, request)(scope, receive, send)

    async def exceptions(scope: Scope, receive: Receive, send: Send) -> None:
        outer = Request(scope, receive, send)
        await wrap_app_handling_exceptions(route, outer)(scope, receive, send)

    errors = copy.copy(layers.errors)
    errors.app = exceptions
    await errors(request.scope, request.receive, forget)
