"""Reloads, one after another, under three kinds of load."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.load import CONNECTIONS

from .clients import load
from .rows import Cell, Setting, counted, listed
from .subjects import RELOADED, answers

if TYPE_CHECKING:
    from .subjects import Running

POLL = 0.1
SETTLE = 2
"""Seconds of load after the last reload."""
LONGEST = 0.5
"""Seconds that the slowest request may take."""
WRK_DONE = re.compile(r"(\d+) requests in")
WRK_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
WRK_STATUS = re.compile(r"Non-2xx or 3xx responses: (\d+)")
H2_DONE = re.compile(r"requests: .* (\d+) succeeded")
LIMIT = 15.0
"""Seconds for one run of h2load."""


async def repeated(server: Running, setting: Setting) -> int:
    """Reload again and again; return how many were done, some of which were asked for twice.

    Ours goes on until as many are done, if that takes no longer than three times as long.
    """
    size = setting.size
    seen = before = server.workers()
    for number in range(3 * size.reloads):
        waits = setting.subject.is_ours and _logged(server) < size.reloads
        if number >= size.reloads and not waits:
            break
        server.reload()
        seen = seen | await _seen(server, size.seconds / size.reloads)
    seen = seen | await _seen(server, SETTLE)
    return _logged(server) if setting.subject.is_ours else len(seen - before) // len(before)


def _logged(server: Running) -> int:
    return len(server.lines(RELOADED))


async def _seen(server: Running, seconds: float) -> set[int]:
    """Return the workers that there are meanwhile."""
    deadline = time.monotonic() + seconds
    found = server.workers()
    while time.monotonic() < deadline:
        await asyncio.sleep(POLL)
        found |= server.workers()
    return found


async def _wrk(url: str, over: asyncio.Event) -> str:
    """Run `wrk` until it is over, and return what it prints."""
    words = ("wrk", "-t1", f"-c{CONNECTIONS}", "-d1h", url)
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    await over.wait()
    process.send_signal(signal.SIGINT)
    output, _ = await process.communicate()
    return output.decode()


async def _h2load(url: str, log: Path, over: asyncio.Event) -> int:
    """Run `h2load` until it is over, again and again; return how many were answered.

    A client of its never comes back after a GOAWAY.
    """
    answered = 0
    words = ("h2load", "-n400", "-c8", "-m10", f"--log-file={log}", url)
    while not over.is_set():
        process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(LIMIT):
                output, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            output, _ = await process.communicate()
        answered += sum(map(int, H2_DONE.findall(output.decode())))
    return answered


def state(server: Running, *, secure: bool = False) -> str:
    """Return what is wrong with the server after all, if anything is."""
    if not server.lives:
        return f"dies (exit {server.process.returncode})"
    return "" if answers(server.port, secure=secure) else "does not answer any more"


async def kept_alive(setting: Setting) -> Cell:
    """Put `wrk` with kept connections on it."""
    if not shutil.which("wrk"):
        return Cell("n/a: wrk is not installed")
    with setting.running() as server:
        over = asyncio.Event()
        loading = asyncio.create_task(_wrk(f"http://127.0.0.1:{server.port}/pid", over))
        await asyncio.sleep(0.5)
        done = await repeated(server, setting)
        over.set()
        text = await loading
        ended = state(server)
    requests = sum(map(int, WRK_DONE.findall(text)))
    errors = [int(one) for found in WRK_ERRORS.findall(text) for one in found]
    status = sum(map(int, WRK_STATUS.findall(text)))
    parts = [counted(sum(errors), "error"), f"{status} not 2xx" if status else "", ended]
    return Cell(
        f"{listed(parts)} of {requests:,} ({done} of {setting.size.reloads} reloads)",
        requests > 0 and not sum(errors) and not status and not ended,
        {"requests": requests, "errors": errors, "not 2xx": status, "reloads": done},
    )


async def anew(setting: Setting) -> Cell:
    """Use a connection for each request."""
    with setting.running() as server:
        async with load(server.port, "/wait/{}", fresh=8) as tally:
            await asyncio.sleep(0.5)
            done = await repeated(server, setting)
        ended = state(server)
    total = len(tally.answered) + len(tally.lost)
    parts = [f"{len(tally.lost)} failed", ended]
    return Cell(
        f"{listed(parts)} of {total:,}, slowest {tally.slowest:.2f} s "
        f"({done} of {setting.size.reloads} reloads)",
        not tally.lost and not ended and tally.slowest <= LONGEST,
        {
            "requests": total,
            "failed": tally.reasons(),
            "slowest": round(tally.slowest, 3),
            "reloads": done,
        },
    )


async def http2(setting: Setting) -> Cell:
    """Put `h2load` on it, over TLS."""
    if not shutil.which("h2load"):
        return Cell("n/a: h2load is not installed")
    if not setting.subject.tls:
        return Cell("n/a: no HTTP/2")
    with setting.running(secure=True) as server, tempfile.TemporaryDirectory() as made:
        log = Path(made, "log")
        over = asyncio.Event()
        url = f"https://127.0.0.1:{server.port}/pid"
        loading = asyncio.create_task(_h2load(url, log, over))
        await asyncio.sleep(0.5)
        done = await repeated(server, setting)
        over.set()
        total = await loading
        ended = state(server, secure=True)
        failed, sent = _failures(log)
    parts = [f"{sent} failed", ended]
    return Cell(
        f"{listed(parts)} of {total:,} ({done} of {setting.size.reloads} reloads)",
        total > 0 and not sent and not ended,
        {
            "requests": total,
            "failed": sent,
            "never sent": failed - sent,
            "reloads": done,
        },
    )


def _failures(log: Path) -> tuple[int, int]:
    """Return how many requests failed, and how many of those had been sent."""
    requests = [line.split("\t") for line in log.read_text(encoding="utf-8").splitlines()]
    failed = [int(began) for began, status, *_ in requests if status != "200"]
    return len(failed), sum(began > 0 for began in failed)
