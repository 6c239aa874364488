"""SIGTERM: with requests in flight, and with clients that would never end."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

from .clients import Connection
from .rows import Cell, Setting
from .subjects import DEADLINE

if TYPE_CHECKING:
    from .subjects import Running

IN_FLIGHT = 50
SLACK = 1.0
LIMIT = DEADLINE + 12.0


async def _exit(server: Running) -> float | None:
    """Return the seconds until it has ended; None: it has not."""
    began = time.monotonic()
    while server.lives and time.monotonic() < began + LIMIT:  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.02)
    return None if server.lives else time.monotonic() - began


def _ended(server: Running, after: float | None) -> str:
    if after is None:
        return f"still runs after {LIMIT:g} s"
    return f"exit {server.process.returncode} after {after:.1f} s"


async def in_flight(setting: Setting) -> Cell:
    """Stop it when so many requests have arrived."""
    with setting.running() as server:
        arrived = server.directory / "arrived"
        asking = [asyncio.create_task(_slow(server.port)) for _ in range(IN_FLIGHT)]
        deadline = time.monotonic() + 2
        while not arrived.exists() or arrived.stat().st_size < IN_FLIGHT:
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.02)
        server.process.send_signal(signal.SIGTERM)
        after = await _exit(server)
        answered = sum(await asyncio.gather(*asking))
        code = server.process.returncode
        text = f"{answered} of {IN_FLIGHT} answered; {_ended(server, after)}"
    return Cell(
        text,
        answered == IN_FLIGHT and code == 0,
        {"answered": answered, "exit": code, "after": after},
    )


async def _slow(port: int) -> bool:
    try:
        async with asyncio.timeout(LIMIT):
            connection = await Connection.open(port)
            await connection.get("/slow", keep=False)
    except (OSError, EOFError, ValueError):
        return False
    connection.close()
    return True


async def endless(setting: Setting) -> Cell:
    """Stop it with an endless stream, and a client that never reads."""
    with setting.running() as server:
        clients = [await Connection.open(server.port) for _ in range(2)]
        clients[0].writer.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        clients[1].writer.transport.pause_reading()  # type: ignore[attr-defined]
        clients[1].writer.write(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(1)
        server.process.send_signal(signal.SIGTERM)
        after = await _exit(server)
        code, text = server.process.returncode, _ended(server, after)
        for one in clients:
            one.writer.transport.abort()
    kept = after is not None and after <= DEADLINE + SLACK
    return Cell(text, kept and code == 0, {"exit": code, "after": after})
