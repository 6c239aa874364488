"""How many instructions a request takes, with few routes and with many.

valgrind's counts repeat to a fraction of a percent on any machine, busy or not, so this is what
a change is judged by. A count of many requests less a count of few, in two runs of one process
that differ in nothing else, leaves out starting, building, and making up paths.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from .environments import ROOT, worker_environ
from .pairs import Absent
from .subjects import subject
from .workers.routing import COUNTED

if TYPE_CHECKING:
    from pathlib import Path

    from .plan import Plan

SUBJECTS = ("stock", "compiled", "layered", "composed")
LIMIT = 300.0  # seconds
REFERENCES = re.compile(r"I\s+refs:\s+([\d,]+)")


def run(plan: Plan) -> dict[str, Any]:
    """Return the instructions of a request to each, and their growth."""
    if not plan.size.instructions:
        return {}
    if shutil.which("valgrind") is None:
        plan.skip("instruction counts", "there is no valgrind (Debian: apt install valgrind)")
        return {}
    rows: dict[str, dict[str, float]] = {}
    figures: dict[str, float | None] = {}
    for name in SUBJECTS:
        plan.say(f"instructions: {subject(name).title}")
        try:
            rows[name] = {str(routes): _count(plan, name, routes) for routes in _sizes(plan, name)}
        except Absent as why:
            plan.skip(f"{subject(name).title}, instructions", why)
        else:
            few, *many = rows[name].values()
            figures |= {f"{name} instructions growth": one / few for one in many}
    return {"rows": rows, "figures": figures}


def _sizes(plan: Plan, name: str) -> tuple[int, ...]:
    # Ten thousand routes that are scanned one by one would take an hour.
    return (10,) if name == "stock" else (10, plan.largest)


def _count(plan: Plan, name: str, routes: int) -> float:
    python = plan.pythons.of(subject(name).environment)
    if python is None:
        raise Absent("its environment is not installed")
    few, many = (_instructions(python, name, routes, requests) for requests in COUNTED)
    return (many - few) / (COUNTED[1] - COUNTED[0])


def _instructions(python: Path, name: str, routes: int, requests: int) -> int:
    valgrind = ["valgrind", "--tool=cachegrind", "--cachegrind-out-file=/dev/null"]
    module = ["-m", "benchmarks.workers.routing", name, "flat", str(routes), str(requests)]
    try:
        done = subprocess.run(
            [*valgrind, "--cache-sim=no", str(python), *module],
            cwd=ROOT,
            env=worker_environ(),
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        raise Absent(f"{requests} requests were not counted in {LIMIT:.0f} s") from None
    counted = REFERENCES.search(done.stderr)
    if done.returncode or counted is None:
        said = [line for line in done.stderr.splitlines() if line and not line.startswith("==")]
        raise Absent(said[-1] if said else "valgrind has failed")
    return int(counted[1].replace(",", ""))
