"""One request of a WSGI app and its answer, between the event loop and a thread.

The request is listened to all the time: only so a client that leaves is noticed.
"""

from __future__ import annotations

import asyncio
import io
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

UNREAD = 65536
"""With as many bytes of a body that the app has not read, the client waits."""
PATIENCE = 60.0
"""For as many seconds: an app that answers without reading the rest would never hear of more."""


class LostError(ConnectionResetError):
    """Raised in the app's thread when nobody hears the answer any more."""


class Body(io.RawIOBase):
    """What the event loop receives, for a thread that reads it as it comes."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._changed = threading.Condition()
        self._unread = bytearray()
        self._whole = False
        self._given_up = False
        self.lost: Exception | None = None
        """Why no more comes, and nobody hears the answer."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read what is there, or wait for it; raise `LostError` if it will not come."""
        with self._changed:
            self._changed.wait_for(self._is_readable)
            if not self._unread:
                self._check_end()
            before, size = len(self._unread), min(len(buffer), len(self._unread))
            buffer[:size] = self._unread[:size]
            del self._unread[:size]
        if before >= UNREAD > before - size:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._room.set)
        return size

    def _is_readable(self) -> bool:
        return bool(self._unread or self._whole or self._given_up or self.lost)

    def _check_end(self) -> None:
        if self._given_up:
            raise LostError(f"the body was not read for {PATIENCE:g} s while the answer was sent")
        if not self._whole:
            self.check()

    def check(self) -> None:
        """Raise `LostError` if nobody hears the answer."""
        if self.lost is not None:
            raise LostError("the client has left") from self.lost

    async def has_room(self) -> bool:
        """Tell whether more can be fed; if not, wait for it for a while."""
        self._room.clear()
        if not self._given_up and len(self._unread) >= UNREAD:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._room.wait()
        return self._given_up or len(self._unread) < UNREAD

    def feed(self, data: bytes, *, more: bool) -> None:
        """Add what was received, or drop it if it was given up."""
        with self._changed:
            if not self._given_up:
                self._unread += data
                self._whole = not more
            self._changed.notify_all()

    def give_up(self) -> None:
        """Drop what comes: the app has not read what is there."""
        self._given_up = True

    def lose(self, error: Exception) -> None:
        """Let no reader wait for more."""
        with self._changed:
            self.lost = self.lost or error
            self._changed.notify_all()


class Exchange:
    """What the event loop and the thread of one request share."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.body = Body()
        self.begun = False
        """Whether a thread has taken it."""
        self.head_sent = False
        self.cut = False
        """Whether the answer is left without its end."""
        self.error: BaseException | None = None
        """What the app raised."""
        self._over = False
        self._outgoing: asyncio.Queue[Message | None] = asyncio.Queue(1)

    async def listen(self, receive: Receive) -> None:
        """Receive the body, and then on until the client leaves."""
        try:
            while (message := await receive())["type"] == "http.request":
                while not await self.body.has_room():
                    if self.head_sent:
                        self.body.give_up()
                self.body.feed(message.get("body", b""), more=message.get("more_body", False))
            self.body.lose(ClientDisconnect())
        except Exception as error:  # noqa: BLE001 - a middleware's, raised when the app meets it
            self.body.lose(error)

    async def send(self, message: Message | None) -> None:
        """Take a message of the answer; None is after the last."""
        kind = message["type"] if message else ""
        is_end = message and kind == "http.response.body" and not message.get("more_body")
        if not self._over and not (self.cut and is_end):
            await self._outgoing.put(message)

    async def forward(self, send: Send) -> None:
        """Send the answer to its end."""
        while (message := await self._outgoing.get()) is not None:
            try:
                await send(message)
            except OSError:
                # So servers say that the client has left.
                self.body.lose(ClientDisconnect())

    def end(self) -> None:
        """Let the thread wait neither for the client nor for whoever sends."""
        self._over = True
        self.body.lose(ClientDisconnect())
        while not self._outgoing.empty():
            self._outgoing.get_nowait()

    def conclude(self) -> None:
        """Raise what the app raised, but not that the client left an answer that was begun."""
        error, self.error = self.error, None
        lost = self.body.lost
        if isinstance(error, LostError) and lost is not None:
            error = None if self.head_sent and isinstance(lost, ClientDisconnect) else lost
        if error is not None:
            raise error
