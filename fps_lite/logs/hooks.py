"""What Python itself would print, through logging: with its secrets masked."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

LOGGER = logging.getLogger("fps_lite.python")


def log_what_python_prints() -> None:
    """Log warnings, and exceptions that nobody catches: in threads, in destructors, anywhere."""
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _in_thread
    sys.unraisablehook = _unraisable


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    LOGGER.error("uncaught %s", kind.__name__, exc_info=(kind, error, trace))


def _in_thread(args: threading.ExceptHookArgs) -> None:
    if issubclass(args.exc_type, SystemExit):  # how a thread may end itself
        return
    name = args.thread.name if args.thread else "?"
    error = args.exc_value or args.exc_type()
    info = (args.exc_type, error, args.exc_traceback)
    LOGGER.error('thread "%s" ended with %s', name, args.exc_type.__name__, exc_info=info)


def _unraisable(args: sys.UnraisableHookArgs) -> None:
    error = args.exc_value or args.exc_type()
    info = (type(error), error, args.exc_traceback)
    LOGGER.error("%s: %r", args.err_msg or "exception ignored in", args.object, exc_info=info)
