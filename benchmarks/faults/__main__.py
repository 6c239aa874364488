"""`python -m benchmarks.faults`: put the questions to fps-lite and its peers, print one table."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import trustme
from cryptography.hazmat.primitives import serialization

from benchmarks import machine
from benchmarks.environments import HERE, Pythons, environments
from benchmarks.pairs import Absent

from . import broken, kills, page, reloads, stops, streams
from .rows import FULL, QUICK, Cell, Setting, Size
from .rows import PEERS as OF_PEERS
from .subjects import OURS, PEERS, Certificate, Subject, own_python

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROWS: dict[str, tuple[str, Callable[[Setting], Awaitable[Cell]]]] = {
    "kept": ("reloads, `wrk`, connections kept", reloads.kept_alive),
    "new": ("reloads, a connection for each request", reloads.anew),
    "http2": ("reloads, `h2load`, HTTP/2 over TLS", reloads.http2),
    "streams": ("a reload with open streams", streams.survive),
    "broken": ("broken reloads", broken.refused),
    "kills": ("`kill -9` of a worker each second", kills.killed),
    "stop": ("SIGTERM, 50 requests in flight", stops.in_flight),
    "endless": ("SIGTERM, an endless stream, a client that never reads", stops.endless),
}


def parser() -> argparse.ArgumentParser:
    """Return what the command takes."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    made.add_argument("--quick", action="store_true", help="a minute for each server")
    names = [one.name for one in PEERS]
    made.add_argument(
        "--peer", action="append", choices=names, metavar="NAME", help=f"of {', '.join(names)}"
    )
    made.add_argument("--alone", action="store_true", help="no peer")
    made.add_argument("--row", action="append", choices=tuple(ROWS), metavar="ROW")
    made.add_argument("--output", type=Path, help="where to write (all: benchmarks/results)")
    return made


def say(line: str) -> None:
    """Tell how it goes on."""
    print(line, file=sys.stderr, flush=True)


def run(options: argparse.Namespace) -> int:
    """Ask everybody everything; return 1 if fps-lite breaks a promise."""
    peers = [one for one in PEERS if one.name in (options.peer or [one.name])]
    subjects = [OURS, *([] if options.alone else peers)]
    rows = options.row or [*ROWS]
    whole = not (options.quick or options.peer or options.alone or options.row)
    directory = options.output or HERE / ("results" if whole else ".quick")
    size = QUICK if options.quick else FULL
    found: dict[str, dict[str, Cell]] = {ROWS[row][0]: {} for row in rows}
    python = own_python() if options.alone else _peers_python()
    result = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "size": size.name,
        "machine": machine.describe(),
        "versions": {} if options.alone else machine.versions(Pythons({"servers": python})),
    }
    result["versions"] = result["versions"].get("servers", {})
    with tempfile.TemporaryDirectory() as made:
        certificate = _certificate(Path(made))
        for subject in subjects:
            of = own_python() if subject.is_ours else python
            for row in rows:
                setting = Setting(subject, of, _size(subject, size), certificate)
                found[ROWS[row][0]][subject.name] = _asked(row, setting)
    print(page.table(found))
    say(f"{page.write(result, found, directory)} was written")
    ours = (cells[OURS.name] for cells in found.values())
    return int(any(cell.kept is False for cell in ours))


def _size(subject: Subject, size: Size) -> Size:
    return size if subject.is_ours or size is QUICK else OF_PEERS


def _asked(row: str, setting: Setting) -> Cell:
    title, ask = ROWS[row]
    began = time.monotonic()
    try:
        cell = asyncio.run(ask(setting))
    except Absent as why:
        cell = Cell(f"n/a: {why}")
    taken = time.monotonic() - began
    say(f"{setting.subject.name}: {title}: {cell.text} ({taken:.0f} s)")
    return cell


def _peers_python() -> Path:
    made = environments()["servers"]
    if not made.is_ready:
        say(f"installing {made.name}: {' '.join(made.install)}")
        made.make()
    return made.python


def _certificate(directory: Path) -> Certificate:
    made = trustme.CA().issue_cert("127.0.0.1")
    cert, key = directory / "cert.pem", directory / "key.pem"
    made.cert_chain_pems[0].write_to_path(cert)
    # granian takes no other format.
    private = serialization.load_pem_private_key(made.private_key_pem.bytes(), None)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return Certificate(cert, key)


def main() -> int:
    """Do what the command line says; servers end with it, on SIGTERM, too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return run(parser().parse_args())


if __name__ == "__main__":
    sys.exit(main())
