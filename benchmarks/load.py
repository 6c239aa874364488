"""Load on a server over loopback, bounded in time and connections: `wrk`, or a client of ours."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass

from .environments import ROOT, worker_environ
from .pairs import Absent

CONNECTIONS = 64
SLACK = 20.0  # seconds
HEAD = "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
WRK = re.compile(r"(\d+) requests in ([\d.]+)(ms|s|m)")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


@dataclass(frozen=True)
class Answered:
    """How many requests were answered, and in which time."""

    requests: int
    seconds: float


def client() -> str:
    """Return the name of the client that is used."""
    return "wrk" if shutil.which("wrk") else "a client of the harness"


def load(port: int, path: str, seconds: float, cpu: int | None = None) -> Answered:
    """Load a server for a while, from a process of its own."""
    own = [sys.executable, "-m", "benchmarks.load", str(port), path, str(seconds)]
    wrk = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", f"http://127.0.0.1:{port}{path}"]
    process = subprocess.Popen(
        wrk if client() == "wrk" and seconds >= 1 else own,  # wrk takes whole seconds
        cwd=ROOT,
        env=worker_environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if cpu is not None:
        os.sched_setaffinity(process.pid, {cpu})
    try:
        said, _ = process.communicate(timeout=seconds + SLACK)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise Absent("the load did not end in time") from None
    return _read(said)


def _read(said: str) -> Answered:
    if "Non-2xx" in said:
        raise Absent(f"requests failed: {said.strip().splitlines()[-3]}")
    found = WRK.search(said)
    if found is None:
        raise Absent(f"the load was refused: {said.strip()[-200:]}")
    return Answered(int(found[1]), float(found[2]) * UNITS[found[3]])


class Connection(asyncio.Protocol):
    """One connection: the next request goes out when the last is answered."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.buffer = b""
        self.answered = 0
        self.failed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Send another request once an answer is there."""
        self.buffer += data
        if (end := whole(self.buffer)) is not None:
            self.failed += not self.buffer.startswith(b"HTTP/1.1 2")
            self.answered += 1
            self.buffer = self.buffer[end:]
            self.transport.write(self.request)


def whole(buffer: bytes) -> int | None:
    """Return where the answer ends, None if it is not all there yet."""
    head, found, _ = buffer.partition(b"\r\n\r\n")
    if not found:
        return None
    start = len(head) + 4
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    if length:
        end = start + int(length[1])
        return end if len(buffer) >= end else None
    last = buffer.find(b"0\r\n\r\n", start)  # chunked
    return None if last < 0 else last + 5


async def _drive(port: int, path: str, seconds: float) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    request = HEAD.format(path=path, port=port).encode()
    before = time.perf_counter()
    pairs = [
        await loop.create_connection(lambda: Connection(request), "127.0.0.1", port)
        for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(seconds)
    elapsed = time.perf_counter() - before
    for transport, _ in pairs:
        transport.close()
    answered, failed = (
        sum(getattr(one, name) for _, one in pairs) for name in ("answered", "failed")
    )
    return {"answered": answered, "failed": failed, "seconds": elapsed}


def main(argv: list[str]) -> None:
    """Load a server and say, in the words of wrk, how it went."""
    port, path, seconds = argv
    done = asyncio.run(_drive(int(port), path, float(seconds)))
    print(json.dumps(done))
    if done["failed"]:
        print(f"Non-2xx or 3xx responses: {done['failed']}\n\n")
    print(f"{done['answered']} requests in {done['seconds']:.3f}s")


if __name__ == "__main__":
    main(sys.argv[1:])
