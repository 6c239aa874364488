"""What hypercorn is given to serve: the app's requests, without its lifespan."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from .stopping import what_ends

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SERVICE_RESTART = 1012
"""The websocket close code that tells a client to come back."""


def requests_only(app: ASGIApp, stopping: asyncio.Event) -> ASGIApp:
    """Return `app` without its lifespan, which is ours to run.

    A websocket that is cut by the drain is closed with 1012, a handler that exits the
    process fails its own request instead, and a client that leaves is no error of the app.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _trivial_lifespan(receive, send)
            return
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if scope["type"] == "websocket" and stopping.is_set():
                with suppress(Exception):
                    await send(_restart())
            raise
        except ClientDisconnect:
            return
        except (SystemExit, KeyboardInterrupt) as error:
            message = f"a request's handler {what_ends(error)}"
            raise RuntimeError(message) from error

    return answer


def _restart() -> Message:
    return {"type": "websocket.close", "code": SERVICE_RESTART, "reason": "service restart"}


async def _trivial_lifespan(receive: Receive, send: Send) -> None:
    for step in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{step}.complete"})
