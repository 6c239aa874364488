"""The routes as Starlette's own objects: what every Starlette-native subject is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from benchmarks.shapes import Parameter, Spec, by_plugin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send
    from starlette.websockets import WebSocket

Prepared = list[tuple[Spec, Any]]
"""Each route and its endpoint."""


def written(parameter: Parameter) -> str:
    """Return a parameter as Starlette writes it."""
    suffix = ":int" if parameter.kind == "int" else ""
    return "{" + parameter.name + suffix + "}"


def endpoint(spec: Spec) -> Callable[[Request], Awaitable[PlainTextResponse]]:
    """Return a function that answers the route's number."""
    body = spec.body

    async def answer(_: Request) -> PlainTextResponse:
        return PlainTextResponse(body)

    return answer


def mounted_app(spec: Spec) -> Any:
    """Return an ASGI app that answers the mount's number, whatever is below it."""
    response = PlainTextResponse(spec.body)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await response(scope, receive, send)

    return app


async def channel(websocket: WebSocket) -> None:
    """Take a websocket, which no request here asks for."""
    await websocket.accept()


def endpoints(specs: list[Spec]) -> Prepared:
    """Return each route with its endpoint."""
    made = {"http": endpoint, "mount": mounted_app, "websocket": lambda _: channel}
    return [(spec, made[spec.kind](spec)) for spec in specs]


def route(spec: Spec, handler: Any, prefix: str) -> BaseRoute:
    """Return one Starlette route."""
    path = prefix + spec.path(written)
    if spec.kind == "mount":
        return Mount(path, app=handler)
    if spec.kind == "websocket":
        return WebSocketRoute(path, handler)
    return Route(path, handler)


def routes(prepared: Prepared, shape: str) -> list[BaseRoute]:
    """Return all routes, each plugin's under a `Mount` of its own where the shape says so."""
    if shape != "mounted":
        return [route(spec, handler, spec.prefix) for spec, handler in prepared]
    handlers = {spec.number: handler for spec, handler in prepared}
    return [
        Mount(
            specs[0].prefix,
            routes=[route(spec, handlers[spec.number], "") for spec in specs],
        )
        for specs in by_plugin([spec for spec, _ in prepared])
    ]
