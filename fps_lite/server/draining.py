"""From the end of accepting to the end of the last connection, within a known time."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .loops import SLACK, Connections

if TYPE_CHECKING:
    from .stopping import Stop

LOGGER = logging.getLogger("fps_lite.server")
POLL = 0.05


@dataclass(frozen=True, slots=True)
class Drain:
    """What is waited for when the server stops, and how long."""

    stop: Stop
    connections: Connections
    limit: float
    """Seconds for the requests that still run."""

    async def linger(self) -> float:
        """Wait while idle connections may stay, or until none is open; return what is left.

        A client that is about to use one would lose its request if it were closed now. It is
        told to connect anew by the answer to that.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        until = began + min(self.stop.linger, self.limit)
        ends: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(event.wait()) for event in (self.stop.cut, self.stop.hastened)
        ]
        while loop.time() < until and not any(end.done() for end in ends):
            # First of all: what has been accepted just now is not yet among the transports.
            await asyncio.wait(ends, timeout=POLL, return_when=asyncio.FIRST_COMPLETED)
            if not self.connections.transports:
                break
        for end in ends:
            end.cancel()
        return max(0.0, began + self.limit - loop.time())

    async def until_over(self, serving: asyncio.Future[None]) -> None:
        """Wait for `serving` and every connection; cut them at the limit or the second signal."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.limit + SLACK
        cut: asyncio.Future[Any] = asyncio.ensure_future(self.stop.cut.wait())
        await asyncio.wait(
            {serving, cut}, timeout=deadline - loop.time(), return_when=asyncio.FIRST_COMPLETED
        )
        if serving.done():
            self._finish(serving)
        # hypercorn ends its own wait early when one connection fails: the others go on.
        while self.connections.transports and not cut.done() and loop.time() < deadline:
            await asyncio.wait({cut}, timeout=POLL)
        cut.cancel()
        if self.connections.transports or not serving.done():
            await self._force(serving)

    def tell_of_cuts(self) -> None:
        """Log how many connections the limit cuts."""
        number = len(self.connections.transports)
        if number:
            LOGGER.warning("cut %s that did not end within %g s", _connections(number), self.limit)

    def _finish(self, serving: asyncio.Future[None]) -> None:
        """Raise what ended `serving`, unless that is one connection's error."""
        error = serving.exception()
        if error is not None and not self.stop.requested.is_set():
            raise error
        if error is not None:
            LOGGER.warning("a connection failed in the drain: %r", error)

    async def _force(self, serving: asyncio.Future[None]) -> None:
        number = len(self.connections.transports)
        if number and self.stop.cut.is_set():
            LOGGER.warning("cut %s at the second signal", _connections(number))
        self.connections.abort()
        await asyncio.wait({serving}, timeout=SLACK)
        serving.cancel()
        await asyncio.wait({serving}, timeout=SLACK)
        if serving.done() and not serving.cancelled():
            # What a forced end does to hypercorn's own bookkeeping is nobody's error.
            serving.exception()


def _connections(number: int) -> str:
    return f"{number} connection{'' if number == 1 else 's'}"
