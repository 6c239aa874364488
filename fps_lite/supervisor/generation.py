"""The workers that run one state of configuration and code, each replaced when it ends."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fps_lite.errors import FPSError, StartupError, StoppedError

from .child import Child, spawn
from .messages import Checked, Drain, Go, Job, Reopen, Terms

if TYPE_CHECKING:
    from .child import Command

LOGGER = logging.getLogger("fps_lite.supervisor")
TRIES = 6
"""So many workers in turn that do not start, and none that serves, are the end."""
FIRST_DELAY, LONGEST_DELAY = 0.2, 10.0
"""Seconds from one try to the next, doubled each time."""
SETTLED = 1.0
"""Seconds that a worker must serve, not to be one more of those that fail."""


class Generation:
    """Workers of one state, the first of which checks it for all.

    `check`, then `serve`; `retire` at any time.
    """

    def __init__(self, number: int, command: Command, job: Job, *, patience: float) -> None:
        self.number = number
        self.began = time.time()
        self.children: list[Child] = []
        self.hopeless: asyncio.Future[FPSError] = asyncio.get_running_loop().create_future()
        """Set when none of them serves, and no new one starts."""
        self._command = command
        self._job = job
        self._patience = patience
        self._keepers: list[asyncio.Task[None]] = []
        self._fruitless = 0
        self._begun: set[int] = set()
        """The numbers of those that are being started."""

    async def check(self) -> Checked:
        """Start one worker, and return what it found; raise what is wrong."""
        first = await self._spawn()
        await first.checked.wait()
        if first.report is None or first.over.is_set():
            raise _why(first)
        self.checked = first.report
        self._job = replace(self._job, config=first.report.config)
        return first.report

    @property
    def terms(self) -> Terms:
        """What its settings say."""
        return self.checked.terms

    async def serve(self) -> None:
        """Let all of them serve; return when they do, or raise why one does not."""
        for _ in range(self.terms.workers - 1):
            await self._spawn()
        started = tuple(self.children)
        for child in started:
            self._let(child)
        for child in started:
            await child.ready.wait()
            if child.over.is_set():
                raise _why(child)
            child.silence = self.terms.blocked_timeout
        self._keepers = [asyncio.create_task(self._keep(child)) for child in started]

    async def retire(self, *, linger: float = 0) -> list[str]:
        """Drain and end all of them; return what was not in order in that, logged."""
        for keeper in self._keepers:
            keeper.cancel()
        leaving = [one for one in self.children if not one.over.is_set()]
        serving = [one for one in leaving if one.serves]
        for child in serving:
            child.silence = min(child.silence, self.terms.stop_timeout)
        for child in leaving:
            # One that still starts may not hear us, but has nothing to drain.
            child.tell(Drain(linger)) if child.serves else child.signal(signal.SIGTERM)
        await asyncio.gather(*(self._end(child, linger) for child in leaving))
        return [line for child in serving for line in _troubles(child)]

    async def _end(self, child: Child, linger: float) -> None:
        limit = self.terms.end_timeout + linger if child.serves else self._patience
        with suppress(TimeoutError):
            await asyncio.wait_for(child.over.wait(), limit)
        if not child.over.is_set():
            LOGGER.error("%s did not end within %g s, and is killed", child, limit)
            child.signal(signal.SIGKILL)
            await child.over.wait()

    def signal(self, number: int) -> None:
        """Send a signal to each of them."""
        for child in self.children:
            child.signal(number)

    def reopen_logs(self) -> None:
        """Let each of them go on in the log file that has the name now."""
        for child in self.children:
            child.tell(Reopen())

    async def _spawn(self) -> Child:
        job = replace(self._job, number=self._free_number())
        self._begun.add(job.number)
        try:
            child = await spawn(self._command, job, silence=self._patience)
        finally:
            self._begun.discard(job.number)
        self.children = [one for one in self.children if not one.over.is_set()] + [child]
        return child

    def _free_number(self) -> int:
        staying = {one.number for one in self.children if not one.leaving.is_set()}
        return min(set(range(1, len(self.children) + len(self._begun) + 2)) - staying - self._begun)

    def _let(self, child: Child) -> None:
        child.silence = max(self._patience, self.terms.startup_timeout)
        child.tell(Go())

    async def _keep(self, child: Child) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            await child.leaving.wait()
            settled = time.monotonic() > began + SETTLED
            failures = 0 if settled else failures + 1
            child = await self._another(child, failures)

    async def _another(self, old: Child, failures: int) -> Child:
        if old.over.is_set():
            LOGGER.error("%s: another one takes its place", _line(old))
        tried = old.began
        while True:
            if failures > 1:
                delay = min(FIRST_DELAY * 2 ** (failures - 2), LONGEST_DELAY)
                # Counted from the last try: one that has lived for longer is missed already.
                await asyncio.sleep(min(delay, tried + delay - time.time()))
            tried = time.time()
            new = await self._started()
            if new is not None:
                old.tell(Drain(self.terms.linger))
                return new
            failures += 1

    async def _started(self) -> Child | None:
        """Return a new worker that serves, or None and log why there is none."""
        try:
            child = await self._spawn()
            self._let(child)
            await child.ready.wait()
            if child.over.is_set():
                raise _why(child)
        except FPSError as error:
            self._note(error)
            return None
        child.silence = self.terms.blocked_timeout
        self._fruitless = 0
        return child

    def _note(self, error: FPSError) -> None:
        self._fruitless += 1
        LOGGER.error("a worker did not start: %s", "; ".join(error.problems))
        serving = any(one.serves for one in self.children)
        if self._fruitless >= TRIES and not serving and not self.hopeless.done():
            self.hopeless.set_result(error)


def _why(child: Child) -> FPSError:
    return child.error or StartupError(f"{child} ended by itself")


def _line(child: Child) -> str:
    error = _why(child)
    if isinstance(error, StoppedError):  # which the worker has logged
        return f"{child} ended"
    return "; ".join(error.problems)


def _troubles(child: Child) -> tuple[str, ...]:
    problems = child.error.problems if child.error else ()
    if not isinstance(child.error, StoppedError):
        for line in problems:
            LOGGER.error("%s", line)
    return problems
