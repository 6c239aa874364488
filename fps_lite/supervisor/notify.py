"""What a service manager is told, as sd_notify(3) has it: ready, reloading, stopping, alive."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress

VARIABLE = "NOTIFY_SOCKET"


def notify(*words: str) -> None:
    """Send `words` (`READY=1`) to the service manager, if one wants to know."""
    where = os.environ.get(VARIABLE, "")
    if not where:
        return
    address = "\0" + where[1:] if where.startswith("@") else where
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.sendto("\n".join(words).encode(), address)


def reloading() -> None:
    """Say that a reload begins; `READY=1` says that it has ended."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


async def keep_alive() -> None:
    """Tell the service manager's watchdog, if there is one, that this process goes on."""
    interval = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
    if interval and os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
        while True:
            notify("WATCHDOG=1")
            await asyncio.sleep(interval / 2)
