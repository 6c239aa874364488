"""The composed app with an app-wide middleware, which takes every layer of Starlette."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.middleware import Middleware

from fps_lite.hooks import register_middleware

from .composed import Parts, build
from .composed import prepare as prepare_composed

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from benchmarks.shapes import Spec

__all__ = ["build", "prepare"]


class Through:
    """A middleware that does nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        await self.app(scope, receive, send)


class Outermost:
    """The plugin that brings it."""

    middleware = register_middleware(Middleware(Through))


def prepare(specs: list[Spec], shape: str) -> Parts:
    """Make the endpoints, and one more plugin."""
    return prepare_composed(specs, shape, {"outermost": Outermost()})
