"""Start all lifespans in order, keep them, and stop them in reverse, whatever happens."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fps_lite.errors import StartupError, StoppedError

from .downs import Downs
from .failures import in_full
from .lives import Life, Phase
from .units import RESERVED, manager, refusal

if TYPE_CHECKING:
    import logging
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from .units import Unit


class Lifespans:
    """The lifespans of one app, each in its own task.

    A failure is its plugin's alone: the others are neither cancelled nor see an error of it.
    The limits are in seconds, for each plugin; one that swallows its cancellation gets
    `patience` more, is cancelled once more, and then is left running and counts as over.
    `core` is what units and requests find under "fps", beside "stopping".
    """

    state: MappingProxyType[str, Any]  # for requests: "fps", and all that the units yielded
    down: Mapping[str, str]  # the plugins that are down, and why
    stopping: asyncio.Event  # draining has begun
    crashed: asyncio.Event  # a fatal unit ended after all had started
    crash: StoppedError | None  # and why
    is_running: bool  # all have started, none is told to stop, no fatal one has crashed

    def __init__(  # noqa: PLR0913 - each is a setting of its own
        self,
        units: Sequence[Unit],
        *,
        startup_timeout: float,
        shutdown_timeout: float,
        logger: logging.Logger,
        core: Mapping[str, Any] | None = None,
        mask: Callable[[str], str] = lambda text: text,
        patience: float = 1,
        remind_every: float = 10,
    ) -> None:
        self._units = tuple(units)
        self._downs = Downs(units)
        self.down = self._downs.reasons
        self._core = dict(core or {})
        self._startup_timeout = startup_timeout
        self._shutdown_timeout = shutdown_timeout
        self._patience = patience
        self._remind_every = remind_every
        self._logger = logger
        self._mask = mask
        self._lives: list[Life] = []
        self._reset()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start all, run the body, stop all; raise StartupError if one does not start.

        An error of the body, or its cancellation, comes out after all have stopped. Else, what
        crashed or failed to stop, and was logged then, is raised as a StoppedError.
        """
        if self._lives:
            message = "this app is running already: end that before it is started again"
            raise StartupError(message)
        self._reset()
        self._make_lives()
        try:
            await self._start()
            if not self._failures:
                self.is_running = self._complete = True
                yield
        finally:
            await self._stop()
        if self._failures:
            raise StartupError(*self._failures)
        if self.crash or self._troubles:
            crash = self.crash.problems if self.crash else ()
            raise StoppedError(*crash, *self._troubles)

    def begin_stopping(self) -> None:
        """Say to plugins and requests that draining has begun; nothing is stopped yet."""
        self.stopping.set()

    def hurry(self) -> None:
        """Cut short what is stopping now; those that come after it get their time."""
        for life in self._lives:
            life.hurry(self._patience)

    def is_down(self, name: str) -> bool:
        """Say whether this plugin failed alone, or requires one that is down."""
        return name in self.down

    def _reset(self) -> None:
        self.stopping, self.crashed, self.crash = asyncio.Event(), asyncio.Event(), None
        core = MappingProxyType({**self._core, "stopping": self.stopping})
        self._state: dict[str, Any] = {RESERVED: core}
        self.state = MappingProxyType(self._state)
        self._owners: dict[str, str] = {}  # key in the state -> unit
        self._downs.forget()
        self._begun: list[Life] = []
        self._failures: list[str] = []  # to start
        self._troubles: list[str] = []  # in stopping
        self._changed = asyncio.Event()  # some life has settled or is over
        self.is_running = self._complete = False

    def _make_lives(self) -> None:
        lives = {unit.name: Life(unit, self._on_over) for unit in self._units}
        self._lives = list(lives.values())
        for life in self._lives:
            # In the given order, as sets of text have another one in each process.
            life.earlier = [one for one in self._lives if one.unit.name in life.unit.earlier]
            for one in life.earlier:
                one.later.append(life)

    async def _start(self) -> None:
        for life in self._lives:
            life.begin(self._live)
        while not self._failures and not all(life.is_ready for life in self._lives):
            await self._change()

    async def _stop(self) -> None:
        self.is_running = False
        self.stopping.set()
        waiting = [life for life in self._lives if life not in self._begun]
        for life in (*waiting, *reversed(self._begun)):
            life.close(self._shutdown_timeout, self._patience)
        interruption: asyncio.CancelledError | None = None
        while not all(life.over.is_set() for life in self._lives):
            try:
                await self._change()
            except asyncio.CancelledError as error:  # stopping is bounded: first finish it
                interruption = error
        self._lives = []
        if interruption is not None:
            raise interruption

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _live(self, life: Life) -> None:
        """Be one unit's task: wait for its turn, enter, wait to be told, exit."""
        for earlier in life.earlier:
            await earlier.settled.wait()
        if self.is_down(life.unit.name):
            return
        life.start()
        self._begun.append(life)
        life.limit(self._startup_timeout, self._shutdown_timeout, self._patience)
        life.remind(self._remind_every, self._still_waiting)
        async with manager(life.unit.enter(life.visible(self._state[RESERVED]))) as yielded:
            # No error may go into the plugin's `yield`: it would skip the lines after it.
            if self._accepts(life, yielded):
                await self._until_told(life)
            else:
                self._leave(life, Phase.STOPPING)

    def _accepts(self, life: Life, yielded: Any) -> bool:
        life.refusal = refusal(life.unit, yielded, self._owners)
        if life.refusal or life.is_interrupted:
            return False
        life.services = dict(yielded or {})
        self._state.update(life.services)
        self._owners.update(dict.fromkeys(life.services, life.unit.name))
        self._tell_of_blocking(life)
        life.phase = Phase.STARTED
        life.limit()
        life.settle()
        self._changed.set()
        return True

    async def _until_told(self, life: Life) -> None:
        try:
            await life.told.wait()
            for later in life.later:
                await later.over.wait()
        except asyncio.CancelledError:
            # A task group inside the plugin cancels its host when a child of it fails.
            self._leave(life, Phase.FALLING)
            raise
        self._leave(life, Phase.STOPPING)

    def _leave(self, life: Life, phase: Phase) -> None:
        life.phase = phase
        life.limit(self._shutdown_timeout, self._patience, self._patience)
        if phase is Phase.FALLING:  # why is known when it is over; requests cannot wait for that
            if life.unit.isolated:
                self._mark_down(life.unit.name, "crashed")
            else:
                self.is_running = False

    def _on_over(self, life: Life, error: BaseException | None) -> None:
        limits = {"start": self._startup_timeout, "stop": self._shutdown_timeout}
        problem = self._mask(life.problem(error, **limits))
        if problem:
            self._judge(life, problem)
            if error is not None:
                full = self._mask(in_full(error))
                self._logger.debug("%s: %s", life.unit, full)
        if not self._failures:
            life.settle()
        self._changed.set()

    def _judge(self, life: Life, problem: str) -> None:
        line = f"{life.unit} {problem}"
        if life.was_stopping:
            self._troubles.append(line)
        elif life.unit.isolated:
            self._mark_down(life.unit.name, problem)
        elif not self._complete:
            self._failures.append(line)
            return  # it is raised, and so shown once
        else:
            self.crash = StoppedError(*(self.crash.problems if self.crash else ()), line)
            self.crashed.set()
        self._logger.error("%s", line)

    def _mark_down(self, name: str, reason: str) -> None:
        for unit in self._downs.mark(name, reason):
            if self._lives:
                self._logger.error("%s is down: %s", unit, self.down[unit.name])

    def _tell_of_blocking(self, life: Life) -> None:
        # While the event loop is blocked, no limit can be kept: nor do other plugins start.
        taken, limit = life.seconds, self._startup_timeout
        if taken > limit:
            said = f"took {taken:.3g} s to start, over its {limit:g} s, and blocked the event loop"
            self._logger.warning("%s %s", life.unit, said)

    def _still_waiting(self, life: Life, seconds: float) -> None:
        self._logger.warning("still waiting for %s to start (%g s)", life.unit, seconds)
