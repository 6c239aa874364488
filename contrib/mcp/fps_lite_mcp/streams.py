"""Streams that a server keeps open for news: ended when the server begins to stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LISTENING = "subscriptions/listen"


class UntilStopping:
    """An ASGI app that ends `app`'s endless streams in order, so that nothing waits for them.

    What answers a call is left to come to its end.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; end it when `stopping` is set, if it is a stream."""
        if not _is_endless(scope):
            await self.app(scope, receive, send)
            return
        stream = _Stream(send)
        serving = asyncio.ensure_future(self.app(scope, receive, stream.send))
        stopping = asyncio.ensure_future(scope["state"]["fps"]["stopping"].wait())
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
        finally:
            serving.cancel()
            stopping.cancel()
            await asyncio.wait({serving, stopping})
        await stream.end()


def _is_endless(scope: Scope) -> bool:
    if scope["type"] != "http":
        return False
    headers = Headers(scope=scope)
    asks = scope["method"] == "GET" and "text/event-stream" in headers.get("accept", "")
    return asks or headers.get("mcp-method") == LISTENING


class _Stream:
    def __init__(self, send: Send) -> None:
        self.pass_on = send
        self.is_open = False

    async def send(self, message: Message) -> None:
        self.is_open = message["type"] == "http.response.start" or message.get("more_body", False)
        await self.pass_on(message)

    async def end(self) -> None:
        """End the body where it is: a client then knows that nothing was lost."""
        if self.is_open:
            await self.pass_on({"type": "http.response.body", "body": b""})
