"""SIGINT and SIGTERM outside of serving: the command ends in order, and says so in one line.

Imports only the smallest of the standard library: what it guards are slow imports.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fps_lite.errors import FPSError

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERRUPTED = "interrupted before it was ready"


def take_signals() -> None:
    """Let SIGTERM raise `KeyboardInterrupt` in the main thread, as SIGINT does."""
    if _is_ours() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def outlast_signals() -> None:
    """Let what ends already end in order; the second signal from now ends the process."""
    seen: list[int] = []

    def count(number: int, _frame: object) -> None:
        seen.append(number)
        if len(seen) > 1:
            os._exit(1)

    if _is_ours():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, count)


@contextmanager
def interruptible() -> Iterator[None]:
    """Make an interruption of the body an error of one line."""
    try:
        yield
    except KeyboardInterrupt:
        raise FPSError(INTERRUPTED) from None


def _is_ours() -> bool:
    return threading.current_thread() is threading.main_thread()
