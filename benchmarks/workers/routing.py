"""One subject in its own environment, whose requests are timed.

It builds the app of N routes, then times requests to it, called as a server calls an ASGI app
but without a socket. Each slice of requests is timed beside the same number of requests to a raw
ASGI function, so that what the machine does meanwhile falls out of the ratio. Time is the CPU
time of this process: nothing here waits, and what runs beside it does not count.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from benchmarks import shapes
from benchmarks.subjects import module_of

from .lines import answer_lines

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 100  # requests between two looks at the clock
PAGE = os.sysconf("SC_PAGE_SIZE")
COUNTED = (200, 1_200)  # requests of the two runs that are counted
TEMPLATE = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "query_string": b"",
    "root_path": "",
    "headers": [(b"host", b"127.0.0.1:8000"), (b"user-agent", b"bench"), (b"accept", b"*/*")],
    "client": ("127.0.0.1", 50000),
    "server": ("127.0.0.1", 8000),
}


async def raw(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer with the least that ASGI asks for: the yardstick."""
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", b"2"),
            ],
        }
    )
    await send({"type": "http.response.body", "body": b"ok"})


async def receive() -> dict[str, Any]:
    """Give the whole body of a request: it has none."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def drop(_message: Any) -> None:
    """Take a part of an answer as a server does."""


def scope_of(path: str) -> dict[str, Any]:
    """Return a scope as servers make it: a new one for each request."""
    return {**TEMPLATE, "path": path, "raw_path": path.encode()}


async def drive(app: Any, paths: list[str]) -> int:
    """Send the requests, one after another; return the nanoseconds.

    Making the scope is part of a request, the raw function's, too: a server does it each time.
    """
    template, both = TEMPLATE, [(path, path.encode()) for path in paths]
    before = time.process_time_ns()
    for path, raw_path in both:
        await app({**template, "path": path, "raw_path": raw_path}, receive, drop)
    return time.process_time_ns() - before


async def answer(app: Any, path: str) -> tuple[int, bytes]:
    """Return status and body of one request."""
    messages: list[Any] = []

    async def keep(message: Any) -> None:
        messages.append(message)

    await app(scope_of(path), receive, keep)
    return messages[0]["status"], b"".join(one.get("body", b"") for one in messages[1:])


async def started(app: Any) -> asyncio.Task[None]:
    """Begin the app's lifespan; one without support for it ends its task at once."""
    ready = asyncio.Event()
    first = True

    async def lifespan_receive() -> dict[str, Any]:
        nonlocal first
        if first:
            first = False
            return {"type": "lifespan.startup"}
        await asyncio.Event().wait()
        raise AssertionError

    async def lifespan_send(message: Any) -> None:
        if message["type"] == "lifespan.startup.failed":
            raise RuntimeError(message.get("message", "start-up failed"))
        ready.set()

    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    task: asyncio.Task[None] = asyncio.ensure_future(app(scope, lifespan_receive, lifespan_send))
    waiting = asyncio.ensure_future(ready.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done() and not ready.is_set():
        task.exception()
    return task


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE


@dataclass
class Measured:
    """The app that this process measures."""

    name: str
    loop: asyncio.AbstractEventLoop
    app: Any = None
    specs: list[shapes.Spec] = field(default_factory=list)
    lifespan: asyncio.Task[None] | None = None

    def build(self, shape: str, routes: int) -> dict[str, Any]:
        """Build the app, and have it answer once: some peers make their tables only then."""
        module = module_of(self.name)
        self.specs = shapes.SHAPES[shape](routes)
        parts = module.prepare(self.specs, shape)
        gc.collect()
        memory, before = resident(), time.process_time_ns()
        self.app = module.build(parts)
        constructed = time.process_time_ns() - before
        self.lifespan = self.loop.run_until_complete(started(self.app))
        path, _ = shapes.hits(self.specs, 1, Random(0))[0]
        status, _ = self.loop.run_until_complete(answer(self.app, path))
        elapsed = time.process_time_ns() - before
        gc.collect()
        memory = resident() - memory
        gc.freeze()
        return {
            "status": status,
            "constructed_ns": constructed,
            "build_ns": elapsed,
            "memory": memory,
        }

    def check(self, requests: int, seed: int) -> dict[str, Any]:
        """Compare answers with what each route is to answer; return the first that differs."""
        rng = Random(seed)
        wanted: list[tuple[str, int, bytes | None]] = [
            *((path, 200, body) for path, body in shapes.hits(self.specs, requests, rng)),
            *((path, 404, None) for path, _ in shapes.misses(self.specs, requests, rng)),
        ]
        for path, status, body in wanted:
            got = self.loop.run_until_complete(answer(self.app, path))
            if got[0] != status or (body is not None and got[1] != body):
                return {"wrong": f"{path}: expected {status} {body!r}, got {got[0]} {got[1]!r}"}
        return {}

    def run(self, traffic: str, requests: int, seed: int) -> dict[str, Any]:
        """Time requests and, chunk by chunk, as many to the raw function."""
        rng = Random(seed)
        make: Callable[..., list[tuple[str, bytes]]] = getattr(shapes, traffic)
        paths = [path for path, _ in make(self.specs, requests, rng)]
        total = raw_total = raw_count = 0
        for start in range(0, requests, CHUNK):
            chunk = paths[start : start + CHUNK]
            yardstick = (chunk * CHUNK)[:CHUNK]
            raw_total += self.loop.run_until_complete(drive(raw, yardstick))
            raw_count += len(yardstick)
            total += self.loop.run_until_complete(drive(self.app, chunk))
        return {"ns": total / requests, "raw_ns": raw_total / raw_count}

    def count(self, requests: int) -> None:
        """Send the first of always the same requests, for valgrind, which counts all else, too."""
        rng = Random(1)
        few, many = COUNTED
        made = [*shapes.hits(self.specs, few, rng), *shapes.hits(self.specs, many - few, rng)]
        self.loop.run_until_complete(drive(self.app, [path for path, _ in made[:requests]]))


def main(argv: list[str]) -> None:
    """Run: `SUBJECT` to be asked, or `SUBJECT SHAPE ROUTES REQUESTS` to be counted."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    measured = Measured(argv[0], loop)
    if argv[1:]:
        measured.build(argv[1], int(argv[2]))
        measured.count(int(argv[3]))
    else:
        answer_lines({"build": measured.build, "check": measured.check, "run": measured.run})
    sys.stdout.flush()
    os._exit(0)  # the lifespan still runs, and nothing is left to be saved


if __name__ == "__main__":
    main(sys.argv[1:])
