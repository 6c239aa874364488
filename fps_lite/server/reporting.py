"""What an event loop complains about: what is nobody's error is not said, the rest is logged."""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
import time
from typing import TYPE_CHECKING, Any

from fps_lite.errors import system_reason

if TYPE_CHECKING:
    from collections.abc import Collection

LOGGER = logging.getLogger("fps_lite.server")
NO_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
TOLD = (SystemExit, KeyboardInterrupt)
"""Said when they came out of the loop, and of no interest to it later."""
SAY_EVERY = 10.0
"""Seconds between two lines on the same trouble."""

Context = dict[str, Any]


class Reports:
    """The exception handler of one loop."""

    def __init__(self) -> None:
        self._said = float("-inf")

    def report(self, loop: asyncio.AbstractEventLoop, context: Context) -> None:
        """Log what went wrong in the loop, as asyncio does, unless it is a client's doing."""
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in NO_RESOURCES:
            self._no_resources(error)
        elif not _is_of_a_client(context, error) and not isinstance(error, TOLD):
            loop.default_exception_handler(context)

    def _no_resources(self, error: OSError) -> None:
        # asyncio complains for each place in the backlog, hundreds of times a second.
        if time.monotonic() >= self._said + SAY_EVERY:
            self._said = time.monotonic()
            LOGGER.error("cannot accept connections: %s", system_reason(error))


def _is_of_a_client(context: Context, error: object) -> bool:
    """Say whether a client gave up its TLS handshake, or its connection was cut in the drain."""
    if isinstance(error, asyncio.CancelledError):
        # Before Python 3.13 asyncio asks a connection's task for its result, even if cancelled.
        return "StreamReaderProtocol.connection_made" in context.get("message", "")
    return isinstance(error, ssl.SSLError | ConnectionError | TimeoutError)


def report_but(
    left: Collection[asyncio.Future[Any]], loop: asyncio.AbstractEventLoop, context: Context
) -> None:
    """Log what goes wrong at the end, unless it is of the tasks `left` that would not end."""
    if left and (context.get("task") in left or "asyncgen" in context):
        return
    loop.default_exception_handler(context)
