"""Starlette as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette

from .starlette_routes import Prepared, endpoints, routes

if TYPE_CHECKING:
    from benchmarks.shapes import Spec


def prepare(specs: list[Spec], shape: str) -> tuple[Prepared, str]:
    """Make the endpoints."""
    return endpoints(specs), shape


def build(parts: tuple[Prepared, str]) -> Starlette:
    """Make the app."""
    return Starlette(routes=routes(*parts))
