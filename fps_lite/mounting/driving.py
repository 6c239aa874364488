"""The server's side of the lifespan protocol, for one app that is mounted.

An app says in many ways that it has no lifespan; what they share is that nothing of it has
begun: it raises, returns or answers as to a request before it has started.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fps_lite.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Message

PATIENCE = 1.0  # seconds for what an app does after it said that its shutdown is complete


@asynccontextmanager
async def lifespan_of(app: ASGIApp) -> AsyncIterator[dict[str, Any]]:
    """Run the app's lifespan around the body; yield its state.

    Raises `StartupError` if the app says that it failed, and what it raised once it had begun.
    If it raises later, the body is cancelled and that comes out, in a group.
    """
    driver = _Driver(app)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(driver.live(), name="lifespan of a mounted app")
        await driver.answered.wait()
        if driver.failure:
            raise StartupError(driver.failure)
        yield driver.state
        await driver.shut_down(task)


class _Driver:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.state: dict[str, Any] = {}
        self.failure = ""
        self.received = 0
        self.started = False
        self.answered = asyncio.Event()  # started, failed, or known to have no lifespan
        self.told = asyncio.Event()  # to shut down
        self.complete = asyncio.Event()

    async def live(self) -> None:
        """Be the app's task: an error of an app that never began is no error."""
        asgi = {"version": "3.0", "spec_version": "2.0"}
        scope = {"type": "lifespan", "asgi": asgi, "state": self.state}
        try:
            await self.app(scope, self.receive, self.send)
        except Exception:
            # After startup.failed many raise, too: what failed is told already.
            if self.received and not self.failure:
                raise
        finally:
            self.answered.set()
            self.complete.set()

    async def receive(self) -> Message:
        self.received += 1
        if self.received == 1:
            return {"type": "lifespan.startup"}
        await self.told.wait()
        if self.received > 2:  # noqa: PLR2004 - startup, shutdown, and then nothing ever
            await asyncio.Event().wait()
        return {"type": "lifespan.shutdown"}

    async def send(self, message: Message) -> None:
        kind, text = message["type"], message.get("message", "")
        if kind == "lifespan.startup.complete":
            self.started = True
        elif kind in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
            self.failure = _last_line(text) or "it says that it failed"
        if kind.startswith("lifespan.shutdown."):
            self.complete.set()
        self.answered.set()
        if not kind.startswith("lifespan."):
            # It answers every scope as if it were a request: it has no lifespan.
            self.received = 0
            raise _NoLifespanError

    async def shut_down(self, task: asyncio.Task[None]) -> None:
        """Tell the app to shut down and wait for it; its caller limits the time."""
        self.told.set()
        await self.complete.wait()
        await asyncio.wait({task}, timeout=PATIENCE)
        task.cancel()
        if self.failure:
            raise StartupError(self.failure)


class _NoLifespanError(Exception):
    pass


def _last_line(text: str) -> str:
    """Return what a message says: Starlette sends a whole traceback."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
