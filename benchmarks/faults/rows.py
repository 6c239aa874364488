"""What a question is given, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .subjects import Certificate, Running, Subject, running

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path


@dataclass(frozen=True)
class Size:
    """How much is asked for."""

    name: str
    reloads: int
    seconds: int
    """Of the load, over which the reloads are spread."""
    streams: int
    """Websockets, and as many event streams."""
    kills: int
    """One each second."""


FULL = Size("full", reloads=30, seconds=30, streams=200, kills=60)
PEERS = Size("full", reloads=10, seconds=10, streams=200, kills=15)
"""What peers are asked in a full run."""
QUICK = Size("quick", reloads=3, seconds=3, streams=25, kills=4)


@dataclass(frozen=True)
class Setting:
    """One server, and how much is asked of it."""

    subject: Subject
    python: Path
    size: Size
    certificate: Certificate

    def running(self, *options: str, secure: bool = False) -> AbstractContextManager[Running]:
        """Run the server, for one question."""
        certificate = self.certificate if secure else None
        return running(self.subject, self.python, options=options, certificate=certificate)


@dataclass(frozen=True)
class Cell:
    """One server's answer to one question."""

    text: str
    kept: bool | None = None
    """Whether it does as fps-lite promises; None: it cannot be asked."""
    figures: dict[str, Any] = field(default_factory=dict)


def counted(number: int, what: str) -> str:
    """Return `3 things`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def listed(parts: Sequence[str]) -> str:
    """Return the parts that say something, in one line."""
    return "; ".join(one for one in parts if one)
