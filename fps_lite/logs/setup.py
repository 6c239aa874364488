"""Set up the process's logging, once for each configuration."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TextIO

from .formats import formatter_of
from .hooks import log_what_python_prints
from .writing import LineHandler

if TYPE_CHECKING:
    from fps_lite.settings import LoggingConfig


def configure(
    settings: LoggingConfig, *, stream: TextIO | None = None, secrets: frozenset[str]
) -> None:
    """Write every logger's records to `stream` (stderr if None), `secrets` masked.

    So too warnings, and exceptions that nobody catches. Never wait for a reader of `stream`.
    Replace what an earlier call set up, and leave all other loggers and handlers alone.
    """
    stream = sys.stderr if stream is None else stream
    handler = LineHandler(stream)
    handler.setFormatter(formatter_of(settings, terminal=stream.isatty(), secrets=secrets))
    root = logging.getLogger()
    for earlier in [one for one in root.handlers if isinstance(one, LineHandler)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(settings.level.upper())
    # They say at this level only what the command says itself.
    quiet = logging.NOTSET if settings.level == "debug" else logging.WARNING
    for name in ("hypercorn.error", "watchfiles"):
        logging.getLogger(name).setLevel(quiet)
    log_what_python_prints()
