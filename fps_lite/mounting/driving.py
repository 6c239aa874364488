"""The server's side of the lifespan protocol, for one app that is mounted.

An app says in many ways that it has no lifespan; what they share is that nothing of it has
begun: it raises, returns or answers as to a request before it has started.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from fps_lite.errors import StartupError
from fps_lite.plugins import reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.types import ASGIApp, Message

PATIENCE = 0.1  # seconds for what an app does after it said that it failed or is complete
TRACEBACK = "Traceback (most recent call last)"


@asynccontextmanager
async def lifespan_of(app: ASGIApp) -> AsyncIterator[dict[str, Any]]:
    """Run the app's lifespan around the body; yield its state.

    Raises what the app raised once it had begun, or `StartupError` with what it says of its
    failure. If it raises while the body runs, the body is cancelled and that comes out, in a
    group.
    """
    driver = _Driver(app)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(driver.live(), name="lifespan of a mounted app")
        with driver.leaving():
            await driver.answered.wait()
            await driver.refuse(task)
            yield driver.state
            driver.told.set()
            await driver.complete.wait()
            await driver.refuse(task)


class _Driver:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.state: dict[str, Any] = {}
        self.received = 0
        self.started = self.has_none = self.failed = False
        self.left = False  # a cancellation is ours from now on
        self.message = ""  # what it says of its failure
        self.error: BaseException | None = None
        self.answered = asyncio.Event()  # started, failed, or known to have no lifespan
        self.told = asyncio.Event()  # to shut down
        self.complete = asyncio.Event()

    async def live(self) -> None:
        """Be the app's task; raise only what nobody waits for: a crash."""
        asgi = {"version": "3.0", "spec_version": "2.0"}
        scope = {"type": "lifespan", "asgi": asgi, "state": self.state}
        try:
            await self.app(scope, self.receive, self.send)
        except BaseException as error:
            if self.left and isinstance(error, asyncio.CancelledError):
                raise
            self._raised(error)
        finally:
            self.answered.set()
            self.complete.set()

    def _raised(self, error: BaseException) -> None:
        begun = self.received > 0 or self.started
        if self.has_none or (not begun and isinstance(error, Exception)):
            return
        # SystemExit out of a task ends the loop, and a cancellation would seem to be ours.
        self.error = error if isinstance(error, Exception) else StartupError(_line(error))
        if self.started and not self.told.is_set():
            raise self.error

    async def receive(self) -> Message:
        self.received += 1
        if self.received == 1:
            return {"type": "lifespan.startup"}
        await self.told.wait()
        if self.received > 2:  # noqa: PLR2004 - startup, shutdown, and then nothing ever
            await asyncio.Event().wait()
        return {"type": "lifespan.shutdown"}

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            self.started = True
        elif kind in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
            self.failed, self.message = True, message.get("message") or ""
        elif kind.startswith("lifespan.") and kind != "lifespan.shutdown.complete":
            raise RuntimeError(f'the lifespan protocol has no message "{kind}"')
        if kind.startswith("lifespan.shutdown."):
            self.complete.set()
        # One that answers every scope as if it were a request has no lifespan.
        self.has_none = self.has_none or not kind.startswith("lifespan.")
        self.answered.set()
        if self.has_none:
            raise _NoLifespanError

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Note when the body is left: whatever cancels the app's task after that is ours."""
        try:
            yield
        finally:
            self.left = True

    async def refuse(self, task: asyncio.Task[None]) -> None:
        """Raise why it failed, if it did; end what has no more to do."""
        if self.failed or self.told.is_set():
            # Many raise after they said that they failed, and some clean up.
            await asyncio.wait({task}, timeout=PATIENCE)
        if self.has_none or self.told.is_set():
            self.left = True
            task.cancel()
        said = _said(self.message)
        if self.error is not None and (not said or TRACEBACK in self.message):
            raise self.error
        if self.failed:
            raise StartupError(said or "it says no more than that it failed")


class _NoLifespanError(Exception):
    pass


def _line(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "its lifespan was cancelled"
    return reason(error)


def _said(message: str) -> str:
    """Return a message as one line: Starlette sends a whole traceback, of groups a drawing."""
    lines = [line.strip().lstrip("|+- ") for line in message.splitlines()]
    lines = [line for line in lines if line]
    return "; ".join(lines[-1:] if TRACEBACK in message else lines)
