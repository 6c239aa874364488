"""Set up the process's logging, once for each configuration."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TextIO

from .about import About
from .files import LogFile
from .formats import formatter_of
from .hooks import log_what_python_prints
from .writing import LineHandler

if TYPE_CHECKING:
    from fps_lite.settings import LoggingConfig

    from .turns import Turns

LOGGER = logging.getLogger("fps_lite.logs")
NOTHING = About()


def configure(  # noqa: PLR0913 - each is a fact about the process
    settings: LoggingConfig,
    *,
    secrets: frozenset[str],
    stream: TextIO | None = None,
    about: About = NOTHING,
    turns: Turns | None = None,
    to_file: bool = False,
) -> None:
    """Write every logger's records to `stream` (stderr if None), `secrets` masked.

    So too warnings, and exceptions that nobody catches. Never wait long for a reader of
    `stream`. With `to_file`, write to the file of the settings if they name one; raise
    `OSError` if it cannot be opened. With `turns`, take turns with other processes. Replace
    what an earlier call set up, and leave all other loggers and handlers alone.
    """
    stream = sys.stderr if stream is None else stream
    file = LogFile(settings.file) if to_file and settings.file else None
    handler = LineHandler(stream, turns, file)
    terminal = file is None and stream.isatty()
    handler.setFormatter(formatter_of(settings, terminal=terminal, secrets=secrets, about=about))
    root = logging.getLogger()
    earlier = _ours()
    root.addHandler(handler)
    for one in earlier:
        root.removeHandler(one)
        one.close()
    root.setLevel(settings.level.upper())
    # They say at this level only what the command says itself.
    quiet = logging.NOTSET if settings.level == "debug" else logging.WARNING
    for name in ("hypercorn.error", "watchfiles"):
        logging.getLogger(name).setLevel(quiet)
    log_what_python_prints()


def reopen() -> None:
    """Go on in the log file that has the name now; without one, do nothing.

    A signal's handler may call it. One that cannot be opened is logged, where the log was.
    """
    for handler in _ours():
        try:
            handler.reopen()
        except OSError as error:
            reason = error.strerror or error
            LOGGER.error("cannot reopen the log file: %s", reason)  # noqa: TRY400 - one line


def _ours() -> list[LineHandler]:
    return [one for one in logging.getLogger().handlers if isinstance(one, LineHandler)]
