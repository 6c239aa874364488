"""How much a run measures: all of it, a quick look, or the least that shows that it works."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .environments import Pythons
    from .subjects import Subject


@dataclass(frozen=True)
class Size:
    """The numbers of a run."""

    name: str
    routes: tuple[int, ...]
    rounds: int
    copies: int  # processes with the same app
    slice: float  # seconds of one subject in one round, in process
    builds: int  # how often the largest app is built for the comparison of building
    load: float  # seconds of load on one server in one round
    load_rounds: int
    starts: int
    plugins: tuple[int, ...]  # of the start-up
    tables: int  # of the configuration
    instructions: bool


FULL = Size(
    name="full",
    routes=(10, 100, 1_000, 10_000),
    rounds=25,
    copies=3,
    slice=0.02,
    builds=5,
    load=2.0,
    load_rounds=7,
    starts=15,
    plugins=(1, 100),
    tables=1_000,
    instructions=True,
)
QUICK = replace(
    FULL,
    name="quick",
    routes=(10, 1_000, 10_000),
    rounds=9,
    copies=2,
    slice=0.005,
    builds=3,
    load=1.0,
    load_rounds=3,
    starts=4,
    instructions=False,
)
TINY = replace(
    QUICK,
    name="tiny",
    routes=(10, 100),
    rounds=2,
    copies=1,
    slice=0.001,
    builds=1,
    load=0.2,
    load_rounds=1,
    starts=1,
    plugins=(1,),
    tables=10,
)
SIZES = {one.name: one for one in (FULL, QUICK, TINY)}


@dataclass(frozen=True)
class Plan:
    """What a run is given."""

    size: Size
    pythons: Pythons
    say: Callable[[str], None]
    skipped: list[str] = field(default_factory=list)

    @property
    def largest(self) -> int:
        """Return the largest number of routes."""
        return max(self.size.routes)

    def takes(self, subject: Subject, shape: str, routes: int) -> bool:
        """Return whether a subject is measured in that shape and size."""
        if shape not in subject.shapes:
            return False
        return self.size.name == "full" or routes <= subject.quick_limit

    def copies(self, subject: Subject, routes: int) -> int:
        """Return how many processes measure a subject: one where building takes minutes."""
        builds_fast = routes <= 1_000 or subject.quick_limit > 1_000
        return self.size.copies if builds_fast else 1

    def skip(self, what: str, why: object) -> None:
        """Say what is left out, once."""
        line = f"skipped: {what}: {why}"
        if line not in self.skipped:
            self.skipped.append(line)
            self.say(line)
