"""What looking for conflicts and overlaps costs, beside constructing the routes with Starlette."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .pairs import Absent, rounds, spread, worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from .plan import Plan

SHAPES = ("flat", "parameter first")


def run(plan: Plan) -> dict[str, Any]:
    """Return the times of both, and their ratio, for each shape."""
    try:
        with worker(plan.pythons.of("fps-lite"), "benchmarks.workers.conflicts") as running:

            def once(shape: str) -> Callable[[int], dict[str, Any]]:
                return lambda _: running.ask("run", shape=shape, routes=plan.largest)

            found = rounds({one: once(one) for one in SHAPES}, plan.size.builds, plan.skip)
    except Absent as why:
        plan.skip("conflicts", why)
        return {}
    rows = {
        shape: {
            "construct_ms": asdict(spread([one["construct_ns"] / 1e6 for one in replies])),
            "analyse_ms": asdict(spread([one["analyse_ns"] / 1e6 for one in replies])),
            "ratio": asdict(spread([one["analyse_ns"] / one["construct_ns"] for one in replies])),
        }
        for shape, replies in found.items()
    }
    worst = max((row["ratio"]["median"] for row in rows.values()), default=None)
    return {"routes": plan.largest, "rows": rows, "figures": {"conflicts": worst}}
