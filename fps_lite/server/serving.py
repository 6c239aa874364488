"""Serve one app on given sockets until told to stop.

The order of the end: no new connections, `app.begin_stopping()`, requests in flight
finish or are cut at `drain_timeout`, the app's lifespan ends, `run` returns.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import hypercorn.asyncio

from fps_lite.errors import FPSError, StartupError, StoppedError, refuse
from fps_lite.logs import AccessLog

from .blocking import Watch
from .certificates import check_certificates
from .draining import Drain
from .forks import forks_apart
from .handing import given
from .loops import SLACK, Connections, close_loop, new_loop
from .options import hypercorn_config
from .requests import Requests, worn_after
from .stopping import BY_WHOM, Stop, complete, signals
from .uploads import Lingering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hypercorn.config import Config
    from starlette.types import ASGIApp

    from fps_lite.settings import FPSConfig

    from .parties import App, Parent
    from .sockets import Sockets

LOGGER = logging.getLogger("fps_lite.server")
INTERRUPTED = "interrupted before it was ready"


def run(
    app: App,
    settings: FPSConfig,
    *,
    sockets: Sockets,
    ready: Callable[[Sequence[str]], None],
    parent: Parent | None = None,
) -> None:
    """Serve `app` until SIGTERM, SIGINT or `parent`, close `sockets`, drain, and return.

    Call `ready(sockets.urls)` when connections are answered. Raise `StartupError` when the
    app's lifespan fails, a plugin that must not crash does, or a signal comes before it is
    ready. A second signal cuts short what goes on, the third ends the process. Must run in
    the main thread.
    """
    refuse(check_certificates(settings))
    stop = Stop()
    connections = Connections(on_close=stop.request)
    loop = new_loop(connections)
    watch = Watch(loop, settings.drain_timeout, settings.shutdown_timeout)
    listening = partial(_listening, sockets, connections)
    forget = parent.forget if parent is not None else int
    apart = forks_apart(listening, forget)
    with apart, watch.watching(), signals(loop, stop.signal, watch) as stop.listen:
        try:
            requests = Requests(app, stop.requested)
            worker = _Worker(
                app, settings, sockets, ready, stop, connections, watch, requests, parent
            )
            complete(loop, worker.work(), stop)
        finally:
            close_loop(loop, within=SLACK)


def _listening(sockets: Sockets, connections: Connections) -> list[int]:
    own = [one.socket.fileno() for one in sockets.listeners]
    return [*(number for number in own if number >= 0), *connections.descriptors]


@dataclass(frozen=True, slots=True)
class _Worker:
    """One run: what its steps share."""

    app: App
    settings: FPSConfig
    sockets: Sockets
    ready: Callable[[Sequence[str]], None]
    stop: Stop
    connections: Connections
    watch: Watch
    requests: Requests
    parent: Parent | None

    @property
    def drain(self) -> Drain:
        return Drain(self.stop, self.connections, self.settings.drain_timeout)

    async def work(self) -> None:
        """Start the app, serve it, stop it."""
        task = asyncio.ensure_future(self._live())
        if self.parent is not None:
            self.requests.on_limit = partial(self.parent.leaving, "max_requests")
            loop = asyncio.get_running_loop()
            self.parent.attend(loop, self.stop.drain, lambda: self.requests.answered)
        self.stop.begin = self._begin_stopping
        self.stop.cancel = task.cancel
        self.stop.hurry = getattr(self.app, "hurry", None)
        try:
            with suppress(asyncio.CancelledError):
                await task
        except StoppedError as error:
            if isinstance(self.stop.failure, StoppedError):
                raise StoppedError(*self.stop.failure.problems, *error.problems) from error
            raise
        failure = self.stop.failure or getattr(self.app, "crash", None)
        if failure is None and task.cancelled() and not self.stop.cut.is_set():
            failure = StartupError(f"the server was cancelled {BY_WHOM}")
        if failure is not None:
            raise failure

    def _begin_stopping(self) -> None:
        self.watch.begin()
        if self.parent is not None:
            self.parent.leaving("it stops")
        # A client that comes now is refused at once, rather than queued for nobody.
        self.sockets.close()
        begin = getattr(self.app, "begin_stopping", None)
        if begin is not None:
            begin()
        # Before hypercorn's own limit, which is as long and begins later.
        asyncio.get_running_loop().call_later(self.settings.drain_timeout, self.drain.tell_of_cuts)

    async def _live(self) -> None:
        manager = self.app.router.lifespan_context(self.app)
        try:
            with _named("the app did not start"):
                await manager.__aenter__()
        finally:
            self._note_interruption()
        if self.stop.listen is not None:
            self.stop.listen()
        cancel, self.stop.cancel = self.stop.cancel, None
        try:
            if not self.stop.requested.is_set():
                self.watch.draining = True
                await self._serve()
        finally:
            self.watch.draining = False
            self.stop.cancel = cancel
            with _named("the app did not stop in order"):
                await manager.__aexit__(None, None, None)

    def _note_interruption(self) -> None:
        known = self.stop.failure or getattr(self.app, "crash", None)
        if self.stop.requested.is_set() and known is None:
            self.stop.failure = StartupError(INTERRUPTED)

    async def _serve(self) -> None:
        config, descriptors = given(self.sockets, hypercorn_config(self.settings))
        self.connections.descriptors.update(descriptors)
        # A server is worn in order by its parent; hypercorn ends without another in its place.
        self.requests.limit, config.max_requests = worn_after(config), None
        describe = getattr(getattr(self.app, "attribution", None), "of", None)
        logger = logging.getLogger("fps_lite.access")
        app: ASGIApp = AccessLog(self.requests, logger, self.settings.logging, describe)
        app = Lingering(app)
        serving: asyncio.Future[None] = asyncio.ensure_future(
            hypercorn.asyncio.serve(
                app,  # type: ignore[arg-type]
                config,
                shutdown_trigger=partial(self._until_stop, config),
                mode="asgi",
            )
        )
        watching = asyncio.ensure_future(self._watch_crashes())
        stopping: asyncio.Future[Any] = asyncio.ensure_future(self.stop.requested.wait())
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await self.drain.until_over(serving)
        finally:
            watching.cancel()
            stopping.cancel()
            # hypercorn leaves its socket to statsd open.
            transport = getattr(config.log, "transport", None)
            if transport is not None:
                transport.close()

    async def _until_stop(self, config: Config) -> None:
        # hypercorn calls this when its servers accept connections.
        self._note_interruption()
        if not self.stop.requested.is_set():
            try:
                self.ready(self.sockets.urls)
            except Exception as error:  # noqa: BLE001 - raised again when all is stopped
                self.stop.fail(error)
        await self.stop.requested.wait()
        self.connections.stop_accepting()
        self.connections.say_goodbye()
        config.graceful_timeout = await self.drain.linger()

    async def _watch_crashes(self) -> None:
        crashed = getattr(self.app, "crashed", None)
        if crashed is not None:
            await crashed.wait()
            self.stop.request()


@contextmanager
def _named(what: str) -> Iterator[None]:
    try:
        yield
    except FPSError:
        raise
    except Exception as error:
        message = f"{what}: {type(error).__name__}: {error}"
        raise StartupError(message) from error
