"""`python -m benchmarks`: run all or some parts, or drive a server command over HTTP."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from . import machine, report, targets
from .environments import HERE, ROOT, here, installed, worker_environ
from .pairs import Absent
from .plan import SIZES, Plan

PARTS = tuple(report.SECTIONS)
RESULTS = HERE / "results"
QUICK = HERE / ".quick"


def parser() -> argparse.ArgumentParser:
    """Return what the command takes."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = made.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="measure, and write JSON, Markdown and plots")
    run.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; none: all")
    run.add_argument("--size", choices=tuple(SIZES), default="full")
    run.add_argument("--here", action="store_true", help="install nothing: what this Python has")
    run.add_argument(
        "--output", type=Path, help="where to write (a whole run: benchmarks/results, else .quick)"
    )
    run.add_argument(
        "--gate", action="store_true", help="exit 1 unless what is measured meets its targets"
    )
    drive = commands.add_parser("serve", help="drive a server command: serve -- CMD …")
    drive.add_argument("--path", default="/", help="what to ask for; must answer 200")
    drive.add_argument("--rounds", type=int, default=5)
    drive.add_argument("--seconds", type=float, default=2.0, help="of load in each round")
    drive.add_argument("--json", action="store_true")
    drive.add_argument("argv", nargs="+", metavar="CMD", help="{port} in it becomes a free port")
    return made


def say(line: str) -> None:
    """Tell how it goes on."""
    print(line, file=sys.stderr, flush=True)


def run(options: argparse.Namespace) -> int:
    """Run the parts, write the files, print the targets."""
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        say(f"unknown: {', '.join(sorted(unknown))}; the parts are {', '.join(PARTS)}")
        return 2
    started = time.monotonic()
    size = SIZES[options.size]
    pythons = here() if options.here else installed(quick=size.name != "full", say=say)
    plan = Plan(size, pythons, say)
    whole = size.name == "full" and not options.parts
    directory = options.output or (RESULTS if whole else QUICK)
    result: dict[str, Any] = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "size": size.name,
        "machine": machine.describe(),
        "versions": machine.versions(pythons),
        "parts": {},
        "figures": {},
        "skipped": [],
    }
    for name in options.parts or PARTS:
        found = import_module(f"benchmarks.{name}").run(plan)
        result["parts"][name] = found
        result["figures"] |= found.get("figures", {})
        result["skipped"] = [one.removeprefix("skipped: ") for one in plan.skipped]
        page = report.write(result, directory)  # after each part: the next may be interrupted
    draw(plan, page.with_suffix(".json"))
    figures = result["figures"]
    print(targets.table(targets.lines(figures)))
    say(f"{page} was written in {time.monotonic() - started:.0f} s")
    return int(options.gate and not targets.all_met(figures))


def draw(plan: Plan, results: Path) -> None:
    """Draw the plots beside the results, if matplotlib's environment is there."""
    python = plan.pythons.of("plots")
    if python is None:
        plan.skip("plots", "their environment is not installed")
        return
    command = [str(python), "-m", "benchmarks.plots", str(results.resolve())]
    subprocess.run(command, cwd=ROOT, env=worker_environ(), check=True, timeout=120)


def serve(options: argparse.Namespace) -> int:
    """Drive one server command, and print what a request costs it."""
    from .serve import drive  # noqa: PLC0415 - as the parts are

    try:
        found = drive(options.argv, options.path, options.rounds, options.seconds)
    except Absent as why:
        say(str(why))
        return 1
    print(json.dumps(found.as_json(), indent=1) if options.json else found.as_text())
    return 0


def main() -> int:
    """Do what the command line says; servers and workers end with it, on SIGTERM, too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = parser().parse_args()
    return run(options) if options.command == "run" else serve(options)


if __name__ == "__main__":
    sys.exit(main())
