"""What foreign code does to the process when it is imported or makes an app: seen, undone, told.

Only the command's process is ours to tidy; a library leaves its host's as it is.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator, Iterable, Iterator

    Watch = Callable[[object], AbstractContextManager[None]]
    """Watches its body, which runs code of the one that is named."""
    Handlers = list[tuple[logging.Handler, int, list[Any]]]
    """Handlers, each with its level and its filters."""

OURS = ("fps_lite", "fps_lite.server", "fps_lite.access", "fps_lite.python", "hypercorn.error")
"""The loggers without which nothing is heard of the server."""
OF_OURS = {
    "the levels": "level",
    "the handlers": "handlers",
    "the filters": "filters",
    "the propagation": "propagate",
}
"""What is kept of each: how it is told, and the attribute."""


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
        """Undo what the body does to logging, signals and event loops, and say that `who` did."""
        return _undoing(_kept(), who, self.lines.append)

    def watch_factory(self, who: object) -> AbstractContextManager[None]:
        """Undo the same when the app starts, and log it: nobody reads the lines any more."""
        return _undoing(_kept(), who, _logged)

    def watch_start(self, who: object) -> AbstractContextManager[None]:
        """Keep what is heard of the server; what lifespans do besides is their own business."""
        return _undoing(_kept_log(), who, _logged)


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
def _undoing(what: Iterable[_Kept], who: object, tell: Callable[[str], None]) -> Iterator[None]:
    before = [(kept, kept.state()) for kept in what]
    try:
        yield
    finally:
        changed = [(kept, state) for kept, state in before if kept.state() != state]
        for kept, state in changed:
            kept.restore(state)
        if changed:
            names = ", ".join(kept.name for kept, _ in changed)
            tell(f"{who} changed {names}: undone")


def _logged(line: str) -> None:
    logging.getLogger("fps_lite").warning("%s", line)


class _Kept(Struct, frozen=True):
    """What a process has one of."""

    name: str
    state: Callable[[], Any]
    restore: Callable[[Any], object]


def _kept() -> Iterator[_Kept]:
    yield _Kept("the root logger's handlers", _handlers, _set_handlers)
    yield from _kept_of_loggers(_loggers())
    yield _Kept("which signals are blocked", _blocked, _set_blocked)
    for number in sorted(signal.Signals):
        see, restore = partial(signal.getsignal, number), partial(_set_signal, number)
        yield _Kept(f"the handler of {number.name}", see, restore)
    yield _Kept("the event loop policy", _policy, _set_policy)


def _kept_log() -> Iterator[_Kept]:
    """Yield that without which nothing is heard of the server."""
    handlers = _handlers()
    yield _Kept("the root logger's handlers", partial(_still, handlers), _set_back)
    yield from _kept_of_loggers([])


def _kept_of_loggers(others: list[logging.Logger]) -> Iterator[_Kept]:
    root = logging.getLogger()
    yield _Kept("the root logger's level", lambda: root.level, root.setLevel)
    yield _Kept("what logging disables", lambda: root.manager.disable, logging.disable)
    known = [*map(logging.getLogger, OURS), *others]
    disabled = partial(_disabled, known)
    yield _Kept("which loggers are disabled", disabled, partial(_set_disabled, known))
    for what, attribute in OF_OURS.items():
        values = partial(_values, attribute)
        yield _Kept(f"{what} of fps-lite's loggers", values, partial(_set_values, attribute))


def _handlers() -> Handlers:
    return [(one, one.level, list(one.filters)) for one in logging.getLogger().handlers]


def _still(handlers: Handlers) -> Handlers:
    """Return how those are now that were there, and are still."""
    known = {handler for handler, _, _ in handlers}
    return [one for one in _handlers() if one[0] in known]


def _set_back(handlers: Handlers) -> None:
    """Restore those, and leave others that came alone."""
    known = {handler for handler, _, _ in handlers}
    _set_handlers([*handlers, *(one for one in _handlers() if one[0] not in known)])


def _set_handlers(handlers: Handlers) -> None:
    logging.getLogger().handlers[:] = [handler for handler, _, _ in handlers]
    for handler, level, filters in handlers:
        handler.level, handler.filters = level, filters


def _loggers() -> list[logging.Logger]:
    named = logging.getLogger().manager.loggerDict.values()
    return [one for one in list(named) if isinstance(one, logging.Logger)]


def _disabled(loggers: list[logging.Logger]) -> list[bool]:
    return [one.disabled for one in loggers]


def _set_disabled(loggers: list[logging.Logger], states: list[bool]) -> None:
    for one, state in zip(loggers, states, strict=True):
        one.disabled = state


def _values(attribute: str) -> list[Any]:
    """Return an attribute of each of our loggers; of a list a copy."""
    values = [getattr(logging.getLogger(name), attribute) for name in OURS]
    return [list(value) if isinstance(value, list) else value for value in values]


def _set_values(attribute: str, values: list[Any]) -> None:
    for name, value in zip(OURS, values, strict=True):
        logger = logging.getLogger(name)
        if attribute == "level":  # loggers remember what is enabled, until a level is set
            logger.setLevel(value)
        else:
            setattr(logger, attribute, value)


def _blocked() -> set[int]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def _set_blocked(blocked: set[int]) -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _set_signal(number: int, handler: Any) -> None:
    # None is a handler that Python did not set and cannot set again.
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(number, handler)


def _policy() -> Any:
    # asyncio's own question would make a policy, and import asyncio where nobody needs it.
    policy = getattr(sys.modules.get("asyncio.events"), "_event_loop_policy", None)
    # Whoever asks for a policy, as `asyncio.run` does, makes the default one; that is no change.
    return None if type(policy).__module__.startswith("asyncio.") else policy


def _set_policy(policy: Any) -> None:
    sys.modules["asyncio"].set_event_loop_policy(policy)
