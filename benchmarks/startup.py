"""How long it is from a server command to its first answer.

Wall time, from starting the process to the first 200. Every command is started once before, so
that all bytecode is there.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .commands import STARTED, Place, placed
from .pairs import Absent, ratios, rounds, spread

if TYPE_CHECKING:
    from .plan import Plan


def run(plan: Plan) -> dict[str, Any]:
    """Return each command's time, and fps-lite's over that of FPS."""
    with ExitStack() as stack:
        places: dict[tuple[str, int], Place] = {}
        titles: dict[str, str] = {}
        for command in STARTED:
            if command.quick or plan.size.name == "full":
                titles[command.name] = command.title
                for plugins in plan.size.plugins if command.plugins else (0,):
                    try:
                        place = stack.enter_context(placed(command, plan.pythons, plugins))
                        _start(place)
                    except Absent as why:
                        plan.skip(command.title, why)
                    else:
                        places[command.name, plugins] = place
        plan.say(f"start-up: {plan.size.starts} rounds of {len(places)}")
        measures = {key: lambda _, place=place: _start(place) for key, place in places.items()}
        found: dict[tuple[str, int], list[float]] = rounds(measures, plan.size.starts, plan.skip)
    figures = {
        f"start {name} {plugins}": ratios(seconds, found["fps", plugins]).median
        for (name, plugins), seconds in found.items()
        if name in {"default", "in process"} and ("fps", plugins) in found
    }
    return {
        "rows": [
            {
                "name": name,
                "title": titles[name],
                "plugins": plugins,
                "ms": asdict(spread([one * 1000 for one in seconds])),
            }
            for (name, plugins), seconds in found.items()
        ],
        "figures": figures,
    }


def _start(place: Place) -> float:
    with place.serving() as server:
        return server.started
