"""Falcon, its ASGI app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import falcon.asgi

if TYPE_CHECKING:
    from benchmarks.shapes import Parameter, Spec


class Resource:
    """Answers the route's number."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def on_get(self, _request: Any, response: Any, **_: Any) -> None:
        """Answer."""
        response.content_type = "text/plain; charset=utf-8"
        response.data = self.body


def written(parameter: Parameter) -> str:
    """Return a parameter as Falcon writes it."""
    return "{" + parameter.name + (":int" if parameter.kind == "int" else "") + "}"


def prepare(specs: list[Spec], _shape: str) -> list[tuple[str, Resource]]:
    """Make the resources."""
    return [(spec.prefix + spec.path(written), Resource(spec.body)) for spec in specs]


def build(resources: list[tuple[str, Resource]]) -> Any:
    """Make the app."""
    app: Any = falcon.asgi.App()
    for path, resource in resources:
        app.add_route(path, resource)
    return app
