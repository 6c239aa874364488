"""What the configuration of many plugins costs, beside the bare parse of its file."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .pairs import Absent, rounds, spread, worker

if TYPE_CHECKING:
    from .plan import Plan


def run(plan: Plan) -> dict[str, Any]:
    """Return the times of both, and their ratio."""
    tables = plan.size.tables
    try:
        with worker(plan.pythons.of("fps-lite"), "benchmarks.workers.configuration") as running:
            size = running.ask("run", tables=tables)["bytes"]
            measures = {"configuration": lambda _: running.ask("run", tables=tables)}
            replies = rounds(measures, plan.size.rounds, plan.skip)["configuration"]
    except Absent as why:
        plan.skip("configuration", why)
        return {}
    ratio = spread([one["all_ns"] / one["toml_ns"] for one in replies])
    return {
        "tables": tables,
        "bytes": size,
        "toml_ms": asdict(spread([one["toml_ns"] / 1e6 for one in replies])),
        "all_ms": asdict(spread([one["all_ns"] / 1e6 for one in replies])),
        "ratio": asdict(ratio),
        "figures": {"configuration": ratio.median},
    }
