"""What foreign code does to the process when it is imported: seen, undone, told.

Only the command's process is ours to tidy; a library leaves its host's as it is.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Watch = Callable[[str], AbstractContextManager[None]]
    """Watches its body, which runs code of the one that is named."""

OURS = ("fps_lite", "fps_lite.server", "fps_lite.access", "fps_lite.python")
"""The loggers without which nothing is heard of the server."""
OF_OURS = {
    "the levels": "level",
    "the handlers": "handlers",
    "the filters": "filters",
    "the propagation": "propagate",
}
"""What is kept of each: how it is told, and the attribute."""


def unwatched(_: str) -> AbstractContextManager[None]:
    """Let the body do what it likes."""
    return nullcontext()


@dataclass
class Effects:
    """What was undone so far, one line for each of those who did it."""

    lines: list[str] = field(default_factory=list)

    @contextmanager
    def watch(self, who: str) -> Iterator[None]:
        """Undo what the body does to logging, signals and event loops, and say that `who` did."""
        before = [(kept, kept.state()) for kept in _kept()]
        try:
            yield
        finally:
            changed = [(kept, state) for kept, state in before if kept.state() != state]
            for kept, state in changed:
                kept.restore(state)
            if changed:
                names = ", ".join(kept.name for kept, _ in changed)
                self.lines.append(f"{who} changed {names}: undone")


@dataclass(frozen=True)
class _Kept:
    """What a process has one of."""

    name: str
    state: Callable[[], Any]
    restore: Callable[[Any], object]


def _kept() -> Iterator[_Kept]:
    root = logging.getLogger()
    yield _Kept("the root logger's handlers", _handlers, _set_handlers)
    yield _Kept("the root logger's level", lambda: root.level, root.setLevel)
    yield _Kept("what logging disables", lambda: root.manager.disable, logging.disable)
    known = [*map(logging.getLogger, OURS), *_loggers()]
    disabled = partial(_disabled, known)
    yield _Kept("which loggers are disabled", disabled, partial(_set_disabled, known))
    for what, attribute in OF_OURS.items():
        values = partial(_values, attribute)
        yield _Kept(f"{what} of fps-lite's loggers", values, partial(_set_values, attribute))
    yield _Kept("which signals are blocked", _blocked, _set_blocked)
    for number in sorted(signal.Signals):
        see, restore = partial(signal.getsignal, number), partial(_set_signal, number)
        yield _Kept(f"the handler of {number.name}", see, restore)
    yield _Kept("the event loop policy", _policy, _set_policy)


def _handlers() -> list[tuple[logging.Handler, int, list[Any]]]:
    return [(one, one.level, list(one.filters)) for one in logging.getLogger().handlers]


def _set_handlers(handlers: list[tuple[logging.Handler, int, list[Any]]]) -> None:
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
