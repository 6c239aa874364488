"""Sanic as an ASGI app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sanic import Sanic
from sanic.response import HTTPResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.shapes import Parameter, Spec


def written(parameter: Parameter) -> str:
    """Return a parameter as Sanic writes it."""
    return f"<{parameter.name}:{parameter.kind}>"


def endpoint(spec: Spec) -> Callable[..., Any]:
    """Return a function that answers the route's number."""
    body = spec.body

    async def answer(_request: Any, **_: Any) -> HTTPResponse:
        return HTTPResponse(body, content_type="text/plain; charset=utf-8")

    return answer


def prepare(specs: list[Spec], _shape: str) -> list[tuple[int, str, Any]]:
    """Make the endpoints."""
    return [(spec.number, spec.prefix + spec.path(written), endpoint(spec)) for spec in specs]


def build(endpoints: list[tuple[int, str, Any]]) -> Any:
    """Make the app."""
    app: Any = Sanic("bench", configure_logging=False)
    for number, path, answer in endpoints:
        app.add_route(answer, path, name=f"route{number}")
    return app
