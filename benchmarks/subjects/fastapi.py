"""FastAPI: declared parameters, one router for each plugin; the response is ready-made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI
from starlette.responses import PlainTextResponse

from benchmarks.shapes import Spec, by_plugin

from .starlette_routes import channel, mounted_app

if TYPE_CHECKING:
    from collections.abc import Callable

Prepared = list[tuple[Spec, Any]]


def endpoint(spec: Spec) -> Callable[..., Any]:
    """Return a function with the path's parameters as its own, typed."""
    arguments = ", ".join(f"{one.name}: {one.kind}" for one in spec.parameters)
    source = f"async def answer({arguments}):\n    return Response(body)\n"
    names: dict[str, Any] = {"Response": PlainTextResponse, "body": spec.body}
    exec(source, names)
    made: Callable[..., Any] = names["answer"]
    return made


def prepare(specs: list[Spec], _shape: str) -> Prepared:
    """Make the endpoints."""
    made = {"http": endpoint, "mount": mounted_app, "websocket": lambda _: channel}
    return [(spec, made[spec.kind](spec)) for spec in specs]


def routers(prepared: Prepared) -> list[tuple[str, APIRouter, Prepared]]:
    """Return each plugin's prefix, router and mounts."""
    handlers = {spec.number: handler for spec, handler in prepared}
    made: list[tuple[str, APIRouter, Prepared]] = []
    for specs in by_plugin([spec for spec, _ in prepared]):
        router = APIRouter()
        for spec in specs:
            path = spec.path(lambda parameter: "{" + parameter.name + "}")
            if spec.kind == "http":
                router.add_api_route(path, handlers[spec.number], response_model=None)
            elif spec.kind == "websocket":
                router.add_websocket_route(path, channel)
        mounts = [(spec, handlers[spec.number]) for spec in specs if spec.kind == "mount"]
        made.append((specs[0].prefix, router, mounts))
    return made


def build(prepared: Prepared) -> FastAPI:
    """Make the app."""
    app = FastAPI()
    for prefix, router, mounts in routers(prepared):
        app.include_router(router, prefix=prefix)
        for spec, handler in mounts:
            app.mount(prefix + spec.path(str), handler)
    return app
