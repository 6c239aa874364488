"""What the largest app costs until its first answer, in time and in memory, beside Starlette's.

Until its first answer, as an index may be made only then. Each is built in a process of its own:
what `re` has compiled once, it need not twice. Peers' figures are where their requests are.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from .pairs import Absent, ratios, rounds, spread, worker
from .subjects import subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from .plan import Plan

COMPARED = ("stock", "compiled", "composed")


def run(plan: Plan) -> dict[str, Any]:
    """Return the times and the memory, and how many times Starlette's they are."""
    found = rounds({name: _build(plan, name) for name in COMPARED}, plan.size.builds, _quiet(plan))
    figures: dict[str, float | None] = {}
    rows = {}
    for name, replies in found.items():
        ms = [one["build_ns"] / 1e6 for one in replies]
        memory = statistics.median(one["memory"] for one in replies) / plan.largest
        rows[name] = {"ms": spread(ms).median, "bytes_a_route": memory}
        figures[f"{name} memory"] = memory / 1024
        if "stock" in found:
            stock = [one["build_ns"] / 1e6 for one in found["stock"]]
            figures[f"{name} build"] = ratios(ms, stock).median
    return {"routes": plan.largest, "rows": rows, "figures": figures}


def _build(plan: Plan, name: str) -> Callable[[int], dict[str, Any]]:
    python = plan.pythons.of(subject(name).environment)

    def once(_: int) -> dict[str, Any]:
        with worker(python, "benchmarks.workers.routing", name) as running:
            return running.ask("build", shape="flat", routes=plan.largest)

    return once


def _quiet(plan: Plan) -> Callable[[str, Absent], None]:
    return lambda name, why: plan.skip(subject(name).title, why)
