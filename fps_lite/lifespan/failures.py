"""What a plugin raised, for a person: in one line, and in full."""

from __future__ import annotations

import asyncio
import traceback
from typing import TYPE_CHECKING

from fps_lite.plugins import reason

if TYPE_CHECKING:
    from collections.abc import Iterator

# contextlib's words are about its own mechanism, not about what the author wrote.
_IN_OTHER_WORDS = {
    "RuntimeError: generator didn't yield": "its lifespan did not yield",
    "RuntimeError: generator didn't stop": "its lifespan yields more than once",
}


def describe(error: BaseException) -> str:
    """Return an exception as one line: type, message and place; of a group, of each leaf."""
    return "; ".join(dict.fromkeys(map(_line, _leaves(error))))


def in_full(error: BaseException) -> str:
    """Return the traceback as Python prints it."""
    return "".join(traceback.format_exception(error))


def is_cancellation(error: BaseException | None) -> bool:
    """Say whether there is nothing in it but cancellation."""
    return error is not None and all(
        isinstance(leaf, asyncio.CancelledError) for leaf in _leaves(error)
    )


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    for inner in error.exceptions:
        yield from _leaves(inner)


def _line(error: BaseException) -> str:
    try:
        line = reason(error)
    except Exception:  # noqa: BLE001 - the message is the plugin's code, too
        return f"{type(error).__name__}: its message cannot be shown"
    for theirs, ours in _IN_OTHER_WORDS.items():
        if line.startswith(theirs):
            return ours
    return line
