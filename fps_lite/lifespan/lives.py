"""One unit's one run: a task, how far it is, and what happens when it takes too long."""

from __future__ import annotations

import asyncio
import math
import time
from enum import Enum, auto
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .failures import describe, is_cancellation
from .units import RESERVED, Services

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from .units import Unit

BLOCKED = 0.25
"""Seconds by which a timer is late only if the event loop was blocked."""


class Phase(Enum):
    """How far a life is."""

    WAITING = auto()  # for those that are started before it
    STARTING = auto()
    STARTED = auto()
    FALLING = auto()  # it had started, and unwinds without having been told to
    STOPPING = auto()


class Life:
    """One unit's one run. `on_over` is called once: when its task ended or was abandoned."""

    def __init__(self, unit: Unit, on_over: Callable[[Life, BaseException | None], None]) -> None:
        self.unit = unit
        self.earlier: list[Life] = []
        self.later: list[Life] = []
        self.phase = Phase.WAITING
        self.refusal = ""  # why what it yielded cannot be had
        self.services: Mapping[str, Any] = {}
        self.settled = asyncio.Event()  # started, or known to be down
        self.told = asyncio.Event()  # to stop
        self.over = asyncio.Event()
        self._on_over = on_over
        self._task: asyncio.Task[BaseException | None] | None = None
        self._limit: asyncio.TimerHandle | None = None
        self._reminder: asyncio.TimerHandle | None = None
        self._aborted = False  # its start was cancelled, through no fault of its own
        self._slow_start = self._slow_stop = False
        self._abandoned = self._hurried = False
        self._began = 0.0

    def begin(self, living: Callable[[Life], Coroutine[Any, Any, None]]) -> None:
        """Run `living` in a task of its own."""
        name = f"lifespan of {self.unit.name}"
        self._task = asyncio.create_task(_caught(living, self), name=name)
        self._task.add_done_callback(self._done)

    def limit(self, *delays: float) -> None:
        """Cancel the task after each of these seconds in turn; after the last, abandon it.

        This replaces an earlier limit; no delay is no limit. Unlike `wait_for`, it leaves
        entering and exiting to one task, and it ends a plugin that swallows a cancellation.
        """
        if self._limit is not None:
            self._limit.cancel()
        if delays and not self._abandoned:
            loop = asyncio.get_running_loop()
            due = loop.time() + delays[0]
            self._limit = loop.call_at(due, self._overdue, due, *delays[1:])

    def visible(self, core: object) -> Mapping[str, Any]:
        """Return the services that the unit sees, and `core`; one that is missing says why."""
        seen = Services(*(one.unit for one in self.earlier))
        seen[RESERVED] = core
        for one in self.earlier:
            seen.update(one.services)
        return MappingProxyType(seen)

    @property
    def seconds(self) -> float:
        """How long ago it began to start; a loop's own clock may stand still while blocked."""
        return time.monotonic() - self._began

    def start(self) -> None:
        """Note that its turn has come."""
        self.phase = Phase.STARTING
        self._began = time.monotonic()

    def hurry(self, patience: float) -> None:
        """If it is stopping, cancel it now, as if its time were over."""
        if self._task and not self.over.is_set() and (self._aborted or self.is_leaving):
            self._hurried = True
            self._task.cancel()
            self.limit(patience, patience)

    def remind(self, every: float, say: Callable[[Life, float], None], waited: float = 0) -> None:
        """Call `say` with the seconds so far, again and again until it has settled."""
        if waited:
            say(self, waited)
        loop = asyncio.get_running_loop()
        self._reminder = loop.call_later(every, self.remind, every, say, waited + every)

    def settle(self) -> None:
        """Let those go on that wait for its start."""
        self._stop_reminding()
        self.settled.set()

    def close(self, *delays: float) -> None:
        """Tell it to stop; if it has not started, cancel it, with these limits (see `limit`)."""
        self.told.set()
        if self._task is None:  # the loop would not make one
            self.over.set()
            return
        unsettled = self.phase in {Phase.WAITING, Phase.STARTING}
        if unsettled and not self._slow_start and not self._task.done():
            self._aborted = True
            self._task.cancel()
            self.limit(*delays)

    @property
    def is_interrupted(self) -> bool:
        """Whether its start was cancelled: it was slow, or another failed."""
        return self._aborted or self._slow_start

    @property
    def is_leaving(self) -> bool:
        """Whether it unwinds."""
        return self.phase in {Phase.FALLING, Phase.STOPPING}

    @property
    def is_ready(self) -> bool:
        """Whether nobody need wait for its start; one that falls must first say why."""
        return self.settled.is_set() and (self.phase is not Phase.FALLING or self.unit.isolated)

    @property
    def was_stopping(self) -> bool:
        """Whether its end belongs to stopping, rather than to starting or running."""
        return self._aborted or (self.phase is Phase.STOPPING and not self._refused)

    @property
    def _refused(self) -> bool:
        return bool(self.refusal) or self._slow_start

    def problem(self, error: BaseException | None, *, start: float, stop: float) -> str:
        """Return what went wrong, to follow its name, or ""; the limits are in seconds."""
        left = ", ignores its cancellation and is left running" if self._abandoned else ""
        if self.was_stopping and (self._slow_stop or self._hurried):
            late = f"did not stop within {stop:g} s"
            return f"{'was cut short while it stopped' if self._hurried else late}{left}"
        if self._is_wanted(error):
            return ""
        if self.was_stopping:
            return f"did not stop: {describe(error)}" if error else ""
        if self.phase is Phase.FALLING:
            reason = describe(error) if error else "its lifespan ended before it was told to"
            return f"crashed{left}" if left else f"crashed: {reason}"
        if self._slow_start:
            return f"did not start within {start:g} s{left}"
        reason = self.refusal or (describe(error) if error else "")
        return f"did not start: {reason}{left}" if reason else ""

    def _is_wanted(self, error: BaseException | None) -> bool:
        """Say whether we, or a loop that ends, cancelled it, and it was not late.

        A cancellation that the plugin made itself (`task.cancel(); await task`) is a problem:
        the rest of its cleanup was skipped.
        """
        late = self._slow_start or self._slow_stop or self._hurried
        on_time = self.told.is_set() and not late
        cancelled = self._task is not None and self._task.cancelling() > 0
        return on_time and cancelled and is_cancellation(error)

    def _overdue(self, due: float, *delays: float) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - due > BLOCKED:  # the loop stood still: that has made everybody late
            self._limit = loop.call_later(BLOCKED, self._overdue, math.inf, *delays)
            return
        if self.phase is Phase.STARTING and not self._aborted:
            self._slow_start = True
        else:
            self._slow_stop = True
        if not delays:
            self._abandoned = True
            self._end(None)
        elif self._task:
            self._task.cancel()
            self.limit(*delays)

    def _done(self, task: asyncio.Task[BaseException | None]) -> None:
        if not self._abandoned:
            # A task that is cancelled before its first step never gets to return.
            self._end(asyncio.CancelledError() if task.cancelled() else task.result())

    def _end(self, error: BaseException | None) -> None:
        self.limit()
        self._stop_reminding()
        self.over.set()
        self._on_over(self, error)

    def _stop_reminding(self) -> None:
        if self._reminder is not None:
            self._reminder.cancel()


async def _caught(
    living: Callable[[Life], Coroutine[Any, Any, None]], life: Life
) -> BaseException | None:
    try:
        await living(life)
    except BaseException as error:  # noqa: BLE001 - SystemExit out of a task ends the event loop
        return error
    return None
