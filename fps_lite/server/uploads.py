"""Uploads that the app does not read: read to their end, so that the answer arrives.

hypercorn closes a connection whose request has not ended when its answer has. The client
still writes, gets a reset, and may lose an answer that is on its way. Where the body is longer
than what hypercorn holds for the app, it even waits for the app for ever.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER = 5.0
"""Seconds for the rest of an upload, when its answer is out."""
OF_A_BODY = {b"content-length", b"transfer-encoding"}


class Lingering:
    """An ASGI app that reads what `app` leaves of a request's body, and keeps nothing of it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.readings: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; if it has a body, see to its end."""
        if scope["type"] != "http" or not _has_body(scope):
            await self.app(scope, receive, send)
            return
        upload = _Upload(receive, send)
        try:
            await self.app(scope, upload.receive, upload.send)
        finally:
            if not upload.ended.is_set():
                # The server still has to answer for the app, and waits for the body.
                self._keep(upload.read())

    def _keep(self, reading: asyncio.Task[None]) -> None:
        # The event loop itself holds no task.
        self.readings.add(reading)
        reading.add_done_callback(self.readings.discard)


def _has_body(scope: Scope) -> bool:
    # In HTTP/2 even the end of no body comes by itself, and hypercorn fails the whole connection
    # if the stream is gone by then.
    if scope["http_version"] == "2" and scope["method"] not in ("GET", "HEAD"):
        return True
    return any(name in OF_A_BODY and value != b"0" for name, value in scope["headers"])


class _Upload:
    """One request's body, and the answer to it."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.ask = receive
        self.pass_on = send
        self.ended = asyncio.Event()

    async def receive(self) -> Message:
        message = await self.ask()
        if not message.get("more_body"):  # or the client has left
            self.ended.set()
        return message

    async def send(self, message: Message) -> None:
        last = message["type"] == "http.response.body" and not message.get("more_body")
        if not last or self.ended.is_set():
            await self.pass_on(message)
            return
        # First all of the answer, so that nobody waits for it; then the rest of the upload.
        await self.pass_on({**message, "more_body": True})
        reading = self.read()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.ended.wait(), LINGER)
        # hypercorn has one more message for the app, and may wait until that is taken.
        await self.pass_on({"type": "http.response.body", "body": b""})
        reading.cancel()

    def read(self) -> asyncio.Task[None]:
        """Read on, whether or not the app reads, too."""
        return asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        while not self.ended.is_set():
            await self.receive()
