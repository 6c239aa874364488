"""A plugin that forks, as `multiprocessing` and `ProcessPoolExecutor` do, forks the server.

Its children would hold the port when the server has ended, not end at SIGTERM, and tell the
server, whose wake-up descriptor they have, of each signal that they get themselves.
"""

from __future__ import annotations

import os
import signal
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@contextmanager
def forks_apart(
    listening: Callable[[], Iterable[int]], forget: Callable[[], object]
) -> Iterator[None]:
    """Let children that are forked while the body runs have neither signals nor sockets of ours.

    `listening` returns the descriptors of the sockets that we listen on, `forget` lets go of
    whoever tells us what to do.
    """
    active = [True]

    def in_child() -> None:
        if active:
            _reset_signals()
            _close(listening())
            forget()

    # This cannot be undone.
    os.register_at_fork(after_in_child=in_child)
    try:
        yield
    finally:
        active.clear()


def end_if_forked(pid: int, error: SystemExit | KeyboardInterrupt) -> None:
    """End this process if it is not `pid`, but forked from it: whoever forked it wants its end.

    It would go on as another server otherwise, in the event loop that it has a copy of.
    """
    if os.getpid() != pid:
        code = error.code if isinstance(error, SystemExit) else 1
        os._exit(code if isinstance(code, int) else int(code is not None))


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _close(descriptors: Iterable[int]) -> None:
    for number in descriptors:
        # hypercorn may have closed its own, and another file may have that number now.
        with suppress(OSError):
            sock = socket.socket(fileno=os.dup(number))
            with sock:
                listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            if listens:
                os.close(number)
