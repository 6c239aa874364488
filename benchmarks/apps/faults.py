"""What the servers serve while they are reloaded, killed and stopped."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.websockets import WebSocket

TICK = 0.5
ARRIVED = Path("arrived")


async def pid(_: Request) -> PlainTextResponse:
    """Answer at once, and say who answers."""
    return PlainTextResponse(str(os.getpid()))


async def wait(_: Request) -> PlainTextResponse:
    """Take a little time, so that some requests are in flight whenever a worker is killed."""
    await asyncio.sleep(0.02)
    return PlainTextResponse("done")


def _leave_a_byte() -> None:
    with ARRIVED.open("ab") as file:
        file.write(b".")


async def slow(_: Request) -> PlainTextResponse:
    """Leave a byte in a file, and take longer than anything takes to stop."""
    _leave_a_byte()
    await asyncio.sleep(2)
    return PlainTextResponse("done")


async def events(_: Request) -> StreamingResponse:
    """Send events for ever."""

    async def numbers() -> AsyncIterator[bytes]:
        for number in range(10**6):
            yield b"data: %d\n\n" % number
            await asyncio.sleep(TICK)

    return StreamingResponse(numbers(), media_type="text/event-stream")


async def flood(_: Request) -> StreamingResponse:
    """Send as much as the client takes."""

    async def data() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    return StreamingResponse(data())


async def numbers(websocket: WebSocket) -> None:
    """Send messages for ever."""
    await websocket.accept()
    for number in range(10**6):
        await websocket.send_text(str(number))
        await asyncio.sleep(TICK)


app = Starlette(
    routes=[
        Route("/pid", pid),
        Route("/wait/{number:int}", wait),
        Route("/slow", slow),
        Route("/events", events),
        Route("/flood", flood),
        WebSocketRoute("/numbers", numbers),
    ]
)
