"""Workers killed one after another: what is lost, and whether it had been accepted.

Just before a worker is killed, it is stopped, and the system is asked which connections it has
accepted. A client that loses a request tells which connection that was on. So a request that was
lost while it still waited in the socket's queue is told from one that went with its worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .clients import load
from .rows import Cell, Setting, listed
from .subjects import children

if TYPE_CHECKING:
    from .clients import Tally
    from .subjects import Running

SPAWNED = 0.3
"""Seconds until another one takes its place."""
LIMIT = 8.0
LOGGED = re.compile(r"/wait/(\d+)")
ESTABLISHED, CLOSE_WAIT = "01", "08"


@dataclass(frozen=True)
class Kill:
    """One worker that was killed."""

    when: float
    accepted: frozenset[int]
    """The clients' ports of the connections that it had."""
    spawned: float | None
    """Seconds until there was another one; None: there was none."""


async def killed(setting: Setting) -> Cell:
    """Kill one at random each second, with clients on it."""
    kills: list[Kill] = []
    with setting.running() as server:
        async with load(server.port, "/wait/{}", fresh=16, kept=16) as tally:
            await asyncio.sleep(0.5)
            for number in range(setting.size.kills):
                due = time.monotonic() + 1
                kills.append(await _kill(server, random.Random(number)))
                if not server.lives or kills[-1].spawned is None:
                    break
                await asyncio.sleep(max(0.0, due - time.monotonic()))
        lives = server.lives
        logged = {int(one) for one in LOGGED.findall(server.log())}
    return _cell(kills, tally, logged if setting.subject.is_ours else None, lives=lives)


async def _kill(server: Running, chance: random.Random) -> Kill:
    before = server.workers()
    victim = chance.choice(sorted(before))
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        os.kill(victim, signal.SIGSTOP)
        while _state(victim) not in "TtZ":  # noqa: ASYNC110 - no event
            await asyncio.sleep(0)
        accepted = frozenset(_connections(victim, server.port))
        os.kill(victim, signal.SIGKILL)
    when = time.monotonic()
    while server.lives and time.monotonic() < when + LIMIT:
        if server.workers() - before:
            return Kill(when, accepted, time.monotonic() - when)
        await asyncio.sleep(0.005)
    return Kill(when, accepted, None)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2][0]


def _connections(pid: int, port: int) -> set[int]:
    """Return the clients' ports of the connections that a process or its children have."""
    names = [
        str(entry.readlink())
        for one in (pid, *children(pid))
        for entry in Path(f"/proc/{one}/fd").iterdir()
    ]
    inodes = {one[8:-1] for one in names if one.startswith("socket:[")}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {
        int(row[2].rpartition(":")[2], 16)
        for row in rows
        if row[9] in inodes
        and int(row[1].rpartition(":")[2], 16) == port
        and row[3] in {ESTABLISHED, CLOSE_WAIT}
    }


def _cell(kills: list[Kill], tally: Tally, logged: set[int] | None, *, lives: bool) -> Cell:
    accepted = sum(len(one.accepted) for one in kills)
    besides = [one for one in tally.lost if not _was_accepted(one.port, one.when, kills)]
    spawned = [one.spawned for one in kills if one.spawned is not None]
    slowest = max(spawned, default=None)
    total = len(tally.answered) + len(tally.lost)
    parts = [
        "" if lives else "dies",
        f"{len(kills)} killed" + (f", next after ≤ {slowest:.2f} s" if slowest else ", no next"),
        f"{len(tally.lost)} lost of {total:,}, {accepted} accepted by the killed",
        f"{len(besides)} lost besides",
    ]
    figures = {
        "kills": len(kills),
        "requests": total,
        "lost": tally.reasons(),
        "accepted": accepted,
        "besides": len(besides),
        "spawned": [round(one, 3) for one in spawned],
    }
    if logged is not None:
        figures["answered, not in the access log"] = len(tally.answered - logged)
        figures["lost, in the access log"] = len({one.number for one in tally.lost} & logged)
    kept = lives and slowest is not None and slowest <= SPAWNED and not besides
    return Cell(listed(parts), kept and len(tally.lost) <= accepted, figures)


def _was_accepted(port: int | None, when: float, kills: list[Kill]) -> bool:
    """Return whether a worker that was killed just before had that connection."""
    earlier = [one for one in kills if one.when <= when + 0.05]
    return bool(earlier) and port in earlier[-1].accepted
