"""A run as one table, and as files."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from benchmarks.machine import sentence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .rows import Cell


def table(rows: Mapping[str, Mapping[str, Cell]]) -> str:
    """Return what is asked, and each server's answer; what is not as promised is marked."""
    names = [*next(iter(rows.values()))]
    lines = [f"| | {' | '.join(names)} |", f"|{'---|' * (len(names) + 1)}"]
    for title, cells in rows.items():
        lines.append(f"| {title} | {' | '.join(_text(cells[name]) for name in names)} |")
    return "\n".join(lines)


def _text(cell: Cell) -> str:
    return f"✗ {cell.text}" if cell.kept is False else cell.text


def write(
    result: Mapping[str, Any], rows: Mapping[str, Mapping[str, Cell]], directory: Path
) -> Path:
    """Write both files, and return the Markdown page."""
    directory.mkdir(parents=True, exist_ok=True)
    stem = f"{result['date']}-faults"
    found = {
        title: {name: asdict(cell) for name, cell in cells.items()} for title, cells in rows.items()
    }
    text = json.dumps({**result, "rows": found}, indent=1, ensure_ascii=False)
    (directory / f"{stem}.json").write_text(text + "\n", encoding="utf-8")
    page = directory / f"{stem}.md"
    page.write_text(_markdown(result, rows), encoding="utf-8")
    return page


def _markdown(result: Mapping[str, Any], rows: Mapping[str, Mapping[str, Cell]]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    return (
        f"# Reloads, kills and stops, {result['date']}\n\n"
        f"{sentence(result['machine'])}. A {result['size']} run. Two workers each; "
        f"✗: not as fps-lite promises.\n\n{table(rows)}\n\n{versions}\n"
    )
