"""Times the search for conflicts and overlaps beside the construction of the routes.

Both in one process, one right after the other. What `re` remembers is forgotten before: other
routes would have other paths.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from benchmarks import shapes
from benchmarks.subjects.composed import Plugin
from benchmarks.subjects.starlette_routes import Prepared, endpoints, route
from fps_lite.config import from_mapping
from fps_lite.conflicts import find_conflicts, find_overlaps
from fps_lite.contributions import collect
from fps_lite.plugins import from_objects, load

from .lines import answer_lines

BEFORE = {"flat": "", "parameter first": "/{tenant}"}
"""What is put before each path: with a parameter there, no first segment tells routes apart."""


def run(shape: str, routes: int) -> dict[str, Any]:
    """Time each once."""
    prepared: dict[str, Prepared] = {}
    for spec, handler in endpoints(shapes.flat(routes)):
        prepared.setdefault(f"plugin{spec.plugin:05d}", []).append((spec, handler))
    re.purge()
    before = time.process_time_ns()
    made = {
        name: [route(spec, handler, BEFORE[shape] + spec.prefix) for spec, handler in own]
        for name, own in prepared.items()
    }
    constructed = time.process_time_ns() - before
    plugins = {name: Plugin(own) for name, own in made.items()}
    collected = collect(load(from_mapping({}, directory=Path.cwd()), from_objects(plugins)))
    before = time.process_time_ns()
    found = [*find_conflicts(collected), *find_overlaps(collected)]
    elapsed = time.process_time_ns() - before
    if found:
        return {"failed": f"{len(found)} conflicts among routes without any"}
    return {"construct_ns": constructed, "analyse_ns": elapsed}


if __name__ == "__main__":
    answer_lines({"run": run})
