"""`create_app`: from configuration and plugins to one Starlette app. The table of contents."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette

from .attribution import INNER, Attribution
from .composition import (
    handlers_of,
    lifespans_of,
    middleware_of,
    mount_problems,
    owned_routes,
    owner_of_broken_middleware,
    settled_routes,
)
from .config import Config, from_mapping, read
from .conflicts import find_conflicts
from .contributions import Collected, collect
from .errors import ConfigError, FPSError, StartupError, refuse
from .gate import masking, unavailable, with_own_router, with_whole_path
from .mounting import Residents
from .mounting.routes import SEEN_OUTSIDE
from .plugins import Discovery, discover, from_objects, load, reason
from .routing import CompiledRouter, FastPath

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from .lifespan import Lifespans
    from .plugins import Loaded
    from .settings import FPSConfig

NOT_STARTED = (
    "Service Unavailable: the app is not running. A host app must enter "
    "`app.router.lifespan_context(app)` in its own lifespan; a server must run the app's "
    "(uvicorn: --lifespan on)."
)


def create_app(
    config: Mapping[str, Any] | None = None,
    *,
    plugins: Mapping[str, object] | Sequence[object] | None = None,
    directory: str | os.PathLike[str] | None = None,
) -> Starlette:
    """Compose plugins into one Starlette app.

    `config` is the only layer above the defaults; None reads the files of `directory` (the
    working directory), the user's and the system's, and the environment. `plugins` replaces
    the installed ones: name to object, or objects that name themselves. Raises `ConfigError`
    and `PluginError` with all problems at once.
    """
    discovery = discover() if plugins is None else from_objects(plugins)
    merged = read_config(config, discovery, directory)
    collected = collect(load(merged, discovery))
    refuse(problems(collected))
    return compose(collected)


def read_config(
    config: Mapping[str, Any] | None,
    discovery: Discovery,
    directory: str | os.PathLike[str] | None = None,
) -> Config:
    """Return `config` as the only layer, or every layer of `directory` and the environment."""
    where = Path(directory) if directory is not None else Path.cwd()
    if config is not None:
        return from_mapping(config, directory=where)
    return read(directory=where, names=discovery.found, environ=os.environ)


def problems(collected: Collected) -> list[FPSError]:
    """Return everything that stands in the way of composing, found without running anything."""
    loaded = collected.loaded
    faults = [*collected.errors, *_settings_problems(loaded), *mount_problems(collected)]
    return [*faults, *find_conflicts(collected)]


def _settings_problems(loaded: Loaded) -> Iterator[ConfigError]:
    config, settings = loaded.config, loaded.settings
    if settings.reload and (why := _no_reload(settings)):
        yield ConfigError(f"{config.where('fps', 'reload')}: fps.reload: {why}")
    for key in ("host", "port"):
        if settings.bind and config.is_set("fps", key):
            bind = config.where("fps", "bind")
            yield ConfigError(
                f"{config.where('fps', key)}: fps.{key}: fps.bind is set, too ({bind})"
            )


def _no_reload(settings: FPSConfig) -> str:
    if settings.workers == 0:
        return "needs a worker to replace: fps.workers is 0"
    if find_spec("watchfiles") is None:
        return 'changes are seen by watchfiles: pip install "fps-lite[reload]"'
    return ""


def compose(collected: Collected) -> Application:
    """Build the app; nothing is refused any more, and nothing runs yet."""
    residents = Residents()
    settled = settled_routes(collected, residents)
    lifespans = lifespans_of(collected, residents)
    owned = owned_routes(collected, settled, lifespans)
    return Application(
        collected,
        lifespans,
        attribution=Attribution(owned),
        routes=[route for _, route in owned],
        middleware=middleware_of(collected),
        exception_handlers=handlers_of(collected),
    )


class Application(Starlette):
    """The composed app: Starlette, with its plugins' state in each request while they run."""

    def __init__(
        self,
        collected: Collected,
        lifespans: Lifespans,
        attribution: Attribution,
        **parts: Any,
    ) -> None:
        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with AsyncExitStack() as stack:
                with collected.watches.start("the start of the app"):
                    self._make_middleware()
                    router.prepare()
                    await stack.enter_async_context(lifespans.running())
                yield

        settings = collected.loaded.settings
        super().__init__(debug=settings.debug, lifespan=lifespan, **parts)
        self.router = router = CompiledRouter(self.router.routes, lifespan=lifespan)
        self.collected = collected
        self.lifespans = lifespans
        self.attribution = attribution
        self._answer: ASGIApp = FastPath(self) if settings.fast_path else super().__call__

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with the plugins' state in it, or 503 while they do not run."""
        if scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
        elif not self.lifespans.is_running:
            crash = self.lifespans.crash
            why = NOT_STARTED if crash is None else "Service Unavailable: a plugin has crashed"
            await unavailable(scope, receive, send, why=why)
        elif scope.get("root_path") or "router" in scope or self.debug:
            await self._answer_elsewhere(scope, receive, send)
        else:
            self._give_state(scope)
            await self._answer(scope, receive, send)

    async def _answer_elsewhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer below another path, in another app, or while bugs are looked for."""
        inner = with_own_router(with_whole_path(scope))
        if inner is not scope:
            scope[INNER] = inner
        self._give_state(inner)
        if self.debug:
            send = masking(send, self.collected.masked)
        try:
            await self._answer(inner, receive, send)
        finally:
            # What a host measures and logs is named by the route that answered.
            scope.update({key: inner[key] for key in SEEN_OUTSIDE if key in inner})

    def _give_state(self, scope: Scope) -> None:
        given, state = scope.get("state"), self.lifespans.state.copy()
        scope["state"] = {**given, **state} if given else state

    def _make_middleware(self) -> None:
        # Starlette would make it for the first request, which is too late to refuse to start.
        try:
            self.middleware_stack = self.middleware_stack or self.build_middleware_stack()
        except Exception as error:
            owner = owner_of_broken_middleware(self.collected)
            raise StartupError(f"{owner}middleware cannot be made: {reason(error)}") from error

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        # Not Starlette's: it answers with a traceback, and servers go on where none is sent.
        phase = "startup"
        await receive()
        try:
            async with self.router.lifespan_context(self):
                await send({"type": "lifespan.startup.complete"})
                phase = "shutdown"
                await receive()
        except BaseException as error:
            message = self.collected.masked(str(error) or type(error).__name__)
            await send({"type": f"lifespan.{phase}.failed", "message": message})
            raise
        else:
            await send({"type": "lifespan.shutdown.complete"})

    def begin_stopping(self) -> None:
        """Tell the plugins that draining begins: sets `stopping`."""
        self.lifespans.begin_stopping()

    def hurry(self) -> None:
        """Cut short the plugins that stop now."""
        self.lifespans.hurry()

    @property
    def crashed(self) -> asyncio.Event:
        """Return an event that is set when a plugin's crash means the end of the app."""
        return self.lifespans.crashed

    @property
    def crash(self) -> StartupError | None:
        """Return the reason of that crash."""
        return self.lifespans.crash
