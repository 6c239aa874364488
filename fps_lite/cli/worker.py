"""What a worker of `serve` has from its parent, and what it tells it."""

from __future__ import annotations

import hashlib
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fps_lite.errors import FPSError, StoppedError
from fps_lite.supervisor import Failed, Go, Job, Leaving, Link, Ready, Terms

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from fps_lite.config import Config
    from fps_lite.logs import Turns
    from fps_lite.plugins import Loaded
    from fps_lite.supervisor import Checked

PATIENCE = 3.0
"""Seconds for a worker that is blocked while it stops, to end by itself."""


class Worker:
    """This process, as one of a parent's workers."""

    def __init__(self, link: Link, job: Job) -> None:
        self.link = link
        self.job = job
        self.turns: Turns | None = None

    def config(self) -> Config | None:
        """Return the configuration that another worker has read, or None to read it."""
        if self.job.config is None:
            return None
        # Our own parent's bytes, which have never left its processes.
        read: Config = pickle.loads(self.job.config)  # noqa: S301
        return read

    def may_serve(self, report: Checked) -> bool:
        """Tell the parent that all is checked, and wait for what it says."""
        self.link.report(report)
        return isinstance(self.link.wait(), Go)

    def ready(self, _urls: object) -> None:
        """Tell the parent that connections are answered."""
        self.link.report(Ready())

    def attend(
        self,
        loop: asyncio.AbstractEventLoop,
        drain: Callable[[float], None],
        requests: Callable[[], int],
    ) -> None:
        """Take the parent's orders in `loop`, and give it signs of life."""
        self.link.attend(loop, drain, requests)

    def leaving(self, why: str) -> None:
        """Ask for another worker in the place of this one."""
        self.link.report(Leaving(why))

    def forget(self) -> None:
        """Leave the parent to the process that this one was forked from."""
        self.link.close()

    def fail(self, error: FPSError) -> int:
        """Tell the parent why this worker ends; return the exit code."""
        is_logged = isinstance(error, StoppedError)
        self.link.report(Failed([*error.problems], error.exit_code, is_logged))
        return error.exit_code


def hired(descriptor: int) -> Worker | None:
    """Return this process's worker, or None if its parent is gone already."""
    from fps_lite.logs import Turns, print_whole_lines, reopen  # noqa: PLC0415 - not for less

    link = Link(descriptor)
    link.reopen = reopen
    job = link.wait()
    if not isinstance(job, Job):
        return None
    worker = Worker(link, job)
    if job.turns is not None:
        worker.turns = Turns(job.turns)
        print_whole_lines(worker.turns)
    return worker


def terms_of(loaded: Loaded) -> Terms:
    """Return what the parent must know of the settings."""
    from fps_lite.server import hypercorn_config  # noqa: PLC0415 - imports hypercorn

    settings = loaded.settings
    config = hypercorn_config(settings)
    # At worst, each plugin stops after another one, and the mounts after all.
    chain = len(loaded.enabled) + 2
    return Terms(
        workers=settings.workers,
        addresses=[*config.bind, *config.insecure_bind, *config.quic_bind],
        startup_timeout=settings.startup_timeout,
        blocked_timeout=settings.blocked_timeout,
        stop_timeout=max(settings.drain_timeout, settings.shutdown_timeout) + PATIENCE,
        end_timeout=settings.drain_timeout + settings.shutdown_timeout * chain + PATIENCE,
        linger=config.keep_alive_timeout,
    )


def digest_of(loaded: Loaded) -> str:
    """Return a digest of the configuration, its secrets, and every file that was read for it."""
    options = loaded.settings.hypercorn
    certificates = (options.certfile, options.keyfile, options.ca_certs)
    files = {*_module_files(), *(str(one) for one in certificates if isinstance(one, Path))}
    told = (loaded.config.values, sorted(loaded.secrets), sorted(_states(files)))
    return hashlib.sha256(repr(told).encode()).hexdigest()


def sources_of(loaded: Loaded) -> list[str]:
    """Return the directories to watch: the working one, those of configuration and sources."""
    if not loaded.settings.reload:
        return []
    # What is installed does not change while somebody works on something else.
    installed = (sys.prefix, sys.base_prefix)
    modules = [Path(file).parent for file in _module_files() if not file.startswith(installed)]
    bases = [layer.base for layer in loaded.config.layers if layer.base is not None]
    found = {one.resolve() for one in (Path.cwd(), *bases, *modules) if one.is_dir()}
    outermost = [one for one in found if not any(two in found for two in one.parents)]
    return sorted(map(str, outermost))


def _module_files() -> set[str]:
    files = (getattr(one, "__file__", None) for one in tuple(sys.modules.values()))
    return {file for file in files if isinstance(file, str)}


def _states(files: set[str]) -> Iterator[tuple[str, int, int]]:
    for file in files:
        try:
            state = Path(file).stat()
        except OSError:
            continue
        yield file, state.st_mtime_ns, state.st_size
