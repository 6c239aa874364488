"""Clients that count what they lose: a connection for each request, or connections kept."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

LIMIT = 15.0
"""Seconds after which a request is lost."""
PAUSE = 0.01
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


@dataclass(frozen=True)
class Loss:
    """A request that was not answered."""

    number: int
    when: float
    port: int | None
    """Of the client's side; None: it was not even connected."""
    why: str


@dataclass
class Tally:
    """What clients saw."""

    answered: set[int] = field(default_factory=set)
    lost: list[Loss] = field(default_factory=list)
    slowest: float = 0.0
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def reasons(self) -> dict[str, int]:
        """Return how often a request was lost for which reason."""
        return dict(Counter(one.why for one in self.lost))


class Connection:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.port: int = writer.get_extra_info("sockname")[1]
        self.is_over = False

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def get(self, path: str, *, keep: bool) -> None:
        """Ask for a path; raise `OSError` or `EOFError` unless all of a 200 comes."""
        how = "keep-alive" if keep else "close"
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: {how}\r\n\r\n".encode())
        head = await self.reader.readuntil(b"\r\n\r\n")
        found = LENGTH.search(head)
        await self.reader.readexactly(int(found[1]) if found else 0)
        if head.split(b" ", 2)[1] != b"200":
            raise OSError(head.split(b"\r\n", 1)[0].decode())
        self.is_over = not keep or CLOSE.search(head) is not None

    def is_closed(self) -> bool:
        """Return whether it can take no other request."""
        return self.is_over or self.reader.at_eof() or self.reader.exception() is not None

    def close(self) -> None:
        """Close it."""
        self.writer.close()


async def _ask(port: int, path: str, tally: Tally, old: Connection | None) -> Connection | None:
    """Send one request; return its connection if it can take another one."""
    number = next(tally.numbers)
    connection, keep = old, old is not None
    began = time.monotonic()
    try:
        async with asyncio.timeout(LIMIT):
            if connection is None:
                connection = await Connection.open(port)
            await connection.get(path.format(number), keep=keep)
    except (OSError, EOFError, ValueError) as error:
        local = connection.port if connection else None
        tally.lost.append(Loss(number, time.monotonic(), local, type(error).__name__))
        if connection:
            connection.close()
        return None
    tally.answered.add(number)
    tally.slowest = max(tally.slowest, time.monotonic() - began)
    return connection


async def _fresh(port: int, path: str, tally: Tally, done: Callable[[], bool]) -> None:
    """Use a connection for each request."""
    while not done():
        connection = await _ask(port, path, tally, None)
        if connection:
            connection.close()
        await asyncio.sleep(PAUSE)


async def _kept(port: int, path: str, tally: Tally, done: Callable[[], bool]) -> None:
    """Keep a connection for as long as the server does."""
    connection: Connection | None = None
    while not done():
        if connection is None or connection.is_closed():
            if connection:
                connection.close()
            connection = None
            with contextlib.suppress(OSError):
                connection = await Connection.open(port)
        connection = await _ask(port, path, tally, connection)
        await asyncio.sleep(PAUSE)
    if connection:
        connection.close()


@contextlib.asynccontextmanager
async def load(port: int, path: str, *, fresh: int = 0, kept: int = 0) -> AsyncIterator[Tally]:
    """Load a server while the body runs; `{}` in the path becomes the request's number."""
    tally = Tally()
    over = asyncio.Event()
    loops = [_fresh(port, path, tally, over.is_set) for _ in range(fresh)]
    loops += [_kept(port, path, tally, over.is_set) for _ in range(kept)]
    tasks = [asyncio.create_task(one) for one in loops]
    try:
        yield tally
    finally:
        over.set()
        await asyncio.gather(*tasks)
