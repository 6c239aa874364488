"""What a worker and its parent tell each other: one JSON object a line, over one socket."""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec import Struct


class Job(Struct, frozen=True, tag=True):
    """What a worker is to do: nothing of it is in argv, which everybody can read."""

    argv: list[str]
    """The command line of the parent."""
    sockets: list[int]
    """The descriptors of the sockets that it inherits, in the order of `fps.bind`."""
    config: bytes | None = None
    """The merged configuration, pickled; None in a generation's first worker, which reads it."""
    number: int = 1
    """Which of the workers it is, from 1; the one in its place gets the same."""
    turns: int | None = None
    """The descriptor by which all processes take turns to write their logs."""


class Go(Struct, frozen=True, tag=True):
    """Start the lifespans, and serve."""


class Drain(Struct, frozen=True, tag=True):
    """Take no more connections, finish what runs, and end."""

    linger: float = 0
    """Seconds that idle connections stay open: a client may be about to use one."""


class Reopen(Struct, frozen=True, tag=True):
    """Go on in the log file that has the name now."""


class Terms(Struct, frozen=True):
    """What the parent must know of the settings."""

    workers: int
    addresses: list[str]
    startup_timeout: float
    blocked_timeout: float
    stop_timeout: float
    """Seconds that its event loop may be blocked while it stops."""
    end_timeout: float
    """Seconds from the order to drain until its process must have ended, whatever it does."""
    linger: float
    """Seconds that an idle connection stays open."""


class Checked(Struct, frozen=True, tag=True):
    """All that can be checked without starting anything is in order; `Go` is waited for."""

    terms: Terms
    config: bytes
    digest: str
    """Of configuration and code: equal if there is nothing to reload."""
    summary: str
    """`3 plugins, 12 routes`."""
    warnings: list[str]
    sources: list[str]
    """The directories of its sources and files, if changes of them are to be watched."""
    has_setup: bool
    """Whether a plugin has something to do in the command's own process."""


class Ready(Struct, frozen=True, tag=True):
    """Connections are answered."""


class Beat(Struct, frozen=True, tag=True):
    """The event loop turns."""

    requests: int = 0
    """Answered so far."""


class Leaving(Struct, frozen=True, tag=True):
    """This worker wants another one in its place, and then ends."""

    why: str


class Failed(Struct, frozen=True, tag=True):
    """What this worker ends with."""

    problems: list[str]
    code: int
    is_logged: bool = False


Order: TypeAlias = Job | Go | Drain | Reopen
Report: TypeAlias = Checked | Ready | Beat | Leaving | Failed


def line_of(message: Order | Report) -> bytes:
    """Return a message as its line."""
    return msgspec.json.encode(message) + b"\n"


def order_of(line: bytes) -> Order:
    """Return what the parent said."""
    order: Order = msgspec.json.decode(line, type=Order)
    return order


def report_of(line: bytes) -> Report:
    """Return what a worker said."""
    report: Report = msgspec.json.decode(line, type=Report)
    return report
