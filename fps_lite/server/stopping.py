"""Who asked the server to stop, and how urgently."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


ENOUGH = 3
"""With this many signals, the process ends whatever it does."""


class Stop:
    """One server's way out: start-up is cancelled, serving drains, a drain is cut short."""

    def __init__(self) -> None:
        self.requested = asyncio.Event()
        """Set when the drain begins."""
        self.cut = asyncio.Event()
        """Set when the drain must end at once."""
        self.cancel: Callable[[], object] | None = None
        """Ends what cannot be drained: set while the app starts or stops."""
        self.hurry: Callable[[], object] | None = None
        """Cuts short what the app stops, instead of `cancel`, and nothing while it serves."""
        self.begin: Callable[[], object] | None = None
        """Called once, when the drain begins."""
        self.listen: Callable[[], object] | None = None
        """Takes the signals again: an app may take them for itself when it starts."""

        self.failure: Exception | None = None
        """Raised when all has stopped."""

    def fail(self, error: Exception) -> None:
        """Begin the drain because of `error`."""
        self.failure = error
        self.request()

    def request(self) -> None:
        """Begin the drain; do nothing if it has begun."""
        if self.requested.is_set():
            return
        self.requested.set()
        if self.begin is not None:
            self.begin()
        if self.cancel is not None:
            self.cancel()

    def signal(self) -> None:
        """Begin the drain; the second time cut short what goes on: drain, start or stop."""
        if not self.requested.is_set():
            self.request()
            return
        self.cut.set()
        end = self.hurry or self.cancel
        if end is not None:
            end()


@contextmanager
def signals(
    loop: asyncio.AbstractEventLoop, call: Callable[[], None]
) -> Iterator[Callable[[], None]]:
    """Make SIGTERM and SIGINT `call` in the loop, and put back what they did before.

    The third one ends the process at once: a loop that is blocked never gets to `call`.
    Yields what takes the signals again, when other code has taken them.
    """
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    seen: list[int] = []

    def count(number: int, _frame: object) -> None:
        seen.append(number)
        if len(seen) >= ENOUGH:
            os._exit(1)

    def take() -> None:
        for number in numbers:
            loop.add_signal_handler(number, call)
            # The loop hears of a signal through its wake-up descriptor, whoever handles it.
            signal.signal(number, count)

    take()
    try:
        yield take
    finally:
        for number in numbers:
            if not loop.is_closed():  # which has removed them
                loop.remove_signal_handler(number)
            signal.signal(number, before[number])


def leftover_threads(within: float = 1.0) -> list[str]:
    """Return the names of threads that keep this process alive `within` seconds from now."""
    deadline = time.monotonic() + within
    here = (threading.main_thread(), threading.current_thread())
    others = [one for one in threading.enumerate() if one not in here and not one.daemon]
    for thread in others:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [thread.name for thread in others if thread.is_alive()]
