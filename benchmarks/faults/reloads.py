"""Reloads, one after another, under three kinds of load."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.load import CONNECTIONS

from .clients import load
from .rows import Cell, Setting, counted, listed
from .subjects import RELOADED, answers

if TYPE_CHECKING:
    from .subjects import Running

SETTLE = 2
"""Seconds of load after the last reload."""
LONGEST = 0.5
"""Seconds that the slowest request may take."""
WRK_DONE = re.compile(r"(\d+) requests in")
WRK_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
WRK_STATUS = re.compile(r"Non-2xx or 3xx responses: (\d+)")
H2_DONE = re.compile(r"requests: .* (\d+) done, (\d+) succeeded, (\d+) failed")


async def repeated(server: Running, setting: Setting) -> int:
    """Reload again and again; return how many were done: of ours those that the log counts.

    Reloads that are asked for during a reload may be one.
    """
    size = setting.size
    for _ in range(size.reloads):
        server.reload()
        await asyncio.sleep(size.seconds / size.reloads)
    await asyncio.sleep(SETTLE)
    return len(server.lines(RELOADED)) if setting.subject.is_ours else size.reloads


async def said(*argv: str, limit: float) -> str:
    """Run a client to its end, and return what it prints."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(limit):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return ""
    return output.decode()


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
        seconds = setting.size.seconds + SETTLE
        url = f"http://127.0.0.1:{server.port}/pid"
        command = ("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url)
        loading = asyncio.create_task(said(*command, limit=seconds + 30))
        await asyncio.sleep(0.5)
        done = await repeated(server, setting)
        text = await loading
        ended = state(server)
    requests = sum(map(int, WRK_DONE.findall(text)))
    errors = [int(one) for found in WRK_ERRORS.findall(text) for one in found]
    status = sum(map(int, WRK_STATUS.findall(text)))
    parts = [counted(sum(errors), "error"), f"{status} not 2xx" if status else "", ended]
    return Cell(
        f"{listed(parts)} of {requests:,} ({counted(done, 'reload')})",
        requests > 0 and not sum(errors) and not status and not ended,
        {"requests": requests, "errors": errors, "not 2xx": status, "reloads": done},
    )


async def anew(setting: Setting) -> Cell:
    """Use a connection for each request."""
    with setting.running() as server:
        async with load(server.port, "/pid", fresh=4) as tally:
            await asyncio.sleep(0.5)
            done = await repeated(server, setting)
        ended = state(server)
    total = len(tally.answered) + len(tally.lost)
    parts = [f"{len(tally.lost)} failed", ended]
    return Cell(
        f"{listed(parts)} of {total:,}, slowest {tally.slowest:.2f} s",
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
        seconds = setting.size.seconds + SETTLE
        url = f"https://127.0.0.1:{server.port}/pid"
        command = ("h2load", f"-D{seconds}", "-c8", "-m10", f"--log-file={log}", url)
        loading = asyncio.create_task(said(*command, limit=seconds + 30))
        await asyncio.sleep(0.5)
        done = await repeated(server, setting)
        text = await loading
        ended = state(server, secure=True)
        failed, sent = _failures(log)
    found = H2_DONE.search(text)
    total = int(found[1]) if found else 0
    parts = [f"{sent} failed", ended]
    return Cell(
        f"{listed(parts)} of {total:,} ({counted(done, 'reload')})",
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
