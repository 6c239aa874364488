"""Reloads of what cannot be served: who notices, and who goes on."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .clients import load
from .rows import Cell, Setting
from .subjects import APP, REFUSED, TOML

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from .subjects import Running

LIMIT = 20.0
"""Seconds for the reason why."""
PEERS_LIMIT = 8.0
"""Seconds for a peer to die."""
TEXT = APP.read_text(encoding="utf-8")
LIFESPAN = """
from contextlib import asynccontextmanager

@asynccontextmanager
async def lifespan(app):
    {}
    yield

app = Starlette(routes=app.routes, lifespan=lifespan)
"""


@dataclass(frozen=True)
class Kind:
    """One way to break what is served."""

    file: str
    text: str


KINDS = {
    "TOML": Kind("fps.toml", "[fps\n"),
    "unknown key": Kind("fps.toml", f"[fps]\nprot = 1\n{TOML}"),
    "wrong type": Kind("fps.toml", f'[fps]\ndebug = "no"\n{TOML}'),
    "conflict": Kind("fps.toml", TOML + TOML),
    "certificate": Kind(
        "fps.toml", TOML + '[fps.hypercorn]\ncertfile = "no.pem"\nkeyfile = "no.pem"\n'
    ),
    "syntax": Kind("shown.py", "x y"),
    "import": Kind("shown.py", "import nowhere"),
    "no app": Kind("shown.py", ""),
    "start raises": Kind("shown.py", TEXT + LIFESPAN.format("1 / 0")),
    "start hangs": Kind("shown.py", TEXT + LIFESPAN.format("await asyncio.sleep(600)")),
    "exit": Kind("shown.py", "import os; os._exit(7)"),
}
OF_PEERS = ("syntax", "import", "no app", "start raises", "exit")


@dataclass(frozen=True)
class Outcome:
    """What one broken reload did."""

    failed: int
    requests: int
    same_workers: bool
    lives: bool
    reasons: tuple[str, ...] = ()


async def refused(setting: Setting) -> Cell:
    """Break it in each way, with clients on it."""
    kinds = [*KINDS] if setting.subject.is_ours else [*OF_PEERS]
    found: dict[str, Outcome] = {}
    while left := [kind for kind in kinds if kind not in found]:
        found |= {kind: outcome async for kind, outcome in _on_one_server(setting, left)}
    return _cell(found, ours=setting.subject.is_ours)


async def _on_one_server(setting: Setting, kinds: list[str]) -> AsyncIterator[tuple[str, Outcome]]:
    """Go on until it dies."""
    options = ("--fps.startup_timeout=3",) if setting.subject.is_ours else ()
    with setting.running(*options) as server:
        for kind in kinds:
            outcome = await _broken(server, KINDS[kind])
            yield kind, outcome
            if not outcome.lives or not outcome.same_workers:
                return


async def _broken(server: Running, kind: Kind) -> Outcome:
    before, said = server.workers(), len(server.lines(REFUSED))
    async with load(server.port, "/pid", fresh=4, kept=8) as tally:
        await asyncio.sleep(0.3)
        with _edited(server, kind):
            server.hang_up()
            await _until_refused(server, said)
        await asyncio.sleep(0.3)
    return Outcome(
        len(tally.lost),
        len(tally.lost) + len(tally.answered),
        await _has_again(server, before),
        server.lives,
        tuple(server.lines(REFUSED)[said:]),
    )


@contextlib.contextmanager
def _edited(server: Running, kind: Kind) -> Iterator[None]:
    file = server.directory / kind.file
    text = file.read_text(encoding="utf-8")
    server.write(kind.file, kind.text)
    try:
        yield
    finally:
        server.write(kind.file, text)


async def _until_refused(server: Running, said: int) -> None:
    deadline = time.monotonic() + (LIMIT if server.subject.is_ours else PEERS_LIMIT)
    while server.lives and time.monotonic() < deadline and len(server.lines(REFUSED)) == said:  # noqa: ASYNC110
        await asyncio.sleep(0.1)


async def _has_again(server: Running, workers: set[int]) -> bool:
    """Return whether only these workers are left, once the one that was tried has ended."""
    deadline = time.monotonic() + 5
    while server.workers() != workers and server.lives and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    return server.workers() == workers


def _cell(found: dict[str, Outcome], *, ours: bool) -> Cell:
    outcomes = found.values()
    failed, requests = sum(one.failed for one in outcomes), sum(one.requests for one in outcomes)
    died = [kind for kind, one in found.items() if not one.lives]
    changed = [kind for kind, one in found.items() if one.lives and not one.same_workers]
    text = f"{failed} failed of {requests:,} in {len(found)} kinds"
    if died:
        text += f"; dies of {len(died)} ({', '.join(died)})"
    if changed:
        text += f"; other workers after {len(changed)} ({', '.join(changed)})"
    unsaid = Counter(len(one.reasons) for one in outcomes)
    kept = not failed and not died and not changed
    if ours:
        text += f", {unsaid[1]} with one line of reason each"
        kept = kept and unsaid[1] == len(found)
    figures = {
        kind: {
            "failed": one.failed,
            "requests": one.requests,
            "lives": one.lives,
            "same workers": one.same_workers,
            "reasons": [*one.reasons],
        }
        for kind, one in found.items()
    }
    return Cell(text, kept, figures)
