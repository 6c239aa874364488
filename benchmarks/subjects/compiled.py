"""Starlette with `fps_lite.routing.CompiledRouter` in place of its router, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette

from fps_lite.routing import CompiledRouter

from .starlette_routes import Prepared, routes
from .stock import prepare

if TYPE_CHECKING:
    from starlette.routing import Router

__all__ = ["build", "prepare"]


class _App(Starlette):
    router: Router


def build(parts: tuple[Prepared, str]) -> Starlette:
    """Make the app."""
    app = _App()
    app.router = CompiledRouter(routes=routes(*parts))
    return app
