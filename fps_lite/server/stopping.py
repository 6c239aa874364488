"""Who asked the server to stop, and how urgently."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fps_lite.errors import StoppedError

from .blocking import BlockedError, innermost, thread_place
from .forks import end_if_forked

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from .blocking import Watch

LOGGER = logging.getLogger("fps_lite.server")
BY_WHOM = "by code that runs in it"
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

        self.linger = 0.0
        """Seconds that idle connections stay open in the drain."""
        self.hastened = asyncio.Event()
        """Set when they must not stay any longer."""
        self.failure: Exception | None = None
        """Raised when all has stopped."""

    def fail(self, error: Exception) -> None:
        """Begin the drain because of `error`."""
        self.failure = error
        self.request()

    def drain(self, linger: float) -> None:
        """Begin the drain, and let idle connections stay for `linger` seconds.

        The second time it can only be shorter.
        """
        if self.requested.is_set():
            if not linger:
                self.hastened.set()
            return
        self.linger = linger
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
    loop: asyncio.AbstractEventLoop, call: Callable[[], None], watch: Watch
) -> Iterator[Callable[[], None]]:
    """Make SIGTERM and SIGINT `call` in the loop, and put back what they did before.

    `watch` hears of them even while the loop is blocked, and the third one ends the process
    at once. Yields what takes the signals again, when other code has taken them.
    """
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    seen: list[int] = []

    def count(number: int, _frame: object) -> None:
        seen.append(number)
        if len(seen) >= ENOUGH:
            os._exit(1)
        watch.begin()
        if len(seen) > 1:
            watch.hurry()

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


def complete(loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, None], stop: Stop) -> None:
    """Run `main` to its end, whatever other code does to the loop.

    If it stops the loop, the server stops in order; if it raises what is to end the process,
    that ends its own task alone.
    """
    task, pid = loop.create_task(main), os.getpid()
    while not task.done():
        try:
            loop.run_until_complete(task)
        except (RuntimeError, SystemExit, KeyboardInterrupt, BlockedError) as error:
            if task.done():
                raise
            if isinstance(error, SystemExit | KeyboardInterrupt):
                end_if_forked(pid, error)
            if isinstance(error, RuntimeError):
                loop.call_soon(_fail, stop, f"the event loop was stopped {BY_WHOM}")
            elif not isinstance(error, BlockedError):  # which the watch has told
                _tell_of_exit(error)


def _fail(stop: Stop, line: str) -> None:
    LOGGER.error("%s", line)
    stop.fail(StoppedError(line))


def _tell_of_exit(error: SystemExit | KeyboardInterrupt) -> None:
    place = innermost(traceback.extract_tb(error.__traceback__))
    LOGGER.error("%s %s: the server goes on", place, what_ends(error))


def what_ends(error: SystemExit | KeyboardInterrupt) -> str:
    """Return what code did to end the process, which is not its own: `called sys.exit`."""
    return "called sys.exit" if isinstance(error, SystemExit) else "raised KeyboardInterrupt"


def leftover_threads(within: float = 1.0) -> list[str]:
    """Return what threads keep this process alive `within` seconds from now, and where each is."""
    deadline = time.monotonic() + within
    here = (threading.main_thread(), threading.current_thread())
    others = [one for one in threading.enumerate() if one not in here and not one.daemon]
    for thread in others:
        thread.join(max(0.0, deadline - time.monotonic()))
    alive = [thread for thread in others if thread.is_alive()]
    return [f"{one.name} ({thread_place(one)})" for one in alive]
