"""What SIGHUP means: a reload, or that the terminal of the server has gone."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hangup:
    """How this process was started."""

    on_terminal: bool
    is_ignored: bool
    """As `nohup` starts it."""

    @classmethod
    def here(cls) -> Hangup:
        """Return how this process was started; it must not have taken the signal yet."""
        return cls(_has_terminal(), signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)

    def is_of_the_terminal(self) -> bool:
        """Tell whether the signal that came says that the terminal has gone."""
        return self.on_terminal and not _has_terminal()


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
