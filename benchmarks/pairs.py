"""Rounds of paired measurements: what is compared is measured within one short while.

In each round every subject is measured once, in an order at random, and each beside a yardstick
of its own. What counts is the median over the rounds of a ratio within a round, with its
quartiles: a machine that is slow for a second is slow for both sides of a ratio.
"""

from __future__ import annotations

import contextlib
import json
import select
import statistics
import subprocess
import tempfile
from dataclasses import dataclass, field
from random import Random
from typing import IO, TYPE_CHECKING, Any, TypeVar

from .environments import worker_environ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from .subjects import Subject

T = TypeVar("T")
BUILD_LIMIT = 300.0  # seconds
RUN_LIMIT = 60.0


class Absent(Exception):  # noqa: N818 - it is no error: a part is not there, and the rest goes on
    """A subject cannot be measured, and why."""


class NotInstalled(Absent):
    """Not at all, in no shape and size."""


@dataclass(frozen=True)
class Spread:
    """A figure over the rounds."""

    median: float
    low: float
    high: float
    rounds: int

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the quartiles."""
    if len(values) < 2:
        return Spread(values[0], values[0], values[0], len(values))
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high, len(values))


def ratios(above: Sequence[float], below: Sequence[float]) -> Spread:
    """Return the spread of the ratio within each round."""
    return spread([one / other for one, other in zip(above, below, strict=True)])


def rounds(
    measures: Mapping[T, Callable[[int], Any]],
    count: int,
    skip: Callable[[str, Absent], None],
    seed: int = 1,
) -> dict[T, list[Any]]:
    """Call each measure once in each round, in another order each time; drop what fails."""
    rng = Random(seed)
    results: dict[T, list[Any]] = {key: [] for key in measures}
    for number in range(count):
        order = list(results)
        rng.shuffle(order)
        for key in order:
            try:
                results[key].append(measures[key](number))
            except Absent as why:
                skip(str(key), why)
                del results[key]
    return results


@dataclass
class Worker:
    """A process that measures one subject, or something else, in its own environment."""

    python: Path
    module: str
    arguments: tuple[str, ...]
    process: subprocess.Popen[str] = field(init=False)
    log: IO[str] = field(init=False)
    directory: tempfile.TemporaryDirectory[str] = field(init=False)

    def __post_init__(self) -> None:
        self.directory = tempfile.TemporaryDirectory()  # some peers write files where they run
        self.log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - until `end`
        self.process = subprocess.Popen(
            [str(self.python), "-m", self.module, *self.arguments],
            cwd=self.directory.name,
            env=worker_environ(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )

    def ask(self, do: str, *, limit: float = RUN_LIMIT, **request: Any) -> dict[str, Any]:
        """Have it do something; raises `Absent` where it cannot."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has died, and what it said is in the log
            print(json.dumps({"do": do, **request}), file=self.process.stdin, flush=True)
        if not select.select([self.process.stdout], [], [], limit)[0]:
            raise Absent(f"not done in {limit:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            raise Absent(f"its process ended: {self._last_words()}")
        reply: dict[str, Any] = json.loads(line)
        if "absent" in reply:
            raise NotInstalled(reply["absent"])
        for key in ("failed", "wrong"):
            if key in reply:
                raise Absent(reply[key])
        return reply

    def _last_words(self) -> str:
        self.log.seek(0)
        lines = self.log.read().strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.log):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self.directory.cleanup()


@contextlib.contextmanager
def worker(python: Path | None, module: str, *arguments: str) -> Iterator[Worker]:
    """Run a worker; raises `Absent` if its environment is not there."""
    if python is None:
        raise NotInstalled("its environment is not installed")
    running = Worker(python, module, arguments)
    try:
        yield running
    finally:
        running.end()


@dataclass(frozen=True)
class Built:
    """A subject's app in a worker, ready to be asked."""

    subject: Subject
    shape: str
    routes: int
    worker: Worker
    facts: dict[str, Any]


def build(worker: Worker, subject: Subject, shape: str, routes: int) -> Built:
    """Have the worker build the app, and check that it answers what it should."""
    facts = worker.ask("build", limit=BUILD_LIMIT, shape=shape, routes=routes)
    if facts["status"] != 200:
        raise Absent(f"the first request was answered with {facts['status']}")
    worker.ask("check", requests=40, seed=7)
    return Built(subject, shape, routes, worker, facts)


def requests_for(built: Built, traffic: str, seconds: float) -> int:
    """Return how many requests take about that long: whole tens, as there are ten shapes."""
    ns: float = built.worker.ask("run", traffic=traffic, requests=20, seed=11)["ns"]
    return min(max(int(seconds * 1e8 / ns) * 10, 20), 20_000)
