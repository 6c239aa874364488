"""The end of the process: what other code keeps it from is named, and left behind."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from typing import Any, NoReturn

LIMIT = 5.0
"""Seconds for all that is done when the process ends: exit handlers, child processes."""


def hold_signals_off() -> None:
    """Ignore signals at the very end, where Python would let them end it with another code."""
    # What is registered first runs last.
    atexit.register(_ignore_signals)


def end(code: int) -> NoReturn:
    """End the process with `code`, whatever threads, children and exit handlers do."""
    handlers = threading.Event()
    # What is registered last runs first.
    atexit.register(handlers.set)
    # A thread beside the end: an idle `ThreadPoolExecutor` ends no sooner than that.
    threading.Thread(target=_watch, args=(code, handlers), daemon=True).start()
    sys.exit(code)


def _ignore_signals() -> None:
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def _watch(code: int, handlers: threading.Event) -> None:
    threads = _lasting_threads()
    if not threads:
        handlers.wait()
        time.sleep(LIMIT)
    children = _children()
    if threads:
        _say(f"threads that did not end: {', '.join(threads)}")
    if children:
        names = ", ".join(f"{one.name} ({one.pid})" for one in children)
        _say(f"child processes that did not end: {names}")
    if not threads and not children:
        _say(f"an exit handler did not end within {LIMIT:g} s{_where()}")
    for child in children:
        child.terminate()
    _leave(code)


def _lasting_threads() -> list[str]:
    if all(one.daemon for one in threading.enumerate() if one is not threading.main_thread()):
        return []
    from fps_lite.server import leftover_threads  # noqa: PLC0415 - imports hypercorn

    return leftover_threads()


def _children() -> list[Any]:
    multiprocessing: Any = sys.modules.get("multiprocessing")
    return multiprocessing.active_children() if multiprocessing else []


def _where() -> str:
    from fps_lite.server import main_thread_place  # noqa: PLC0415 - imports hypercorn

    place = main_thread_place()
    return f" ({place})" if place else ""


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)  # noqa: T201 - click may be gone by now


def _leave(code: int) -> NoReturn:
    sys.stdout.flush()
    os._exit(code)
