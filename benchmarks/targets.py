"""The table of targets: what fps-lite means to reach, beside what a run has measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Target:
    """A bound for a figure of a run."""

    name: str
    figure: str
    bound: float
    at_least: bool = False
    unit: str = ""

    @property
    def wanted(self) -> str:
        """Return the bound in words."""
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}{self.unit}"

    def is_met(self, measured: float) -> bool:
        """Return whether a figure is within the bound."""
        return measured >= self.bound if self.at_least else measured <= self.bound

    def verdict(self, measured: float | None) -> str:
        """Return "met", or by how much it misses."""
        if measured is None:
            return "not measured"
        if self.is_met(measured):
            return "met"
        times = self.bound / measured if self.at_least else measured / self.bound
        return f"misses by {times - 1:.0%}" if times < 2 else f"misses by a factor of {times:,.1f}"


TARGETS = (
    Target("10,000 routes over 10, instructions", "composed instructions growth", 1.05),
    Target("10,000 routes over 10, time", "composed hits growth", 1.4),
    Target("request, 10 routes, x raw", "composed flat hits 10", 6.5),
    Target("request, 100 routes, x raw", "composed flat hits 100", 6.5),
    Target("request, 1,000 routes, x raw", "composed flat hits 1000", 6.5),
    Target("request, 10,000 routes, x raw", "composed flat hits 10000", 9.5),
    Target("router alone, 10 routes, x Starlette", "compiled/stock 10", 0.75),
    Target("router alone, 1,000 routes, times as fast", "stock/compiled 1000", 30, at_least=True),
    Target("each plugin a Mount, x flat (worst)", "composed mounted/flat", 1.1),
    Target("404, 10,000 routes, x raw", "composed flat misses 10000", 20),
    Target("404, 10,000 routes over 10", "composed misses growth", 1.25),
    Target("JSON response, x Starlette's", "JSON hello", 0.35),
    Target("building 10,000, router, x Starlette", "compiled build", 1.5),
    Target("conflicts of 10,000, x constructing them (worst)", "conflicts", 1.0),
    Target("memory a route, router", "compiled memory", 3.2, unit=" KB"),
    Target("memory a route, composed", "composed memory", 3.2, unit=" KB"),
    Target("start, 1 plugin, workers = 0, x FPS", "start in process 1", 0.55),
    Target("start, 100 plugins, workers = 0, x FPS", "start in process 100", 0.30),
    Target("configuration, 1,000 plugins, x TOML parse", "configuration", 1.25),
)
BESIDE = {
    "start, 1 plugin, by default, x FPS": "start default 1",
    "start, 100 plugins, by default, x FPS": "start default 100",
    "composing 10,000 with its checks, x Starlette": "composed build",
}
"""Printed beside them, without a bound."""


@dataclass(frozen=True)
class Line:
    """One line of the printed table."""

    name: str
    wanted: str
    measured: float | None
    verdict: str

    @property
    def number(self) -> str:
        """Return what was measured as text."""
        return "" if self.measured is None else f"{self.measured:.3g}"


def lines(figures: Mapping[str, float | None]) -> list[Line]:
    """Return the table for a run's figures; a part that was not run has none."""
    judged = [
        Line(one.name, one.wanted, figures.get(one.figure), one.verdict(figures.get(one.figure)))
        for one in TARGETS
    ]
    beside = [Line(name, "", figures.get(figure), "") for name, figure in BESIDE.items()]
    return [*judged, *beside]


def all_met(figures: Mapping[str, float | None]) -> bool:
    """Return whether every target that was measured is met; False if none was measured."""
    verdicts = {one.verdict(figures.get(one.figure)) for one in TARGETS}
    return verdicts - {"not measured"} == {"met"}


def table(found: list[Line]) -> str:
    """Return the table for a terminal."""
    widths = [max(len(getattr(one, key)) for one in found) for key in ("name", "wanted", "number")]
    return "\n".join(
        f"{one.name:{widths[0]}}  {one.wanted:{widths[1]}}  {one.number:>{widths[2]}}  "
        f"{one.verdict}".rstrip()
        for one in found
    )
