"""A run as files: one JSON with everything, one Markdown page with its tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .machine import sentence
from .subjects import SUBJECTS
from .targets import Line, lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

TITLES = {one.name: one.title for one in SUBJECTS}
HOW_TO_READ = (
    "Medians over the rounds, quartiles in brackets. *x raw* is the multiple of a raw ASGI "
    "function's cost, measured within the same slice; µs are for scale alone."
)


def write(result: dict[str, Any], directory: Path) -> Path:
    """Write both files, and return the Markdown page."""
    directory.mkdir(parents=True, exist_ok=True)
    name = result["date"]
    text = json.dumps(result, indent=1, ensure_ascii=False)
    (directory / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    page = directory / f"{name}.md"
    page.write_text(markdown(result), encoding="utf-8")
    return page


def markdown(result: dict[str, Any]) -> str:
    """Return the page."""
    sections = [
        f"# Benchmarks, {result['date']}",
        f"{sentence(result['machine'])}. A {result['size']} run. {HOW_TO_READ}",
        *_targets(lines(result["figures"])),
    ]
    for name, section in SECTIONS.items():
        if result["parts"].get(name):
            sections += section(result["parts"][name])
    sections += _versions(result["versions"])
    if result["skipped"]:
        sections += ["## Left out", "\n".join(f"- {one}" for one in result["skipped"])]
    return "\n\n".join(sections) + "\n"


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lined = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(one)} |" for one in lined)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _spread(found: dict[str, float]) -> str:
    low, high = _number(found["low"]), _number(found["high"])
    return f"{_number(found['median'])} ({low} to {high})"


def _targets(found: list[Line]) -> Iterator[str]:
    yield "## Targets"
    yield _rows(
        ("what", "target", "measured", "verdict"),
        [(one.name, one.wanted, one.number, one.verdict) for one in found],
    )


def _routing(part: dict[str, Any]) -> Iterator[str]:
    yield "## Requests in process"
    if part["raw_us"]:
        yield f"The raw ASGI function takes {_spread(part['raw_us'])} µs a request."
    for curve in part["curves"].values():
        sizes = sorted({row["routes"] for row in curve["rows"]})
        yield f"## {curve['title']}"
        cells = {(row["subject"], row["routes"]): _curve_cell(row) for row in curve["rows"]}
        named = [name for name in TITLES if any(one == name for one, _ in cells)]
        yield _rows(
            ("x raw; µs", *(f"{size:,} routes" for size in sizes)),
            [(TITLES[name], *(cells.get((name, size), "") for size in sizes)) for name in named],
        )
    yield "## Until the first answer, and memory"
    yield _rows(
        ("app", "shape", "routes", "ms", "bytes a route"),
        [
            (
                TITLES[row["subject"]],
                row["shape"],
                f"{row['routes']:,}",
                _number(row["ms"]),
                _number(row["bytes_a_route"]),
            )
            for row in part["build"]
        ],
    )


def _curve_cell(row: dict[str, Any]) -> str:
    return f"{_spread(row['times_raw'])}; {_number(row['us']['median'])}"


def _building(part: dict[str, Any]) -> Iterator[str]:
    yield f"## Building {part['routes']:,} routes"
    yield _rows(
        ("app", "ms", "bytes a route"),
        [
            (TITLES[name], _number(row["ms"]), _number(row["bytes_a_route"]))
            for name, row in part["rows"].items()
        ],
    )


def _conflicts(part: dict[str, Any]) -> Iterator[str]:
    yield f"## Looking for conflicts among {part['routes']:,} routes"
    yield _rows(
        ("paths", "constructed, ms", "conflicts and overlaps, ms", "ratio"),
        [
            (shape, *(_spread(row[key]) for key in ("construct_ms", "analyse_ms", "ratio")))
            for shape, row in part["rows"].items()
        ],
    )


def _responses(part: dict[str, Any]) -> Iterator[str]:
    yield "## Making a JSON response"
    yield _rows(
        ("payload", "Starlette, µs", "fps-lite, µs", "ratio"),
        [
            (name, *(_spread(row[key]) for key in ("starlette_us", "fps_lite_us", "ratio")))
            for name, row in part["rows"].items()
        ],
    )


def _instructions(part: dict[str, Any]) -> Iterator[str]:
    sizes = sorted({int(size) for row in part["rows"].values() for size in row})
    yield "## Instructions of a request"
    yield _rows(
        ("app", *(f"{size:,} routes" for size in sizes)),
        [
            (TITLES[name], *(_number(row[str(size)]) if str(size) in row else "" for size in sizes))
            for name, row in part["rows"].items()
        ],
    )


def _servers(part: dict[str, Any]) -> Iterator[str]:
    yield "## A request over a socket"
    yield f"CPU time of all the server's processes for one request; load by {part['client']}."
    yield _rows(
        ("server", "CPU µs a request", "x hypercorn", "requests a second"),
        [
            (
                row["title"],
                _spread(row["us"]),
                _spread(row["ratio"]) if "ratio" in row else "",
                _number(row["a_second"]["median"]),
            )
            for row in part["rows"].values()
        ],
    )


def _startup(part: dict[str, Any]) -> Iterator[str]:
    yield "## From starting the process to the first 200"
    yield _rows(
        ("command", "plugins", "ms"),
        [(row["title"], str(row["plugins"] or ""), _spread(row["ms"])) for row in part["rows"]],
    )


def _configuration(part: dict[str, Any]) -> Iterator[str]:
    yield f"## Configuration of {part['tables']:,} plugins ({part['bytes'] / 1000:.0f} kB of TOML)"
    yield _rows(
        ("", "ms"),
        [
            ("tomllib", _spread(part["toml_ms"])),
            ("read, merged, decoded, with origins", _spread(part["all_ms"])),
            ("ratio", _spread(part["ratio"])),
        ],
    )


def _versions(found: dict[str, dict[str, str]]) -> Iterator[str]:
    yield "## Versions"
    yield "\n".join(
        f"- {name}: {', '.join(f'{one} {version}' for one, version in sorted(versions.items()))}"
        for name, versions in found.items()
        if name != "plots"
    )


SECTIONS = {
    "routing": _routing,
    "building": _building,
    "conflicts": _conflicts,
    "responses": _responses,
    "instructions": _instructions,
    "servers": _servers,
    "startup": _startup,
    "configuration": _configuration,
}
"""The parts of a run in the order of the page."""
