"""What a process has one of: how it is, and how it is put back."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

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


class Kept(Struct, frozen=True):
    """What a process has one of."""

    name: str
    state: Callable[[], Any]
    restore: Callable[[Any], object]


def kept() -> Iterator[Kept]:
    """Yield all that is put back when foreign code has changed it."""
    yield Kept("the root logger's handlers", _handlers, _set_handlers)
    yield from _kept_of_loggers(_loggers())
    yield Kept("which signals are blocked", _blocked, _set_blocked)
    for number in sorted(signal.Signals):
        see, restore = partial(signal.getsignal, number), partial(_set_signal, number)
        yield Kept(f"the handler of {number.name}", see, restore)
    yield Kept("the event loop policy", _policy, _set_policy)
    yield Kept("the working directory", _directory, os.chdir)
    yield Kept("the umask", _umask, os.umask)
    yield Kept("the timeout of new sockets", _timeout, _set_timeout)


def kept_log() -> Iterator[Kept]:
    """Yield that without which nothing is heard of the server."""
    handlers = _handlers()
    yield Kept("the root logger's handlers", partial(_still, handlers), _set_back)
    yield from _kept_of_loggers([])


def _kept_of_loggers(others: list[logging.Logger]) -> Iterator[Kept]:
    root = logging.getLogger()
    yield Kept("the root logger's level", lambda: root.level, root.setLevel)
    yield Kept("what logging disables", lambda: root.manager.disable, logging.disable)
    known = [*map(logging.getLogger, OURS), *others]
    disabled = partial(_disabled, known)
    yield Kept("which loggers are disabled", disabled, partial(_set_disabled, known))
    for what, attribute in OF_OURS.items():
        values = partial(_values, attribute)
        yield Kept(f"{what} of fps-lite's loggers", values, partial(_set_values, attribute))


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


def _directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - as os.chdir takes it
    except FileNotFoundError:
        return "/"


def _timeout() -> float | None:
    socket = sys.modules.get("socket")  # if nobody has imported it, it has none
    return socket.getdefaulttimeout() if socket else None


def _set_timeout(seconds: float | None) -> None:
    sys.modules["socket"].setdefaulttimeout(seconds)


def _umask() -> int:
    mask = os.umask(0)  # there is no other way to read it
    os.umask(mask)
    return mask


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
