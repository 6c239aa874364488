"""A request in one coroutine: Starlette's layers run only where something goes wrong.

Between a server and a function that answers, Starlette has seven coroutines, and three of them
remember whether the response has started. Here that is remembered once. After an error
Starlette's own code runs on what was remembered: handlers, status codes and the 500 are its.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from starlette._exception_handler import wrap_app_handling_exceptions
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import request_response

from .router import CompiledRouter, enter
from .understood import is_understood_app

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.applications import Starlette
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

START, BODY = "http.response.start", "http.response.body"
_REMEMBERED: Message = {"type": START}
_SENDING = Response.__call__
_WRAPPER = request_response(lambda _: Response()).__code__


class Layers(NamedTuple):
    """The middleware of an app that has none of its own, and its router."""

    errors: ServerErrorMiddleware
    exceptions: ExceptionMiddleware
    router: CompiledRouter
    router_stack: ASGIApp


class FastPath:
    """An ASGI app that answers as `app` does, and stands where Starlette's `__call__` does.

    Whatever is not a plain function behind a plain route goes the long way: websockets, misses,
    classes, middleware of a route, a mount or the app, `max_body_size`, `debug`.
    """

    def __init__(self, app: Starlette) -> None:
        self.app = app
        self._known: tuple[ASGIApp | None, Layers | None] = (None, None)

    def _layers(self) -> tuple[ASGIApp, Layers | None]:
        """Return the app's middleware stack as it is now, and its layers."""
        stack = self.app.middleware_stack
        if stack is None:
            stack = self.app.middleware_stack = self.app.build_middleware_stack()
        known, layers = self._known
        if known is not stack:
            layers = layers_of(stack)
            self._known = stack, layers
        return stack, layers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        scope["app"] = self.app
        stack, layers = self._layers()
        function = None if layers is None else _entered(layers, scope)
        if layers is None or function is None:
            await stack(scope, receive, send)
            return

        has_begun = has_started = False

        async def send_begun(message: Message) -> None:
            nonlocal has_begun
            has_begun = has_begun or message["type"] == START
            await send(message)

        request = Request(scope, receive, send_begun)
        try:
            response = await function(request)
            if type(response).__call__ is _SENDING:
                has_started = True
                status, headers = response.status_code, response.raw_headers
                await send({"type": START, "status": status, "headers": headers})
                await send({"type": BODY, "body": response.body})
                if response.background is not None:
                    await response.background()
            else:

                async def send_started(message: Message) -> None:
                    nonlocal has_started
                    has_started = has_started or message["type"] == START
                    await send(message)

                await response(scope, receive, send_started)
        except Exception as error:  # noqa: BLE001 - Starlette's layers raise it again, or answer
            await _answer_error(error, request, layers, send, begun=has_begun, started=has_started)


def layers_of(stack: ASGIApp) -> Layers | None:
    """Return the layers of an app's middleware stack; None if there are others."""
    if not is_understood_app() or type(stack) is not ServerErrorMiddleware or stack.debug:
        return None
    exceptions = stack.app
    if type(exceptions) is not ExceptionMiddleware:
        return None
    router: object = exceptions.app
    if not isinstance(router, CompiledRouter) or not router.is_only_routes:
        return None
    return Layers(stack, exceptions, router, router.middleware_stack)


def _entered(layers: Layers, scope: Scope) -> Callable[[Request], Awaitable[Any]] | None:
    """Return the function that answers, with `scope` as all layers leave it; None if none does."""
    _, exceptions, router, router_stack = layers
    if scope["type"] != "http" or router.middleware_stack is not router_stack:
        return None
    hit = router.find(scope)
    if hit is None:
        return None
    app = hit[0].route.app
    if getattr(app, "__code__", None) is not _WRAPPER:
        return None
    scope["starlette.exception_handlers"] = (
        exceptions._exception_handlers,  # noqa: SLF001 - what it puts there itself
        exceptions._status_handlers,  # noqa: SLF001
    )
    if "router" not in scope:
        scope["router"] = router
    enter(hit, scope)
    function: Callable[[Request], Awaitable[Any]] = app.__closure__[0].cell_contents
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

    errors = ServerErrorMiddleware(exceptions, layers.errors.handler, layers.errors.debug)
    await errors(request.scope, request.receive, forget)
