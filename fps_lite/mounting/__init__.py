"""Mount any ASGI or WSGI app so that it lives: its lifespan, its state, its prefix.

Starlette's `Mount` passes requests on and nothing else. Here each app is a resident, run
once; what it is shown of a request differs from app to app, and each difference is one
small function.
"""

from __future__ import annotations

from .residents import Resident
from .routes import ForeignMount, closed, mount
from .settling import Place, Residents
from .shapes import FactoryError, WSGIAppError, path_problem

__all__ = [
    "FactoryError",
    "ForeignMount",
    "Place",
    "Resident",
    "Residents",
    "WSGIAppError",
    "closed",
    "mount",
    "path_problem",
]
