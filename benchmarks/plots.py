"""Draws a run's plots as SVG; runs in the environment `plots`, which has matplotlib.

One file for a light page and a dark one: no background, and greys and hues that are told from
both. A line is named where it ends, not in a legend.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

INK = "#7d8590"  # readable on white and on GitHub's dark grey
GRID = "#7d859040"
OURS = "#e8590c"
PEERS = {
    "stock": ("Starlette", "#1c7ed6"),
    "fastapi": ("FastAPI", "#0ca678"),
    "litestar": ("Litestar", "#ae3ec9"),
    "blacksheep": ("BlackSheep", "#b08400"),
    "falcon": ("Falcon", "#4c8c2b"),
    "sanic": ("Sanic", "#e64980"),
    "ffroute": ("Starlette + ffroute", "#7048e8"),
    "fps": ("FPS 0.0.21", "#868e96"),
}
OWN = {
    "composed": ("fps-lite", "-"),
    "layered": ("fps-lite + middleware", "--"),
}
STYLE = {
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "svg.fonttype": "path",
    "svg.hashsalt": "benchmarks",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
CURVES = {
    "routes": "A request in process",
    "misses": "An unknown path (404) in process",
    "mounts": "A request where each plugin is a Mount",
}
LABEL_GAP = 0.055  # of the axis, between the names of two lines


def figure(height: float) -> Figure:
    """Return an empty figure."""
    made = Figure(figsize=(7.2, height), layout="constrained")
    FigureCanvasSVG(made)
    return made


def save(made: Figure, file: Path) -> None:
    """Write it without a background and without a date."""
    made.savefig(file, format="svg", transparent=True, metadata={"Date": None})


def curve(rows: list[dict[str, Any]], title: str, file: Path) -> None:
    """Draw cost against the number of routes, both logarithmic."""
    made = figure(4.2)
    axes: Any = made.add_subplot()
    ends: list[tuple[float, float, str, str, bool]] = []
    for name, (label, colour, line) in _styles().items():
        points = sorted(
            (row["routes"], row["times_raw"]["median"]) for row in rows if row["subject"] == name
        )
        if points:
            ours = name in OWN
            routes, costs = zip(*points, strict=True)
            axes.plot(
                routes,
                costs,
                line,
                color=colour,
                linewidth=2.4 if ours else 1.5,
                marker="o",
                markersize=4.5 if ours else 3.2,
                zorder=3 if ours else 2,
            )
            ends.append((costs[-1], routes[-1], label, colour, ours))
    axes.set(xscale="log", yscale="log")
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.set_xlabel("routes")
    axes.set_ylabel("times the cost of a raw ASGI function")
    if math.log10(axes.get_ylim()[1] / axes.get_ylim()[0]) < 2:
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(color=GRID, linewidth=0.8)
    axes.tick_params(which="both", length=0)
    _name(axes, ends)
    save(made, file)


def _styles() -> dict[str, tuple[str, str, str]]:
    peers = {name: (label, colour, "-") for name, (label, colour) in PEERS.items()}
    return peers | {name: (label, OURS, line) for name, (label, line) in OWN.items()}


def _name(axes: Any, ends: list[tuple[float, float, str, str, bool]]) -> None:
    """Write each line's name beside its end, no two over each other."""
    low, high = (math.log10(one) for one in axes.get_ylim())
    right = max((end[1] for end in ends), default=1)
    ends.sort()
    wanted = [(math.log10(cost) - low) / (high - low) for cost, *_ in ends]
    places = _spread(wanted)
    for place, (cost, routes, label, colour, ours) in zip(places, ends, strict=True):
        short = routes < right  # its line ends before the others do
        axes.annotate(
            f"{label}  {_short(cost)}" + (f" at {routes:,.0f}" if short else ""),
            xy=(routes, cost),
            xytext=(1.03, place),
            textcoords="axes fraction",
            color=colour,
            fontweight="bold" if ours else "normal",
            fontsize=8.5,
            va="center",
            annotation_clip=False,
        )


def _short(cost: float) -> str:
    return f"{cost:,.0f}" if cost >= 100 else f"{cost:.3g}"


def _spread(wanted: list[float]) -> list[float]:
    """Move sorted places apart by the least that keeps a gap between them."""
    places = list(wanted)
    for _ in range(200):
        for lower in range(len(places) - 1):
            overlap = LABEL_GAP - (places[lower + 1] - places[lower])
            if overlap > 0:
                places[lower] -= overlap / 2
                places[lower + 1] += overlap / 2
    return places


def bars(rows: list[tuple[str, float, bool]], title: str, unit: str, file: Path) -> None:
    """Draw one bar for each row, the cheapest on top."""
    rows = sorted(rows, key=lambda row: -row[1])
    made = figure(0.9 + 0.34 * len(rows))
    axes: Any = made.add_subplot()
    labels, values, ours = zip(*rows, strict=True)
    colours = [OURS if one else "#4a90d9" for one in ours]
    drawn = axes.barh(range(len(rows)), values, color=colours, height=0.66)
    axes.bar_label(drawn, labels=[_short(one) for one in values], padding=4, color=INK, fontsize=9)
    axes.set_yticks(range(len(rows)), labels)
    for tick, own in zip(axes.get_yticklabels(), ours, strict=True):
        tick.set_fontweight("bold" if own else "normal")
    axes.set_title(f"{title}, {unit}", loc="left", fontsize=11, fontweight="bold")
    axes.spines[["bottom", "left"]].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xticks([])
    axes.margins(x=0.12)
    save(made, file)


def draw(parts: dict[str, Any], directory: Path) -> None:
    """Draw what the run has measured."""
    curves = parts.get("routing", {}).get("curves", {})
    for name, title in CURVES.items():
        if curves.get(name, {}).get("rows"):
            curve(curves[name]["rows"], title, directory / f"{name}.svg")
    if curves.get("jupyverse", {}).get("rows"):
        labels = {name: label for name, (label, *_) in _styles().items()}
        rows = [
            (labels[row["subject"]], row["times_raw"]["median"], row["subject"] in OWN)
            for row in curves["jupyverse"]["rows"]
            if row["subject"] in labels
        ]
        title = "Jupyverse's shape: 13 plugins, 72 routes"
        bars(rows, title, "x raw ASGI function", directory / "jupyverse.svg")
    if parts.get("servers", {}).get("rows"):
        rows = [
            (row["title"], row["us"]["median"], row["title"].startswith("fps-lite"))
            for row in parts["servers"]["rows"].values()
        ]
        title = "A request over a socket"
        bars(rows, title, "server CPU µs", directory / "servers.svg")
    if parts.get("startup", {}).get("rows"):
        rows = [
            (_start_label(row), row["ms"]["median"], row["title"].startswith("fps-lite"))
            for row in parts["startup"]["rows"]
        ]
        bars(rows, "From start to first answer", "ms", directory / "startup.svg")


def _start_label(row: dict[str, Any]) -> str:
    if not row["plugins"]:
        return str(row["title"])
    plural = "s" if row["plugins"] > 1 else ""
    return f"{row['title']}, {row['plugins']} plugin{plural}"


if __name__ == "__main__":
    mpl.rcParams.update(STYLE)
    results = Path(sys.argv[1])
    draw(json.loads(results.read_text(encoding="utf-8"))["parts"], results.parent)
