"""BlackSheep: endpoints that take the request alone, its fastest way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blacksheep import Application, Content, Request, Response
from blacksheep.server.routing import Router

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.shapes import Parameter, Spec


def written(parameter: Parameter) -> str:
    """Return a parameter as BlackSheep writes it."""
    kind = "int:" if parameter.kind == "int" else ""
    return "{" + kind + parameter.name + "}"


def endpoint(spec: Spec) -> Callable[[Request], Any]:
    """Return a function that answers the route's number."""
    body = spec.body

    async def answer(request: Request) -> Response:  # noqa: ARG001 - bound by its name
        return Response(200, None, Content(b"text/plain; charset=utf-8", body))

    answer.__annotations__ = {"request": Request, "return": Response}
    return answer


def prepare(specs: list[Spec], _shape: str) -> list[tuple[str, Any]]:
    """Make the endpoints."""
    return [(spec.prefix + spec.path(written), endpoint(spec)) for spec in specs]


def build(endpoints: list[tuple[str, Any]]) -> Application:
    """Make the app."""
    app = Application(router=Router())
    for path, answer in endpoints:
        app.router.add_get(path, answer)
    return app
