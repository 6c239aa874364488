"""Call into a plugin, and say in one line what went wrong there."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fps_lite.errors import FPSError

if TYPE_CHECKING:
    from .inspection import Hook

OURS = Path(__file__).parents[1]
RAISED = (Exception, SystemExit)
"""What a plugin's code may raise, and is named for."""


def ask(hook: Hook, **offered: Any) -> tuple[Any, str]:
    """Call a hook; return what it answers and, if it raised, what went wrong."""
    try:
        return hook(**offered), ""
    except RAISED as error:
        return None, f'hook "{hook.name}": {complaint(error)}'


def reason(error: BaseException) -> str:
    """Return an exception as one line: type, message, and where the plugin raised it."""
    if isinstance(error, FPSError):
        return "; ".join(error.problems)
    said = error.msg if isinstance(error, SyntaxError) else error
    text = " ".join(str(said).split())
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return _placed(line, error)


def complaint(error: BaseException) -> str:
    """Return `reason`, and of an error that we raised, which call of the plugin it is about."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = isinstance(error, FPSError) and frames[-1].filename.startswith(str(OURS))
    return _placed(reason(error), error) if ours else reason(error)


def _placed(line: str, error: BaseException) -> str:
    where = _where(error)
    return f"{line} ({where})" if where else line


def _where(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<", str(OURS))) and "/importlib/" not in frame.filename
    ]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
