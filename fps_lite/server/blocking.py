"""A server that stops even though some code blocks its event loop.

The loop keeps every limit of a stop. A handler that sleeps or a lifespan that joins a thread
holds up all of them; so a thread beside the loop asks whether it still turns, interrupts the
code that blocks it, and ends the process if that is of no use.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import sysconfig
import threading
import time
import traceback
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from .loops import SLACK

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

LOGGER = logging.getLogger("fps_lite.server")
POLL = 0.05
GRACE = 1.0
"""Seconds for the code that is interrupted, and for all after the second signal."""
OURS = str(Path(__file__).parents[1]) + os.sep
INTERRUPT = signal.SIGALRM
"""Interrupts what the main thread waits for, if nobody else has use for this signal."""


class BlockedError(Exception):
    """Raised in code that blocks the event loop for too long while the server stops."""


@dataclass
class Watch:
    """Sees to it that `loop` turns while the server stops; does nothing before."""

    loop: asyncio.AbstractEventLoop
    drain: float
    """Seconds in which the loop must have turned, from the beginning of the stop."""
    stop: float
    """Seconds that one piece of code may block the loop, once requests have drained."""
    draining: bool = False
    _told: SimpleQueue[None] = field(default_factory=SimpleQueue)
    _hurried: bool = False
    _over: bool = False
    _blocked: bool = False

    def begin(self) -> None:
        """Note that the server stops; may be called in a signal handler."""
        self._told.put(None)

    def hurry(self) -> None:
        """Note that what goes on is to be cut short; may be called in a signal handler."""
        self._hurried = True

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while the body runs, in the main thread."""
        before = signal.getsignal(INTERRUPT)
        if before is signal.SIG_DFL:
            signal.signal(INTERRUPT, self._raise)
        threading.Thread(target=self._run, daemon=True, name="fps-lite-watch").start()
        try:
            yield
        finally:
            self._over = True
            self.begin()
            if before is signal.SIG_DFL:
                signal.signal(INTERRUPT, before)

    def _run(self) -> None:
        self._told.get()
        began = time.monotonic()
        while not self._over:
            asked, turned = time.monotonic(), threading.Event()
            with suppress(RuntimeError):  # it is closed
                self.loop.call_soon_threadsafe(turned.set)
            while self._waits(turned):
                if time.monotonic() > self._deadline(began, asked):
                    self._interrupt(turned)
            time.sleep(POLL)

    def _waits(self, turned: threading.Event) -> bool:
        return not turned.wait(POLL) and not self._over

    def _deadline(self, began: float, asked: float) -> float:
        limit = max(began + self.drain, asked) if self.draining else asked + self.stop
        return min(limit + SLACK, asked + GRACE) if self._hurried else limit + SLACK

    def _interrupt(self, turned: threading.Event) -> None:
        # Begun first: what blocks the loop may hold the lock of the log.
        last = threading.Timer(GRACE, self._leave)
        last.daemon = True
        last.start()
        self._blocked = True
        LOGGER.error("%s blocks the event loop: it is interrupted", main_thread_place())
        if signal.getsignal(INTERRUPT) == self._raise:
            signal.pthread_kill(_main_ident(), INTERRUPT)
        while self._waits(turned):
            pass
        self._blocked = False
        last.cancel()

    def _raise(self, _number: int, _frame: object) -> None:
        if self._blocked:
            raise BlockedError("it blocked the event loop while the server stopped")

    def _leave(self) -> None:
        line = f"{main_thread_place()} blocks the event loop and goes on: the process ends here"
        saying = threading.Thread(target=LOGGER.error, args=("%s", line), daemon=True)
        saying.start()
        saying.join(SLACK)
        os._exit(1)


def main_thread_place() -> str:
    """Return where the main thread is, as `file:line`, or "" if in no Python code."""
    return thread_place(threading.main_thread())


def thread_place(thread: threading.Thread) -> str:
    """Return where a thread is, as `file:line`, or "" if in no Python code."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - documented
    return innermost(traceback.extract_stack(frame)) if frame else ""


def innermost(stack: traceback.StackSummary) -> str:
    """Return the innermost place in `stack` that is neither Python's library nor ours."""
    places = [f"{one.filename}:{one.lineno}" for one in stack]
    library = sysconfig.get_path("stdlib") + os.sep
    foreign = [one for one in places if "site-packages" in one or not one.startswith(library)]
    others = [one for one in foreign if not one.startswith(OURS)]
    return (others or foreign or places)[-1]


def _main_ident() -> int:
    return threading.main_thread().ident or 0
