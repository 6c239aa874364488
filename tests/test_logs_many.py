"""Four workers that log as fast as they can: every line whole, none lost."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.conftest import Site

WORKERS, LINES, PRINTED = 4, 100_000, 2_000
LIMIT = 400.0
PLUGIN = f"""
import asyncio, logging, os, sys
from contextlib import asynccontextmanager
from fps_lite import hookimpl

def size(number):
    if number % 997 == 0:
        return 70_000 + number % 3000
    return 4_000 + number % 500 if number % 53 == 0 else number % 211

async def log(logger):
    for number in range({LINES}):
        length = size(number)
        logger.info("line %d %d %d %s|", os.getpid(), number, length, "x" * length)
        if number % {LINES // PRINTED} == 0:
            length = size(number // {LINES // PRINTED})
            where = sys.stdout if number % {2 * LINES // PRINTED} else sys.stderr
            print("line", os.getpid(), -1 - number, length, "x" * length + "|", file=where)
        if number % 100 == 0:
            await asyncio.sleep(0)
    print("all is logged")

@hookimpl
async def lifespan(context):
    task = asyncio.create_task(log(context.logger))
    yield
    await task
"""
MARK = b"all is logged\n"
LINE = re.compile(r"line (\d+) (-?\d+) (\d+) (x*)\|")
CONSOLE = re.compile(r"\d\d:\d\d:\d\d info  \[[1-4]\] fps_lite\.many  (.*)")
LOGFMT = re.compile(
    r"time=\S+Z level=info logger=fps_lite\.many pid=\d+ worker=[1-4] plugin=many message=\"(.*)\""
)


def run(work: Path, *argv: str) -> list[str]:
    """Run the server until its workers have logged all; return what it wrote, read at once."""
    words = [sys.executable, "-m", "fps_lite", "serve", "--port", "0", "--workers", str(WORKERS)]
    process = subprocess.Popen(
        [*words, "--fps.enabled_plugins", "many", *argv],
        cwd=work,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    )
    assert process.stdout is not None
    chunks, tail, ended, deadline = [], b"", 0, time.monotonic() + LIMIT
    try:
        while chunk := process.stdout.read(2**20):
            chunks.append(chunk)
            ended += (tail + chunk).count(MARK)
            tail = (tail + chunk)[1 - len(MARK) :]
            if ended == WORKERS:
                process.terminate()
            assert time.monotonic() < deadline
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    return b"".join(chunks).decode().split("\n")


def message_of(line: str, form: str) -> str:
    """Return the message of a record, or the line itself if it is none."""
    if form == "json":
        if not line.startswith("{"):
            return line
        record = json.loads(line)
        assert (record["worker"] in range(1, WORKERS + 1), record["plugin"]) == (True, "many")
        message: str = record["message"]
        return message
    found = (CONSOLE if form == "console" else LOGFMT).fullmatch(line)
    return found[1] if found else line


def count(lines: Iterable[str], form: str) -> tuple[Counter[str], Counter[str], list[str]]:
    """Return how many whole lines each process logged and printed, and all other lines."""
    seen: set[tuple[str, str]] = set()
    logged: Counter[str] = Counter()
    printed: Counter[str] = Counter()
    others = []
    for line in lines:
        message = message_of(line, form)
        found = LINE.fullmatch(message)
        if found is None or len(found[4]) != int(found[3]):
            others.append(line[:200])
            continue
        assert (found[1], found[2]) not in seen
        seen.add((found[1], found[2]))
        (printed if message is line else logged)[found[1]] += 1
    return logged, printed, others


@pytest.mark.slow
@pytest.mark.timeout(LIMIT + 60)
@pytest.mark.parametrize("form", ["console", "logfmt", "json"])
@pytest.mark.parametrize("place", ["pipe", "file"])
def test_four_workers_log_every_line_whole_and_lose_none(
    site: Site, work: Path, form: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    site.plugin("many", PLUGIN)
    began = time.monotonic()
    where = ["--fps.logging.file", "log"] if place == "file" else []
    lines = run(work, "--log-format", form, *where)
    took = time.monotonic() - began
    if place == "file":
        lines += (work / "log").read_text().split("\n")
    logged, printed, others = count(lines, form)
    with capsys.disabled():
        what = f"{logged.total()} logged, {printed.total()} printed, {len(others)} others"
        print(f"\n{form} to a {place}: {what}, {sum(map(len, lines))} characters, {took:.0f} s")  # noqa: T201
    assert sorted(logged.values()) == [LINES] * WORKERS
    assert sorted(printed.values()) == [PRINTED] * WORKERS
    ready = [line for line in others if line.startswith("serving on ")]
    assert len(ready) == 1
    assert sorted(set(others) - {*ready}) == ["", "all is logged"]
