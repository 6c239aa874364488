"""One generation of workers after another, none ended before the next one serves."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from fps_lite.errors import FPSError, StartupError, StoppedError

from .generation import Generation
from .hangup import Hangup
from .notify import keep_alive, notify, reloading
from .reloads import Reload, answer
from .watching import watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from .child import Command
    from .messages import Checked, Job

LOGGER = logging.getLogger("fps_lite.supervisor")
INTERRUPTED = "interrupted before it was ready"
STOPS = "the server stops"
ENOUGH = 3
"""With this many signals, all ends whatever it does."""


@dataclass(frozen=True, slots=True)
class Host:
    """What the command does for its workers."""

    set_up: Callable[[Checked], None]
    """Called once, when all is checked and before anything starts."""
    ready: Callable[[Checked], None]
    """Called once, when connections are answered."""
    close: Callable[[], None]
    """Called once, when the server stops: takes no more connections."""
    reopen_log: Callable[[], None]
    """Called when the log file has another name now."""


class Supervisor:
    """Runs the workers until told to stop; replaces them all when told to reload."""

    def __init__(self, command: Command, job: Job, host: Host, *, patience: float) -> None:
        self.began = time.time()
        self.current: Generation | None = None
        self.generations: list[Generation] = []
        """The current one, and those that start or drain."""
        self.last_reload: tuple[float, str] | None = None
        """When it was, and how it ended."""
        self._command = command
        self._job = job
        self._host = host
        self._patience = patience
        self._signals = 0
        self._stopping = asyncio.Event()
        self._reloads: asyncio.Queue[Reload] = asyncio.Queue()
        self._retiring: set[asyncio.Task[object]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._watched: list[str] = []

    async def run(self) -> None:
        """Serve until told to stop; raise what did not start, or did not stop in order."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up, Hangup.here())
        loop.add_signal_handler(signal.SIGUSR1, self.reopen_logs)
        failure: FPSError | None = None
        try:
            await self._until_stopped()
        except FPSError as error:
            failure = error
        self._stopping.set()
        if self._watching is not None:
            self._watching.cancel()
        notify("STOPPING=1")
        self._host.close()
        answer(self._waiting(), StartupError(STOPS), STOPS)
        troubles = await self._end()
        if failure is not None:
            raise failure
        if troubles:
            raise StoppedError(*troubles)

    def stop(self) -> None:
        """Begin the stop; the second time cut short what goes on, the third end all at once."""
        self._signals += 1
        self._stopping.set()
        if self._signals >= ENOUGH:
            self._signal(signal.SIGKILL)
            os._exit(1)
        if self._signals > 1:
            self._signal(signal.SIGTERM)

    def reload(self, *, force: bool = False) -> Reload:
        """Ask for a new generation; all that ask during a reload get the one after it."""
        wanted = Reload(force)
        self._reloads.put_nowait(wanted)
        return wanted

    def reopen_logs(self) -> None:
        """Go on in the log file that has the name now, here and in all workers."""
        self._host.reopen_log()
        for one in self.generations:
            one.reopen_logs()

    def _hung_up(self, hangup: Hangup) -> None:
        if not hangup.is_of_the_terminal():
            self.reload()
        elif not hangup.is_ignored:
            self.stop()

    async def _until_stopped(self) -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        living = asyncio.create_task(self._live())
        alive = asyncio.create_task(keep_alive())
        await asyncio.wait({stopping, living}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        alive.cancel()
        if living.done():
            living.result()
        is_ready = self.current is not None
        living.cancel()
        await asyncio.wait({living})
        if not is_ready:
            raise StartupError(INTERRUPTED)

    async def _live(self) -> None:
        first = self._new()
        checked = await first.check()
        self._host.set_up(checked)
        await first.serve()
        self.current = first
        self._host.ready(checked)
        notify("READY=1", f"STATUS={checked.summary}")
        while True:
            self._watch(self.current.checked.sources)
            await self._next_reload(self.current)

    async def _next_reload(self, current: Generation) -> None:
        wanted = asyncio.create_task(self._reloads.get())
        try:
            either: set[asyncio.Future[Any]] = {wanted, current.hopeless}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            wanted.cancel()
        if current.hopeless.done():
            raise current.hopeless.result()
        asked = [wanted.result(), *self._waiting()]
        ended: tuple[FPSError | None, str] = (StartupError(STOPS), STOPS)
        try:
            reloading()
            ended = await self._reload(current, force=any(one.force for one in asked))
            self._note(*ended)
        finally:
            answer(asked, *ended)

    def _watch(self, directories: list[str]) -> None:
        # A change during a reload is one of the next, so it is watched all the time.
        if self._watched != directories:
            self._watched = directories
            if self._watching is not None:
                self._watching.cancel()
            changed = partial(self.reload, force=True)
            self._watching = asyncio.create_task(watch(directories, changed))

    def _waiting(self) -> list[Reload]:
        return [self._reloads.get_nowait() for _ in range(self._reloads.qsize())]

    def _note(self, error: FPSError | None, said: str) -> None:
        self.last_reload = (time.time(), said)
        LOGGER.log(logging.ERROR if error else logging.INFO, "reload: %s", said)
        notify("READY=1", f"STATUS=reload: {said}")

    async def _reload(self, current: Generation, *, force: bool) -> tuple[FPSError | None, str]:
        began = time.monotonic()
        new = self._new()
        try:
            checked = await new.check()
            if not force and checked.digest == current.checked.digest:
                self._retire(new)
                return None, "nothing has changed"
            _refuse_other_addresses(current.checked, checked)
            await new.serve()
        except FPSError as error:
            self._retire(new)
            return error, f"refused: {_in_one_line(error)}"
        self.current = new
        self._retire(current, linger=current.terms.linger)
        return None, f"generation {new.number} serves after {_since(began)}"

    def _new(self) -> Generation:
        number = self.current.number + 1 if self.current else 1
        new = Generation(number, self._command, self._job, patience=self._patience)
        self.generations.append(new)
        return new

    def _retire(self, old: Generation, *, linger: float = 0) -> None:
        async def end() -> None:
            await old.retire(linger=linger)
            self.generations.remove(old)

        task = asyncio.create_task(end())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _end(self) -> list[str]:
        """Stop all workers at once; return what was not in order in that, and is logged."""
        ends = await asyncio.gather(*(one.retire() for one in self.generations))
        return [line for lines in ends for line in lines]

    def _signal(self, number: int) -> None:
        for one in self.generations:
            one.signal(number)


def _refuse_other_addresses(old: Checked, new: Checked) -> None:
    if old.terms.addresses != new.terms.addresses:
        where = ", ".join(new.terms.addresses)
        message = f"to listen on {where}, the server must be started anew"
        raise StartupError(message)
    if new.terms.workers == 0:
        message = "fps.workers = 0: to serve without workers, the server must be started anew"
        raise StartupError(message)


def _in_one_line(error: FPSError) -> str:
    first, *others = error.problems
    return f"{first} (and {len(others)} more)" if others else first


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.2f} s"
