"""An app that lives in ours: made if need be, its lifespan run, its state kept."""

from __future__ import annotations

import inspect
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fps_lite.effects import stepwise

from .driving import lifespan_of
from .shapes import FACTORY, check_app, takes
from .wsgi import threads_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp


@dataclass(eq=False)
class Resident:
    """One app object, however often it is mounted."""

    app: Any = None
    """The ASGI or WSGI app; None until `factory` has made it, and where a mount is closed."""
    factory: Callable[..., Any] | None = None
    """Takes the public prefix; returns an app, or an async context manager that yields one."""
    lifespan: bool = True
    wsgi: bool = False
    adopted: bool = False
    """Whether a composition runs it; nobody runs one that is left among an app's own routes."""
    answer: ASGIApp | None = None
    """The app as one that speaks ASGI, while it runs."""
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def routes(self) -> list[BaseRoute]:
        """Return the app's routes, if it has any; a class has none, only its instances do."""
        return [] if inspect.isclass(self.app) else list(getattr(self.app, "routes", None) or ())

    @property
    def is_missing(self) -> bool:
        """Return whether there is nothing to run."""
        return self.app is None and self.factory is None

    def fresh(self) -> Resident:
        """Return the same app as it is before it runs: two compositions share no state."""
        return replace(self, answer=None, state={}, adopted=True)

    @asynccontextmanager
    async def running(
        self, prefix: str, watch: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> AsyncIterator[None]:
        """Make the app if there is a factory, and run its lifespan around the body.

        `watch()` surrounds each step of the factory.
        """
        async with self._made(prefix, watch) as self.app, self._living() as (answer, self.state):
            self.answer = answer
            try:
                yield
            finally:
                self.answer = None

    @asynccontextmanager
    async def _made(
        self, prefix: str, watch: Callable[[], AbstractContextManager[None]]
    ) -> AsyncIterator[Any]:
        if self.factory is None:
            yield self.app
            return
        # Other servers call their factories with nothing.
        with watch():
            made = self.factory(prefix) if takes(self.factory, FACTORY) else self.factory()
        if inspect.isawaitable(made):
            made = await stepwise(made, watch)
        try:
            if isinstance(made, AbstractAsyncContextManager):
                async with _Entered(made, watch) as app:
                    yield self._checked(app)
            else:
                yield self._checked(made)
        finally:
            self.app = None

    def _checked(self, app: object) -> object:
        check_app(app, wsgi=self.wsgi, name=f'what its factory gave, a "{type(app).__name__}",')
        return app

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


class _Entered(AbstractAsyncContextManager[Any]):
    """A factory's context manager, watched while it is entered."""

    def __init__(
        self,
        manager: AbstractAsyncContextManager[Any],
        watch: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.manager = manager
        self.watch = watch

    async def __aenter__(self) -> Any:
        return await stepwise(self.manager.__aenter__(), self.watch)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return await self.manager.__aexit__(kind, error, trace)
