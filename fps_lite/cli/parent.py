"""`fps-lite serve` with workers: bind once, start them, and keep them."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fps_lite.errors import ConfigError, StartupError
from fps_lite.logs import Turns, reopen
from fps_lite.server import bind_sockets
from fps_lite.supervisor import Checked, Command, Host, Job, Supervisor, answering

from .announcing import print_warnings, tell_ready
from .check import checked
from .extensions import cli_setups
from .interruption import outlast_signals
from .running import control_path, pid_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from fps_lite.server import Sockets
    from fps_lite.settings import FPSConfig

    from .session import Session

STDOUT = 1
PATIENCE = 5.0
"""Seconds that a worker may be silent beyond what its plugins may take to start."""


def supervise(session: Session, settings: FPSConfig) -> None:
    """Serve with workers until told to stop."""
    session.turns = Turns.shared()
    session.log_as(settings)
    try:
        sockets = bind_sockets(settings)
    except ConfigError:
        checked(session)  # knows its place, and all others
        raise
    with sockets, ExitStack() as setups:
        asyncio.run(_supervise(session, settings, sockets, setups))


async def _supervise(
    session: Session, settings: FPSConfig, sockets: Sockets, setups: ExitStack
) -> None:
    def set_up(report: Checked) -> None:
        print_warnings(report.warnings)
        if report.has_setup:
            setups.enter_context(cli_setups(checked(session)))

    def ready(report: Checked) -> None:
        setups.enter_context(pid_file(settings.pid_file))
        with turns.of(STDOUT).taken():
            tell_ready(settings, report.summary, sockets.urls)

    loop = asyncio.get_running_loop()
    began_in = session.began_in
    # As this process was started: only `python -m` puts the working directory first on the path.
    path = [] if Path(sys.argv[0]).name == "__main__.py" else ["-P"]
    words = (sys.executable, *path, "-m", "fps_lite.worker")
    command = Command(words, began_in.environ(), began_in.directory)
    descriptors = [one.socket.fileno() for one in sockets.listeners]
    turns = session.turns or Turns()
    job = Job([*session.invocation.argv], descriptors, turns=turns.descriptor)
    host = Host(set_up, ready, sockets.close, reopen)
    supervisor = Supervisor(command, job, host, patience=settings.startup_timeout + PATIENCE)
    with _without_a_gap(loop):
        async with _answering(settings, sockets, supervisor):
            await supervisor.run()


@asynccontextmanager
async def _answering(
    settings: FPSConfig, sockets: Sockets, supervisor: Supervisor
) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        path = control_path(settings, sockets)
        try:
            await stack.enter_async_context(answering(path, supervisor, sockets.urls))
        except StartupError as error:
            if settings.control_socket is not None:
                raise
            print_warnings([f"{error}: reload, stop and status do not reach this server"])
        yield


@contextmanager
def _without_a_gap(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let no signal end the process between the loop's handlers and ours."""
    numbers = {signal.SIGTERM, signal.SIGINT}
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        for number in numbers:
            loop.remove_signal_handler(number)
        outlast_signals()
        loop.remove_signal_handler(signal.SIGUSR1)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
