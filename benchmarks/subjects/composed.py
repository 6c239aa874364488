"""An app composed by `fps_lite.create_app`: each plugin of the shape is a plugin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fps_lite import create_app
from fps_lite.hooks import register_routes

from .starlette_routes import Prepared, endpoints, route, routes

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from benchmarks.shapes import Spec


@dataclass(frozen=True)
class Parts:
    """The routes of each plugin by its name, and plugins beside them."""

    plugins: dict[str, Prepared]
    shape: str
    others: dict[str, object]


class Plugin:
    """A plugin that contributes routes."""

    def __init__(self, made: list[BaseRoute]) -> None:
        self.routes = register_routes(made)


def prepare(specs: list[Spec], shape: str, others: dict[str, object] | None = None) -> Parts:
    """Make the endpoints."""
    plugins: dict[str, Prepared] = {}
    for spec, handler in endpoints(specs):
        plugins.setdefault(f"plugin{spec.plugin:05d}", []).append((spec, handler))
    return Parts(plugins, shape, others or {})


def build(parts: Parts) -> Any:
    """Make each plugin's routes, and compose them: conflicts are looked for, too."""
    plugins = {name: Plugin(_routes(own, parts.shape)) for name, own in parts.plugins.items()}
    return create_app({}, plugins={**plugins, **parts.others})


def _routes(prepared: Prepared, shape: str) -> list[BaseRoute]:
    if shape == "mounted":
        return routes(prepared, shape)
    return [route(spec, handler, spec.prefix) for spec, handler in prepared]
