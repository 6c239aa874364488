"""Open websockets and event streams in a reload: how long they live, and how they end."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import websockets

from .clients import Connection
from .rows import Cell, Setting, listed
from .subjects import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterable

LIMIT = DEADLINE + 15.0
"""Seconds after which a stream is still open."""
CLEAN = "clean"


@dataclass(frozen=True)
class Ended:
    """How a stream ended, and how long after the signal."""

    how: str
    after: float


async def survive(setting: Setting) -> Cell:
    """Open as many of each, reload once, and wait for their ends."""
    number = setting.size.streams
    with setting.running() as server:
        sockets = [
            await websockets.connect(f"ws://127.0.0.1:{server.port}/numbers", ping_interval=None)
            for _ in range(number)
        ]
        events = [await _events(server.port) for _ in range(number)]
        began = time.monotonic()
        server.reload()
        closes = asyncio.gather(*(_limited(_socket(one), began) for one in sockets))
        ends = asyncio.gather(*(_limited(_stream(one), began) for one in events))
        closed, ended = await closes, await ends
        for one in events:
            one.close()
        for socket in sockets:
            socket.transport.abort()
    return _cell(number, closed, ended)


def _cell(number: int, closed: list[Ended], ended: list[Ended]) -> Cell:
    codes, ways = (Counter(one.how for one in those) for those in (closed, ended))
    times = sorted(one.after for one in (*closed, *ended))
    parts = [
        f"websockets: {_counts(codes)}",
        f"event streams: {_counts(ways)}",
        f"after {times[0]:.1f} to {times[-1]:.1f} s",
    ]
    return Cell(
        listed(parts),
        codes["1012"] == ways[CLEAN] == number and times[0] >= DEADLINE - 0.2,
        {"websockets": dict(codes), "event streams": dict(ways), "first": times[0]}
        | {"last": times[-1]},
    )


def _counts(found: Counter[str]) -> str:
    return ", ".join(f"{number} {how}" for how, number in sorted(found.items()))


async def _limited(ending: Iterable[str] | asyncio.Future[str], began: float) -> Ended:
    try:
        async with asyncio.timeout(LIMIT):
            how = await ending  # type: ignore[misc]
    except TimeoutError:
        how = "still open"
    return Ended(how, time.monotonic() - began)


async def _socket(socket: websockets.ClientConnection) -> str:
    try:
        async for _ in socket:
            pass
    except websockets.ConnectionClosed:
        pass
    return str(socket.close_code)


async def _events(port: int) -> Connection:
    connection = await Connection.open(port)
    connection.writer.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
    await connection.reader.readuntil(b"\r\n\r\n")
    return connection


async def _stream(connection: Connection) -> str:
    """Read chunks to the last one, which is empty."""
    try:
        while size := int(await connection.reader.readline(), 16):
            await connection.reader.readexactly(size + 2)
    except (OSError, EOFError, ValueError):
        return "cut"
    return CLEAN
