"""What hypercorn is given to serve: the app's requests, without its lifespan."""

from __future__ import annotations

import asyncio
import os
import random
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from .forks import end_if_forked
from .stopping import what_ends

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypercorn.config import Config
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

RESTART = {"type": "websocket.close", "code": 1012, "reason": "service restart"}
"""Tells a websocket's client to come back."""
EVENTS = b"text/event-stream"


class Requests:
    """An ASGI app that answers as `app` does, without its lifespan, which is ours to run.

    In the drain, answers tell their clients to connect anew, and what is cut is told to come
    back: a websocket by its close code, an event stream by a clean end. A handler that exits
    the process fails its own request instead, and a client that leaves is no error of the app.
    """

    def __init__(self, app: ASGIApp, stopping: asyncio.Event) -> None:
        self.app = app
        self.stopping = stopping
        self.answered = 0
        self.pid = os.getpid()
        self.limit: int | None = None
        """With this many answered, `on_limit` is called."""
        self.on_limit: Callable[[], object] = int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await _trivial_lifespan(receive, send)
            return
        answer = _Answer(scope, send, self.stopping)
        try:
            await self.app(scope, receive, answer.send)
        except asyncio.CancelledError:
            if self.stopping.is_set():
                with suppress(Exception):
                    await answer.cut()
            raise
        except ClientDisconnect:
            return
        except (SystemExit, KeyboardInterrupt) as error:
            end_if_forked(self.pid, error)
            message = f"a request's handler {what_ends(error)}"
            raise RuntimeError(message) from error
        finally:
            self.answered += 1
            if self.answered == self.limit:
                self.on_limit()


class _Answer:
    """The answer to one request."""

    def __init__(self, scope: Scope, send: Send, stopping: asyncio.Event) -> None:
        self.scope = scope
        self.pass_on = send
        self.stopping = stopping
        self.streams_events = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message.get("headers", ())
            self.streams_events = any(
                name.lower() == b"content-type" and value.startswith(EVENTS)
                for name, value in headers
            )
            if self.stopping.is_set() and self.scope["http_version"].startswith("1"):
                message = {**message, "headers": [*headers, (b"connection", b"close")]}
        await self.pass_on(message)

    async def cut(self) -> None:
        """End what goes on so that its client comes back."""
        if self.scope["type"] == "websocket":
            await self.pass_on(RESTART)
        elif self.streams_events:
            await self.pass_on({"type": "http.response.body", "body": b"", "more_body": False})


def worn_after(config: Config) -> int | None:
    """Return the number of requests after which a worker is replaced, or None."""
    if config.max_requests is None:
        return None
    return config.max_requests + random.randint(0, config.max_requests_jitter)  # noqa: S311


async def _trivial_lifespan(receive: Receive, send: Send) -> None:
    for step in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{step}.complete"})
