"""What foreign code does to the process when it is imported or makes an app: seen, undone, told.

Only the command's process is ours to tidy; a library leaves its host's as it is.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from .kept import kept, kept_log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator

    from .kept import Kept

    Watch = Callable[[object], AbstractContextManager[None]]
    """Watches its body, which runs code of the one that is named."""


def unwatched(_: object) -> AbstractContextManager[None]:
    """Let the body do what it likes."""
    return nullcontext()


@dataclass(frozen=True)
class Watches:
    """What surrounds foreign code, by when it runs."""

    imports: Watch = unwatched
    factories: Watch = unwatched
    """Each call of a factory, in the start of the app."""
    start: Watch = unwatched
    """The whole start of the app, in which lifespans run side by side."""


UNWATCHED = Watches()


@dataclass
class Effects:
    """What was undone so far, one line for each of those who did it."""

    lines: list[str] = field(default_factory=list)

    @property
    def watches(self) -> Watches:
        """Return what undoes what foreign code does."""
        return Watches(self.watch, self.watch_factory, self.watch_start)

    def watch(self, who: object) -> AbstractContextManager[None]:
        """Undo what the body does to the process, and say that `who` did."""
        return _undoing(kept(), who, self.lines.append)

    def watch_factory(self, who: object) -> AbstractContextManager[None]:
        """Undo the same when the app starts, and log it: nobody reads the lines any more."""
        return _undoing(kept(), who, _logged)

    def watch_start(self, who: object) -> AbstractContextManager[None]:
        """Keep what is heard of the server; what lifespans do besides is their own business."""
        return _undoing(kept_log(), who, _logged)


async def stepwise(awaitable: Awaitable[Any], watch: Callable[[], Any]) -> Any:
    """Await with `watch()` around each step: what others do between them is not watched."""
    return await _Steps(awaitable, watch)


class _Steps:
    def __init__(self, awaitable: Awaitable[Any], watch: Callable[[], Any]) -> None:
        self.awaitable = awaitable
        self.watch = watch

    def __await__(self) -> Generator[Any, Any, Any]:
        async def whole() -> Any:
            return await self.awaitable

        steps = whole()
        step: Callable[[], Any] = partial(steps.send, None)
        while True:
            with self.watch():
                try:
                    wanted = step()
                except StopIteration as end:
                    return end.value
            try:
                step = partial(steps.send, (yield wanted))
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is for the steps
                step = partial(steps.throw, error)


@contextmanager
def _undoing(what: Iterable[Kept], who: object, tell: Callable[[str], None]) -> Iterator[None]:
    before = [(one, one.state()) for one in what]
    try:
        yield
    finally:
        changed = [(one, state) for one, state in before if one.state() != state]
        for one, state in changed:
            one.restore(state)
        if changed:
            names = ", ".join(one.name for one, _ in changed)
            tell(f"{who} changed {names}: undone")


def _logged(line: str) -> None:
    logging.getLogger("fps_lite").warning("%s", line)
