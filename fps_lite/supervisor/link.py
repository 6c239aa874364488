"""The worker's end of its socket to the parent."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from .messages import Beat, Drain, Order, Reopen, Report, line_of, order_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

BEAT = 1.0
"""Seconds between two signs of life."""
CHUNK = 65536


class Link:
    """Reports to the parent, and takes its orders; a parent that is gone wants the end."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        self._socket.settimeout(None)
        self._read = b""
        self.reopen: Callable[[], object] = int
        """Called when the log file has another name now."""

    def wait(self) -> Order | None:
        """Wait for the next order, before the event loop runs; None if the parent is gone."""
        order = self._wait()
        while isinstance(order, Reopen):
            self.reopen()
            order = self._wait()
        return order

    def _wait(self) -> Order | None:
        while b"\n" not in self._read:
            more = self._socket.recv(CHUNK)
            if not more:
                return None
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        return order_of(line)

    def close(self) -> None:
        """Leave the parent alone."""
        self._socket.close()

    def report(self, report: Report) -> None:
        """Tell the parent; nobody hears it if the parent is gone."""
        with suppress(OSError):
            self._socket.sendall(line_of(report))

    def attend(
        self,
        loop: asyncio.AbstractEventLoop,
        drain: Callable[[float], None],
        requests: Callable[[], int],
    ) -> None:
        """In `loop`, give signs of life, and `drain` when told to, with the seconds to linger.

        `drain` may be called again, when there is less time left.
        """

        def heard() -> None:
            order = self._next()
            if order is None:
                loop.remove_reader(self._socket)
            if isinstance(order, Reopen):
                self.reopen()
            if order is None or isinstance(order, Drain):
                drain(order.linger if order else 0)
            heard_already()

        def heard_already() -> None:
            # Of orders that came together, the socket tells only once.
            if b"\n" in self._read:
                heard()

        def beat() -> None:
            # A parent that is stopped must not stop us.
            with suppress(OSError):
                self._socket.send(line_of(Beat(requests())), socket.MSG_DONTWAIT)
            loop.call_later(BEAT, beat)

        loop.add_reader(self._socket, heard)
        loop.call_soon(heard_already)
        loop.call_soon(beat)

    def _next(self) -> Order | None:
        with suppress(OSError):
            return self._wait()
        return None
