"""Write lines to a descriptor, and never wait for ever for whoever reads it.

An event loop that blocks in a write to a full pipe answers no request and no signal: a line
that the pipe does not take is dropped and counted. No thread and no queue: lines stay in
order with what others write, and nothing has to be flushed at the end.
"""

from __future__ import annotations

import logging
import os
import select
import stat
import time
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, TextIO

from .turns import Turns

if TYPE_CHECKING:
    from .files import LogFile

PATIENCE = 1.0
"""Seconds to wait for a reader that has kept up until now: a busy machine may hold it up."""
TURN = 0.05
"""Seconds to wait for the others at least: they read nothing, so this is soon over."""


class Outlet:
    """A descriptor to which whole lines are written, each when it is its turn."""

    def __init__(self, descriptor: int, turns: Turns) -> None:
        self.descriptor = descriptor
        self.turn = turns.of(descriptor)
        self._is_mid_line = False
        self._later: list[bytes] = []

    def write(self, data: bytes, patience: float | None) -> bool:
        """Write lines whole and return True, or give up after `patience` seconds.

        With None, wait for ever. A line that was begun and cut counts as not written.
        """
        deadline = None if patience is None else time.monotonic() + patience
        while True:
            wait = PATIENCE if deadline is None else deadline - time.monotonic()
            if self.turn.take(max(TURN, wait)):
                try:
                    if self._is_mid_line:  # a destructor or a signal's handler, in this thread
                        self._later.append(data)
                        return True
                    if self._takes_more(0):
                        return self._write_now(data, patience)
                finally:
                    self.turn.give()
            # Without the turn: others may give up, or write elsewhere.
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not self._takes_more(left) or left == 0:
                return False

    def _write_now(self, data: bytes, patience: float | None) -> bool:
        if self.turn.is_cut:
            data = b"\n" + data
        is_whole = self._write_in_parts(data, patience)
        while self._later and is_whole:
            is_whole = self._write_in_parts(self._later.pop(0), patience)
        return is_whole

    def _write_in_parts(self, data: bytes, patience: float | None) -> bool:
        """Write all, or as much as is taken in time; say which."""
        is_long = len(data) > select.PIPE_BUF
        # A pipe that is ready takes this much without blocking; a file always does.
        size = len(data) if is_long and self._is_file() else select.PIPE_BUF
        was_cut, written = self.turn.is_cut, 0
        # Said before it is so: this process may be killed meanwhile.
        self.turn.is_cut = was_cut or is_long
        self._is_mid_line = is_long
        try:
            while written < len(data) and (not written or self._takes_more(patience)):
                written += os.write(self.descriptor, data[written : written + size])
        finally:
            self._is_mid_line = False
            self.turn.is_cut = written < len(data) if written else was_cut
        return written == len(data)

    def _is_file(self) -> bool:
        return stat.S_ISREG(os.fstat(self.descriptor).st_mode)

    def _takes_more(self, seconds: float | None) -> bool:
        poll = select.poll()
        poll.register(self.descriptor, select.POLLOUT)
        return bool(poll.poll(None if seconds is None else seconds * 1000))


class LineHandler(logging.Handler):
    """Writes each record at once to `stream` or `file`, or drops it when nobody reads that."""

    def __init__(
        self, stream: TextIO, turns: Turns | None = None, file: LogFile | None = None
    ) -> None:
        super().__init__()
        self._stream = stream
        self._file = file
        self._dropped = 0
        self._outlet: Outlet | None = None
        turns = turns or Turns()
        if file is not None:
            self._outlet = Outlet(file.descriptor, turns)
        else:
            with suppress(OSError, ValueError, AttributeError):  # a stream in memory
                self._outlet = Outlet(stream.fileno(), turns)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; a stream that is gone is no error of who logs."""
        try:
            line = self.format(record) + "\n"
        except Exception:  # noqa: BLE001 - as `logging` does it
            self.handleError(record)
            return
        try:
            if self._outlet is None:
                self._stream.write(line)
                self._stream.flush()
            else:
                self._write_or_drop(self._outlet, line)
        except (OSError, ValueError):
            self._dropped += 1

    def reopen(self) -> None:
        """Write to the file that has the name now, if this writes to a file."""
        if self._file is not None:
            self._file.reopen()

    def close(self) -> None:
        """Close the file, if there is one."""
        super().close()
        if self._file is not None:
            self._file.close()

    def _write_or_drop(self, outlet: Outlet, line: str) -> None:
        if self._dropped and outlet.write(self._encoded(self._left_out()), 0):
            self._dropped = 0
        # Once it was waited for in vain, nobody waits until it is read again.
        is_read = not self._dropped
        self._dropped += not (is_read and outlet.write(self._encoded(line), PATIENCE))

    def _left_out(self) -> str:
        message = "log lines dropped, as they could not be written: %d"
        record = logging.LogRecord(
            "fps_lite.logs", logging.WARNING, "", 0, message, (self._dropped,), None
        )
        # It is of no request, though it comes in the middle of one.
        return Context().run(self.format, record) + "\n"

    def _encoded(self, text: str) -> bytes:
        encoding = "utf-8" if self._file else self._stream.encoding or "utf-8"
        return text.encode(encoding, "backslashreplace")
