"""Starlette."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request


async def hello(_: Request) -> JSONResponse:
    """Say hello."""
    return JSONResponse({"hello": "world"})


app = Starlette(routes=[Route("/bench", hello)])
