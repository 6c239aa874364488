"""What becomes of results that cannot be written, whoever wrote them and caught the error."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any

from fps_lite.errors import system_reason


class Stdout:
    """The process's `sys.stdout`, replaced by one whose first failure is remembered."""

    failure: OSError | None = None

    def __init__(self) -> None:
        before = sys.stdout
        if isinstance(before, io.TextIOWrapper):  # else it is closed, or of another making
            sys.stdout = self._watched(before)

    def _watched(self, before: io.TextIOWrapper) -> io.TextIOWrapper:
        raw = _Raw(before.fileno(), self)
        unbuffered = isinstance(before.buffer, io.RawIOBase)
        return io.TextIOWrapper(
            raw if unbuffered else io.BufferedWriter(raw),
            encoding=before.encoding,
            errors=before.errors,
            line_buffering=before.line_buffering,
            write_through=before.write_through,
        )

    def settle(self, code: int) -> tuple[int, str]:
        """Write what is left; return the exit code, and what there is to say of lost output.

        That nobody reads any more is not said, and changes no code.
        """
        with suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
        if self.failure is None:
            return code, ""
        silence()
        if self.failure.errno == errno.EPIPE:
            return code, ""
        return code or 1, f"cannot write to stdout: {system_reason(self.failure)}"


class _Raw(io.FileIO):
    def __init__(self, descriptor: int, owner: Stdout) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._owner = owner

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self._owner.failure = self._owner.failure or error
            raise


def silence() -> None:
    """Send whatever is still written to stdout nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.__stdout__.fileno() if sys.__stdout__ else 1)
    os.close(nowhere)
