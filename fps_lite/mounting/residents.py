"""An app that lives in ours: made if need be, its lifespan run, its state kept."""

from __future__ import annotations

import inspect
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fps_lite.errors import PluginError

from .driving import lifespan_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp


@dataclass(eq=False)
class Resident:
    """One app object, however often it is mounted."""

    app: Any = None
    """The ASGI or WSGI app; None until `factory` has made it."""
    factory: Callable[[str], Any] | None = None
    """Takes the public prefix; returns an app, or an async context manager that yields one."""
    lifespan: bool = True
    wsgi: bool = False
    answer: ASGIApp | None = None
    """The app as one that speaks ASGI, while it runs."""
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def routes(self) -> list[BaseRoute]:
        """Return the app's routes, if it has any."""
        return list(getattr(self.app, "routes", None) or ())

    def fresh(self) -> Resident:
        """Return the same app as it is before it runs: two compositions share no state."""
        return Resident(self.app, self.factory, lifespan=self.lifespan, wsgi=self.wsgi)

    @asynccontextmanager
    async def running(self, prefix: str) -> AsyncIterator[None]:
        """Make the app if there is a factory, and run its lifespan around the body."""
        async with self._made(prefix) as self.app, self._living() as (answer, self.state):
            self.answer = answer
            try:
                yield
            finally:
                self.answer = None

    @asynccontextmanager
    async def _made(self, prefix: str) -> AsyncIterator[Any]:
        if self.factory is None:
            yield self.app
            return
        made = self.factory(prefix)
        if inspect.isawaitable(made):
            made = await made
        if isinstance(made, AbstractAsyncContextManager):
            async with made as app:
                yield _usable(app)
        else:
            yield _usable(made)
        self.app = None

    @asynccontextmanager
    async def _living(self) -> AsyncIterator[tuple[ASGIApp, dict[str, Any]]]:
        if self.wsgi:
            with threads_for(self.app) as app:
                yield app, {}
        elif self.lifespan:
            async with lifespan_of(self.app) as state:
                yield self.app, state
        else:
            yield self.app, {}


def _usable(app: object) -> object:
    if not callable(app):
        raise PluginError(f"its factory gave {app!r}, which is no app")
    return app


def wsgi_middleware() -> Any:
    """Return what makes a WSGI app an ASGI app; raise `PluginError` if the extra is missing."""
    try:
        from a2wsgi import WSGIMiddleware  # noqa: PLC0415 - an extra
    except ImportError:
        raise PluginError('a WSGI app needs a2wsgi: pip install "fps-lite[wsgi]"') from None
    return WSGIMiddleware


@contextmanager
def threads_for(app: Any) -> Iterator[ASGIApp]:
    """Run a WSGI app's requests in threads that end with the body."""
    wrapped = wsgi_middleware()(app)
    try:
        yield wrapped
    finally:
        # Not waited for: a request that hangs is cut with its connection.
        wrapped.executor.shutdown(wait=False, cancel_futures=True)


def imported(reference: str) -> Any:
    """Return the object that `module:object` names; raise `PluginError` if there is none."""
    module_name, colon, path = reference.partition(":")
    if not colon or not module_name or not path:
        raise PluginError(f'expected "module:object", got "{reference}"')
    found: Any = import_module(module_name)
    for attribute in path.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            raise PluginError(f'"{module_name}" has no "{path}"') from None
    return found
