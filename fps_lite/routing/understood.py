"""Whether this Starlette routes as the one that is understood here."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING

from starlette._exception_handler import wrap_app_handling_exceptions
from starlette._utils import get_route_path
from starlette.applications import Starlette
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.responses import Response
from starlette.routing import Mount, Route, Router, WebSocketRoute, request_response

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SCAN = {"dict", "endswith", "get_route_path", "handle", "lifespan", "matches", "rstrip", "str"} | {
    "FULL", "Match", "NONE", "PARTIAL", "RedirectResponse", "URL", "default", "redirect_slashes",
    "routes", "update",
}  # fmt: skip
_ERRORS = {"Exception", "Request", "app", "debug", "debug_response", "error_response"} | {
    "handler", "is_async_callable", "run_in_threadpool",
}  # fmt: skip
_EXCEPTIONS = {"Request", "WebSocket", "_exception_handlers", "_status_handlers", "app"} | {
    "wrap_app_handling_exceptions",
}  # fmt: skip
_SENDING = {"_wrap_websocket_denial_send", "background", "body", "raw_headers", "status_code"}
_WRAPPING = {"functools", "is_async_callable", "partial", "run_in_threadpool"}
_MATCHING = {"FULL", "Match", "NONE", "convert", "dict", "get", "get_route_path", "groupdict"} | {
    "items", "match", "param_convertors", "path_regex", "update",
}  # fmt: skip


def is_understood() -> bool:
    """Tell whether Starlette's routing uses the names that it used when this was written.

    A Starlette with an index of its own, or the patches of somebody else, use others; then
    theirs is the routing.
    """
    return (
        uses(Router.app, _SCAN)
        and uses(Router.__call__, {"middleware_stack"})
        and uses(Route.matches, _MATCHING | {"PARTIAL", "endpoint", "methods"})
        and uses(Route.handle, {"HTTPException", "PlainTextResponse", "app", "join", "methods"})
        and uses(WebSocketRoute.matches, _MATCHING | {"endpoint"})
        and uses(WebSocketRoute.handle, {"app"})
        and uses(Mount.matches, _MATCHING | {"app", "len", "pop"})
        and uses(Mount.handle, {"app"})
        and uses(get_route_path, {"get", "len", "startswith"})
    )


def is_understood_app() -> bool:
    """Tell the same of routing and of what stands around it: errors, a response's sending."""
    return (
        is_understood()
        and is_understood_call()
        and uses(ServerErrorMiddleware.__call__, _ERRORS)
        and uses(ExceptionMiddleware.__call__, _EXCEPTIONS)
        and uses(request_response, _WRAPPING)
        and uses(
            request_response(lambda _: Response()), {"Request", "wrap_app_handling_exceptions"}
        )
        and uses(wrap_app_handling_exceptions, {"KeyError", "scope"})
        and uses(Response.__call__, _SENDING)
    )


def is_understood_call() -> bool:
    """Tell whether an app does no more with a request than to hand it to its middleware."""
    return uses(Starlette.__call__, {"build_middleware_stack", "middleware_stack"})


def uses(function: Callable[..., Any], names: set[str]) -> bool:
    """Tell whether the code of `function` uses these names and no others."""
    # A proxy around it, as wrapt makes them, shows the same code.
    return type(function) is FunctionType and set(function.__code__.co_names) == names
