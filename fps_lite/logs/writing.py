"""Write lines to a stream, and never wait for whoever reads it.

An event loop that blocks in a write to a full pipe answers no request and no signal: a line
that the pipe does not take is dropped and counted. No thread and no queue: lines stay in
order with what others write, and nothing has to be flushed at the end.
"""

from __future__ import annotations

import logging
import os
import select
from contextlib import suppress
from typing import TextIO

PATIENCE = 100
"""Milliseconds to wait for a reader that has kept up until now."""


class LineHandler(logging.Handler):
    """Writes each record to `stream` at once, or drops it when nobody reads the stream."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._descriptor = _descriptor_of(stream)
        self._dropped = 0
        self._is_mid_line = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; a stream that is gone is no error of who logs."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - as `logging` does it
            self.handleError(record)
            return
        with suppress(OSError, ValueError):
            if self._descriptor is None:
                self._stream.write(line + "\n")
                self._stream.flush()
            else:
                self._write_or_drop(self._descriptor, line)

    def _write_or_drop(self, descriptor: int, line: str) -> None:
        patience = 0 if self._dropped else PATIENCE
        if not _takes_more(descriptor, patience):
            self._dropped += 1
            return
        self._stream.flush()
        before = self._left_out()
        self._dropped = 0
        whole = _write(descriptor, self._encoded(before + line + "\n"))
        self._is_mid_line = not whole
        self._dropped += not whole

    def _left_out(self) -> str:
        if not self._dropped:
            return ""
        start = "\n" if self._is_mid_line else ""
        message = "log lines dropped, as nobody read them: %d"
        record = logging.LogRecord(
            "fps_lite.logs", logging.WARNING, "", 0, message, (self._dropped,), None
        )
        return f"{start}{self.format(record)}\n"

    def _encoded(self, text: str) -> bytes:
        return text.encode(self._stream.encoding or "utf-8", "backslashreplace")


def _descriptor_of(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):  # a stream in memory
        return None


def _takes_more(descriptor: int, milliseconds: float = 0) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(milliseconds))


def _write(descriptor: int, data: bytes) -> bool:
    """Write all, or as much as is taken without waiting; say which."""
    # A pipe that is ready takes this much without blocking.
    for start in range(0, len(data), select.PIPE_BUF):
        if start and not _takes_more(descriptor, PATIENCE):
            return False
        _write_all(descriptor, data[start : start + select.PIPE_BUF])
    return True


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
