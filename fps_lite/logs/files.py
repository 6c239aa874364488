"""A log file that another program may rename, to begin a new one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MODE = 0o640
"""What the log says is not for everybody."""


class LogFile:
    """A file that lines are appended to, whoever else does so."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = _opened(path)

    def reopen(self) -> None:
        """Go on in the file that has the name now; what was written so far stays where it is.

        In one step, and without a lock: a signal's handler may call it at any time.
        """
        new = _opened(self.path)
        os.dup2(new, self.descriptor, inheritable=False)
        os.close(new)

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)


def _opened(path: Path) -> int:
    # A pipe that nobody reads is an error, rather than a wait; and later it is waited for.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY
    descriptor = os.open(path, flags, MODE)
    os.set_blocking(descriptor, True)
    return descriptor
