"""One writer at a time, among all threads and processes that write to the same place.

A pipe takes no more than `PIPE_BUF` at once, and what others write comes between two parts of
a longer line; so even a short one waits for its turn. A lock of the system's is given back
when its holder ends, however it ends.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PAUSE = 0.0002
"""Seconds between two looks at a lock that another process has."""
STANDARD = (2, 1)
"""The descriptors of two places, if they are two: stderr and stdout."""
PLACES = 3
"""These, and any other: a log file."""


class Turns:
    """The turns at each place to write to; shared by all processes that have `descriptor`."""

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = descriptor
        marks = bytearray(PLACES) if descriptor is None else mmap.mmap(descriptor, PLACES)
        self.places = tuple(Turn(descriptor, marks, place) for place in range(PLACES))

    @classmethod
    def shared(cls) -> Turns:
        """Return what worker processes can have a part in, by its descriptor."""
        with tempfile.TemporaryFile() as file:
            file.write(bytes(PLACES))
            file.flush()
            return cls(os.dup(file.fileno()))

    def of(self, descriptor: int) -> Turn:
        """Return the turn at the place to which `descriptor` writes."""
        place = _identity(descriptor)
        for number, standard in enumerate(STANDARD):
            if place is not None and place == _identity(standard):
                return self.places[number]
        return self.places[-1]


class Turn:
    """The right to write to one place."""

    def __init__(self, descriptor: int | None, marks: bytearray | mmap.mmap, place: int) -> None:
        self._descriptor = descriptor
        self._marks = marks
        self._place = place
        self._lock = threading.RLock()
        self._depth = 0
        os.register_at_fork(after_in_child=self._forget)

    @property
    def is_cut(self) -> bool:
        """Whether the last line there has no end: all processes know it."""
        return bool(self._marks[self._place])

    @is_cut.setter
    def is_cut(self, is_cut: bool) -> None:
        self._marks[self._place] = is_cut

    def take(self, within: float) -> bool:
        """Wait for the turn, for so many seconds; `give` it back if True is returned."""
        deadline = time.monotonic() + within
        if not self._lock.acquire(timeout=within):
            return False
        self._depth += 1
        while self._depth == 1 and self._is_taken():
            if time.monotonic() >= deadline:
                self._depth -= 1
                self._lock.release()
                return False
            time.sleep(PAUSE)
        return True

    def give(self) -> None:
        """Give the turn back."""
        self._depth -= 1
        if self._depth == 0 and self._descriptor is not None:
            with suppress(OSError):
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, self._place)
        self._lock.release()

    @contextmanager
    def taken(self, within: float = 1) -> Iterator[None]:
        """Have the turn in the body, or do without it if others keep it for too long."""
        has_it = self.take(within)
        try:
            yield
        finally:
            if has_it:
                self.give()

    def _is_taken(self) -> bool:
        if self._descriptor is not None:
            try:
                # Not `flock`: it knows no difference between those that inherit a descriptor.
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._place)
            except OSError as error:
                # Without it where it cannot be had at all, as when other code has closed it.
                return error.errno in (errno.EAGAIN, errno.EACCES)
        return False

    def _forget(self) -> None:
        # What another thread held when this process was forked, nobody gives back.
        self._lock, self._depth = threading.RLock(), 0


def _identity(descriptor: int) -> tuple[int, int] | None:
    with suppress(OSError):
        status = os.fstat(descriptor)
        return status.st_dev, status.st_ino
    return None
