"""Starlette with ffroute's router, as its `speedup` puts it in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ffroute import speedup

from .stock import build as build_stock
from .stock import prepare

if TYPE_CHECKING:
    from .starlette_routes import Prepared

__all__ = ["build", "prepare"]


def build(parts: tuple[Prepared, str]) -> Any:
    """Make the app, then exchange its router."""
    app = build_stock(parts)
    return speedup(app) or app
