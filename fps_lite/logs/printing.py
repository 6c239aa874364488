"""`sys.stdout` and `sys.stderr` of a worker: what is printed arrives in whole lines, too."""

from __future__ import annotations

import io
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, cast

from .writing import Outlet

if TYPE_CHECKING:
    from .turns import Turns


def print_whole_lines(turns: Turns) -> None:
    """Replace this process's stdout and stderr by streams that write a line when it is whole.

    Python would write what is printed when 8 KiB of it have come together, or in parts. A
    part of a line is written when it is flushed. As ever, printing waits for who reads.
    """
    sys.stderr = _by_lines(sys.stderr, turns)
    sys.stdout = _by_lines(sys.stdout, turns)


def _by_lines(stream: TextIO, turns: Turns) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):  # it is closed
        return stream
    stream.flush()
    lines = cast("BinaryIO", _Lines(Outlet(stream.fileno(), turns)))
    return io.TextIOWrapper(
        lines, encoding=stream.encoding, errors=stream.errors, write_through=True
    )


class _Lines(io.BufferedIOBase):
    """Takes bytes in any parts, and writes whole lines; each thread has lines of its own."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._own = threading.local()

    def write(self, data: Any, /) -> int:
        """Take bytes; write the lines that are whole by now."""
        held = getattr(self._own, "begun", b"") + bytes(data)
        whole, end, self._own.begun = held.rpartition(b"\n")
        if end:
            self._outlet.write(whole + end, None)
        return len(data)

    def flush(self) -> None:
        """Write the line that this thread has begun."""
        begun, self._own.begun = getattr(self._own, "begun", b""), b""
        if begun:
            self._outlet.write(begun, None)

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._outlet.descriptor

    def isatty(self) -> bool:
        """Tell whether this is a terminal."""
        return os.isatty(self._outlet.descriptor)
