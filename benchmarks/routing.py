"""What a request costs in process, with how many routes, and what an unknown path costs.

Each figure is a multiple of a raw ASGI function's cost in the same slice. All subjects and all
numbers of routes take part in the same rounds, so that any two may be compared.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .pairs import Absent, Built, NotInstalled, build, ratios, requests_for, rounds, spread, worker
from .subjects import SUBJECTS, Subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from .plan import Plan

Key = tuple[str, str, str, int]
"""Subject, shape, traffic, number of routes."""
TRAFFIC = {"flat": ("hits", "misses"), "mounted": ("hits",), "jupyverse": ("hits",)}
CURVES = {
    "routes": ("flat", "hits", "A request, by number of routes"),
    "misses": ("flat", "misses", "An unknown path (404), by number of routes"),
    "mounts": ("mounted", "hits", "A request where each plugin is a `Mount`"),
    "jupyverse": ("jupyverse", "hits", "A request to Jupyverse's 72 routes of 13 plugins"),
}
"""The tables: name to shape, traffic and title."""


@dataclass(frozen=True)
class Slices:
    """One row's slices: nanoseconds of a request, and of the raw function's, round by round."""

    ns: list[float]
    raw: list[float]

    @property
    def times_raw(self) -> list[float]:
        """Return the multiples of the raw function."""
        return [one / raw for one, raw in zip(self.ns, self.raw, strict=True)]


@dataclass(frozen=True)
class Measurement:
    """All slices, and what building told."""

    slices: dict[Key, Slices]
    facts: dict[tuple[str, str, int], dict[str, Any]]

    def over(self, above: Key, below: Key) -> float | None:
        """Return the median of the ratio of two rows, each as a multiple of raw."""
        if above not in self.slices or below not in self.slices:
            return None
        return ratios(self.slices[above].times_raw, self.slices[below].times_raw).median

    def times_raw(self, key: Key) -> float | None:
        """Return the median multiple of raw."""
        return spread(self.slices[key].times_raw).median if key in self.slices else None


@dataclass(frozen=True)
class Row:
    """One row in one shape and size: a few workers with the same app, asked in turns.

    Where a process has its objects in memory is luck, and worth some percent.
    """

    copies: list[Built]
    requests: dict[str, int]

    def slice(self, traffic: str) -> Callable[[int], dict[str, float]]:
        """Return what measures it once in a round."""
        requests = self.requests[traffic]

        def once(number: int) -> dict[str, float]:
            worker = self.copies[number % len(self.copies)].worker
            return worker.ask("run", traffic=traffic, requests=requests, seed=number)

        return once


def measure(plan: Plan) -> Measurement:
    """Build everything, then measure everything in the same rounds."""
    with ExitStack() as stack:
        built = {
            (subject.name, shape, routes): row
            for shape in TRAFFIC
            for routes in ((72,) if shape == "jupyverse" else plan.size.routes)
            for subject in SUBJECTS
            if plan.takes(subject, shape, routes)
            and (row := _row(plan, stack, subject, shape, routes))
        }
        measures: dict[Key, Callable[[int], dict[str, float]]] = {
            (name, shape, traffic, routes): row.slice(traffic)
            for (name, shape, routes), row in built.items()
            for traffic in TRAFFIC[shape]
        }
        plan.say(f"routing: {plan.size.rounds} rounds of {len(measures)} slices")
        found = rounds(measures, plan.size.rounds, plan.skip)
    slices = {
        key: Slices([one["ns"] for one in replies], [one["raw_ns"] for one in replies])
        for key, replies in found.items()
    }
    return Measurement(slices, {key: row.copies[0].facts for key, row in built.items()})


def _row(plan: Plan, stack: ExitStack, subject: Subject, shape: str, routes: int) -> Row | None:
    python = plan.pythons.of(subject.environment)
    attempt = ExitStack()
    try:
        copies = [
            build(
                attempt.enter_context(worker(python, "benchmarks.workers.routing", subject.name)),
                subject,
                shape,
                routes,
            )
            for _ in range(plan.copies(subject, routes))
        ]
        seconds = plan.size.slice
        requests = {one: requests_for(copies[0], one, seconds) for one in TRAFFIC[shape]}
    except Absent as why:
        attempt.close()
        place = "" if isinstance(why, NotInstalled) else f", {shape}, {routes} routes"
        plan.skip(subject.title + place, why)
        return None
    stack.push(attempt.pop_all())
    return Row(copies, requests)


def run(plan: Plan) -> dict[str, Any]:
    """Return the tables, and the figures that targets are about."""
    found = measure(plan)
    curves = {
        name: {
            "title": title,
            "rows": [
                {
                    "subject": key[0],
                    "routes": key[3],
                    "us": asdict(spread([ns / 1000 for ns in slices.ns])),
                    "times_raw": asdict(spread(slices.times_raw)),
                }
                for key, slices in found.slices.items()
                if key[1:3] == (shape, traffic)
            ],
        }
        for name, (shape, traffic, title) in CURVES.items()
    }
    raw = [ns / 1000 for slices in found.slices.values() for ns in slices.raw]
    return {
        "curves": curves,
        "build": [
            {"subject": name, "shape": shape, "routes": routes, **_per_route(facts, routes)}
            for (name, shape, routes), facts in found.facts.items()
        ],
        "raw_us": asdict(spread(raw)) if raw else None,
        "figures": _figures(found, plan),
    }


def _per_route(facts: dict[str, Any], routes: int) -> dict[str, float]:
    return {"ms": facts["build_ns"] / 1e6, "bytes_a_route": facts["memory"] / routes}


def _figures(found: Measurement, plan: Plan) -> dict[str, float | None]:
    large = plan.largest
    named: dict[str, float | None] = {
        f"{name} {shape} {traffic} {routes}": found.times_raw((name, shape, traffic, routes))
        for name, shape, traffic, routes in found.slices
    }
    for name in ("compiled", "layered", "composed"):
        for traffic in ("hits", "misses"):
            few, many = ((name, "flat", traffic, routes) for routes in (10, large))
            named[f"{name} {traffic} growth"] = found.over(many, few)
        for routes in plan.size.routes:
            flat, mounted = ((name, shape, "hits", routes) for shape in ("flat", "mounted"))
            stock = ("stock", "flat", "hits", routes)
            named[f"{name} mounted/flat {routes}"] = found.over(mounted, flat)
            named[f"{name}/stock {routes}"] = found.over(flat, stock)
            named[f"stock/{name} {routes}"] = found.over(stock, flat)
        over = [named[f"{name} mounted/flat {routes}"] for routes in plan.size.routes]
        named[f"{name} mounted/flat"] = max((one for one in over if one), default=None)
    return named
