"""What a request over a socket costs a server, in microseconds of its CPU time.

Requests per second depend on who else runs and on the client; the CPU time of all the server's
processes, divided by the requests they have answered meanwhile, hardly does. All servers run at
the same time and are loaded in turns, the order another one in each round.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .commands import LOADED, placed
from .load import CONNECTIONS, client, load
from .pairs import Absent, ratios, rounds, spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from .commands import Command
    from .plan import Plan
    from .processes import Server

WARM_UP = 0.2  # seconds
YARDSTICK = "hypercorn"


def cpus() -> tuple[int | None, int | None]:
    """Return a CPU for the server and another one for the load, if there are two."""
    mine = sorted(os.sched_getaffinity(0))
    return (mine[0], mine[1]) if len(mine) > 1 else (None, None)


def loaded(server: Server, seconds: float, path: str = "/bench") -> dict[str, float]:
    """Load a server once; return its CPU time for a request, and requests in a second."""
    before = server.cpu_ns()
    done = load(server.port, path, seconds, cpus()[1])
    spent = server.cpu_ns() - before
    if not done.requests:
        raise Absent("no request was answered")
    return {
        "us": spent / 1000 / done.requests,
        "a_second": done.requests / done.seconds,
        "busy": spent / 1e9 / done.seconds,
    }


def run(plan: Plan) -> dict[str, Any]:
    """Return each server's costs, and how many times hypercorn's they are."""
    commands = [one for one in LOADED if one.quick or plan.size.name == "full"]
    with ExitStack() as stack:
        measures: dict[str, Callable[[int], dict[str, float]]] = {}
        for command in commands:
            server = _started(plan, stack, command)
            if server is not None:
                loaded(server, WARM_UP)
                measures[command.name] = lambda _, server=server: loaded(  # type: ignore[misc]
                    server, plan.size.load
                )
        plan.say(f"servers: {plan.size.load_rounds} rounds of {len(measures)}, by {client()}")
        found = rounds(measures, plan.size.load_rounds, plan.skip)
    rows = {}
    for command in commands:
        if command.name in found:
            rows[command.name] = _row(command.title, found[command.name], found.get(YARDSTICK))
    figures = {f"server {name}": row["us"]["median"] for name, row in rows.items()}
    return {
        "rows": rows,
        "client": f"{client()}, {CONNECTIONS} connections",
        "figures": figures,
    }


def _started(plan: Plan, stack: ExitStack, command: Command) -> Server | None:
    try:
        place = stack.enter_context(placed(command, plan.pythons))
        return stack.enter_context(place.serving(cpus()[0]))
    except Absent as why:
        plan.skip(command.title, why)
        return None


def _row(
    title: str, replies: list[dict[str, float]], yardstick: list[dict[str, float]] | None
) -> dict[str, Any]:
    us = [one["us"] for one in replies]
    row: dict[str, Any] = {
        "title": title,
        "us": asdict(spread(us)),
        "a_second": asdict(spread([one["a_second"] for one in replies])),
    }
    if yardstick is not None:
        row["ratio"] = asdict(ratios(us, [one["us"] for one in yardstick]))
    return row
