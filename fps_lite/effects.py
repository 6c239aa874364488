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

OURS = ("fps_lite", "fps_lite.server", "fps_lite.access")
"""The loggers without which nothing is heard of the server."""


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
    yield _Kept("the root logger's handlers", lambda: list(root.handlers), _set_handlers)
    yield _Kept("the root logger's level", lambda: root.level, root.setLevel)
    yield _Kept("what logging disables", lambda: root.manager.disable, logging.disable)
    known = [*map(logging.getLogger, OURS), *_loggers()]
    disabled = partial(_disabled, known)
    yield _Kept("which loggers are disabled", disabled, partial(_set_disabled, known))
    yield _Kept("the levels of fps-lite's loggers", _levels, _set_levels)
    for number in sorted(signal.Signals):
        see, restore = partial(signal.getsignal, number), partial(_set_signal, number)
        yield _Kept(f"the handler of {number.name}", see, restore)
    yield _Kept("the event loop policy", _policy, _set_policy)


def _set_handlers(handlers: list[logging.Handler]) -> None:
    logging.getLogger().handlers[:] = handlers


def _loggers() -> list[logging.Logger]:
    named = logging.getLogger().manager.loggerDict.values()
    return [one for one in list(named) if isinstance(one, logging.Logger)]


def _disabled(loggers: list[logging.Logger]) -> list[bool]:
    return [one.disabled for one in loggers]


def _set_disabled(loggers: list[logging.Logger], states: list[bool]) -> None:
    for one, state in zip(loggers, states, strict=True):
        one.disabled = state


def _levels() -> list[int]:
    return [logging.getLogger(name).level for name in OURS]


def _set_levels(levels: list[int]) -> None:
    for name, level in zip(OURS, levels, strict=True):
        logging.getLogger(name).setLevel(level)


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
