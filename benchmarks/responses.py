"""What it costs to make a JSON response, beside Starlette's."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .pairs import Absent, rounds, spread, worker

if TYPE_CHECKING:
    from .plan import Plan

PAYLOADS = ("hello", "row", "page")
REQUESTS_A_SECOND = 500_000


def run(plan: Plan) -> dict[str, Any]:
    """Return each payload's costs, and their ratio."""
    try:
        with worker(plan.pythons.of("fps-lite"), "benchmarks.workers.responses") as running:
            running.ask("run", payload="hello", count=50)
            count = int(plan.size.slice * REQUESTS_A_SECOND)
            found = rounds(
                {
                    payload: lambda _, payload=payload: running.ask(  # type: ignore[misc]
                        "run", payload=payload, count=count
                    )
                    for payload in PAYLOADS
                },
                plan.size.rounds,
                plan.skip,
            )
    except Absent as why:
        plan.skip("JSON responses", why)
        return {}
    rows = {
        payload: {
            "starlette_us": asdict(spread([one["starlette_ns"] / 1000 for one in replies])),
            "fps_lite_us": asdict(spread([one["fps_lite_ns"] / 1000 for one in replies])),
            "ratio": asdict(spread([one["fps_lite_ns"] / one["starlette_ns"] for one in replies])),
        }
        for payload, replies in found.items()
    }
    figures = {f"JSON {payload}": row["ratio"]["median"] for payload, row in rows.items()}
    return {"rows": rows, "figures": figures}
