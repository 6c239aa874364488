"""Whom a server serves, and whom it obeys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send


class App(Protocol):
    """An ASGI app with a lifespan, like Starlette's.

    It may have `begin_stopping()`, called when the drain begins; `hurry()`, called when its
    lifespan is to end at once; and `crashed`, an `asyncio.Event` that begins the drain and
    then raises the `StartupError` in `crash`.
    """

    router: Any

    async def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> None:
        """Answer a request."""


class Parent(Protocol):
    """The process that started this one, and tells it when to end."""

    def attend(
        self,
        loop: asyncio.AbstractEventLoop,
        drain: Callable[[float], None],
        requests: Callable[[], int],
    ) -> None:
        """In `loop`, call `drain` when told to, and tell of `requests` answered so far."""

    def leaving(self, why: str) -> None:
        """Say that another process is needed in the place of this one."""

    def forget(self) -> None:
        """Neither tell the parent anything any more nor hear it."""
