"""A plugin of fps-lite: its own JSON response where it has one, Starlette's where not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.routing import Route

import fps_lite
from fps_lite.hooks import register_routes

if TYPE_CHECKING:
    from starlette.requests import Request

Response: Any = getattr(fps_lite, "JSONResponse", JSONResponse)


async def hello(_: Request) -> JSONResponse:
    """Say hello."""
    made: JSONResponse = Response({"hello": "world"})
    return made


routes = register_routes([Route("/bench", hello)])
