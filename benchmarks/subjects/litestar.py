"""Litestar: typed parameters in the path, which an endpoint need not take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Litestar, MediaType, get

if TYPE_CHECKING:
    from benchmarks.shapes import Parameter, Spec


def written(parameter: Parameter) -> str:
    """Return a parameter as Litestar writes it."""
    return "{" + f"{parameter.name}:{parameter.kind}" + "}"


def handler(spec: Spec) -> Any:
    """Return a handler that answers the route's number."""
    body = spec.body

    async def answer() -> bytes:
        return body

    return get(spec.prefix + spec.path(written), media_type=MediaType.TEXT)(answer)


def prepare(specs: list[Spec], _shape: str) -> list[Any]:
    """Make the handlers."""
    return [handler(spec) for spec in specs]


def build(handlers: list[Any]) -> Litestar:
    """Make the app, without its OpenAPI schema."""
    return Litestar(handlers, openapi_config=None)
