"""One worker as its parent sees it: a process, how far it is, and why it ended."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal

from fps_lite.errors import FPSError, StartupError, StoppedError, kind_of

from .messages import Beat, Checked, Drain, Failed, Leaving, Ready, line_of, report_of

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Mapping, Sequence

    from .messages import Job, Order

LOGGER = logging.getLogger("fps_lite.supervisor")
LONGEST = 2**26
"""Bytes of one report: a configuration may be large."""
GRACE = 1.0
"""Seconds for a process that is killed, to say where it was."""
POLL = 0.25
REMIND_EVERY = 10.0
"""Seconds between two lines on a worker that gives no sign of life while it starts."""


@dataclass(frozen=True, slots=True)
class Command:
    """How every worker is started."""

    words: Sequence[str]
    """Its argv; the descriptors of its link and its trace are appended."""
    environ: Mapping[str, str]
    directory: str


class Child:
    """One worker, until its process has ended; its end sets every event."""

    def __init__(
        self,
        process: Process,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        trace: BinaryIO,
        silence: float,
    ) -> None:
        self.pid = process.pid
        self.number = 0
        self.began = time.time()
        self.requests = 0
        self.report: Checked | None = None
        self.checked, self.ready = asyncio.Event(), asyncio.Event()
        self.leaving = asyncio.Event()
        """It wants another one in its place."""
        self.over = asyncio.Event()
        self.error: FPSError | None = None
        """Why it ended, if not because it was told to."""
        self.silence = silence
        """Seconds without a sign of life after which it is killed."""
        self._process = process
        self._reader, self._writer = streams
        self._trace = trace
        self._heard = time.monotonic()
        self._was_silent = False
        self._is_draining = False
        self._failed: Failed | None = None
        self._task = asyncio.create_task(self._live())

    def __str__(self) -> str:
        return f"worker {self.pid}"

    @property
    def state(self) -> Literal["starting", "serving", "draining"]:
        """How far it is."""
        if not self.ready.is_set():
            return "starting"
        return "draining" if self._is_draining else "serving"

    @property
    def serves(self) -> bool:
        """Whether it answers connections."""
        return self.ready.is_set() and not self.over.is_set()

    def tell(self, order: Order) -> None:
        """Send an order; one that has ended does not hear it."""
        self._is_draining = self._is_draining or isinstance(order, Drain)
        if not self.over.is_set():
            self._writer.write(line_of(order))

    def signal(self, number: int) -> None:
        """Send a signal, if the process is still there."""
        if not self.over.is_set():
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _live(self) -> None:
        listening = asyncio.create_task(self._listen())
        guarding = asyncio.create_task(self._guard())
        code = await self._process.wait()
        guarding.cancel()
        # A process that it forked may hold the link open.
        await asyncio.wait({listening}, timeout=GRACE)
        listening.cancel()
        self._writer.close()
        with self._trace:
            self.error = self._reason(code)
        for event in (self.over, self.checked, self.ready, self.leaving):
            event.set()

    async def _listen(self) -> None:
        with suppress(OSError):
            async for line in self._reader:
                self._heard = time.monotonic()
                self._take(line)

    def _take(self, line: bytes) -> None:
        match report_of(line):
            case Checked() as report:
                self.report = report
                self.checked.set()
            case Ready():
                self.ready.set()
            case Beat() as beat:
                self.requests = beat.requests
            case Leaving():
                self.leaving.set()
            case Failed() as failed:
                self._failed = failed

    async def _guard(self) -> None:
        told = 0.0
        # The limit may change meanwhile.
        while (silent := time.monotonic() - self._heard) < self.silence:
            if not self.ready.is_set() and silent > told + REMIND_EVERY:
                told += REMIND_EVERY
                LOGGER.warning("%s is blocked in its start (%g s)", self, told)
            told = min(told, silent)
            await asyncio.sleep(POLL)
        self._was_silent = True
        self.signal(signal.SIGABRT)  # it leaves a trace of where it is
        await asyncio.sleep(GRACE)
        self.signal(signal.SIGKILL)

    def _reason(self, code: int) -> FPSError | None:
        trace = self._read_trace()
        if self._was_silent:
            what = f"did not turn its event loop for {self.silence:g} s, and was killed"
        elif self._failed is not None:
            failed = self._failed
            kind = StoppedError if failed.is_logged else kind_of(failed.code)
            return kind(*failed.problems)
        elif code == 0:
            return None
        else:
            what = f"was killed by {_name(-code)}" if code < 0 else f"exited with code {code}"
        if trace:
            _log_trace(f"{self} was here in the end", trace)
        return StartupError(f"{self} {what}")

    def _read_trace(self) -> str:
        self._trace.seek(0)
        return self._trace.read().decode(errors="replace").strip()


async def spawn(command: Command, job: Job, *, silence: float) -> Child:
    """Start a worker; raise `StartupError` if the system has no process for it."""
    ours, theirs = socket.socketpair()
    trace = tempfile.TemporaryFile()  # noqa: SIM115 - the child's, until it is over
    given = (theirs.fileno(), trace.fileno())
    try:
        process = await asyncio.create_subprocess_exec(
            *command.words,
            *map(str, given),
            stdin=asyncio.subprocess.DEVNULL,
            env=command.environ,
            cwd=command.directory,
            pass_fds=(*given, *job.sockets, *([] if job.turns is None else [job.turns])),
            process_group=0,  # a Ctrl-C on the terminal is for the parent, who tells its workers
        )
    except OSError as error:
        ours.close()
        trace.close()
        message = f"cannot start a worker: {error}"
        raise StartupError(message) from error
    finally:
        theirs.close()
    streams = await asyncio.open_connection(sock=ours, limit=LONGEST)
    child = Child(process, streams, trace, silence)
    child.number = job.number
    child.tell(job)
    return child


def _name(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _log_trace(message: str, trace: str) -> None:
    record = LOGGER.makeRecord(LOGGER.name, logging.ERROR, "", 0, message, (), None, sinfo=trace)
    LOGGER.handle(record)
