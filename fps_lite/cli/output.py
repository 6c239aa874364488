"""How results look: a table on a terminal, plain aligned columns in a pipe, or JSON."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def print_json(value: Any) -> None:
    """Print `value` as JSON, alone on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def as_toml(value: Any) -> str:
    """Return a value as TOML writes it, on one line; TOML has no null, so those are left out."""
    text: str = _item(value).as_string()
    return text


def _item(value: Any) -> Any:
    import tomlkit  # noqa: PLC0415 - slow to import

    if isinstance(value, dict):
        table = tomlkit.inline_table()
        table.update({key: _item(one) for key, one in value.items() if one is not None})
        return table
    if isinstance(value, list):
        array = tomlkit.array()
        array.extend(_item(one) for one in value if one is not None)
        return array
    return tomlkit.item(value)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under `columns`; a cell is never cut off."""
    listed = [[str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(columns, listed)
        return
    widths = [max(map(len, column)) for column in zip(columns, *listed, strict=True)]
    for row in [columns, *listed]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _print_rich(columns: Sequence[str], rows: list[list[str]]) -> None:
    from rich import box  # noqa: PLC0415 - rich is slow to import and only for people
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def print_problems(problems: Sequence[str]) -> None:
    """Print each problem as one line on stderr, and how many there are if several."""
    for problem in problems:
        click.echo(problem, err=True)
    if len(problems) > 1:
        click.echo(f"{len(problems)} problems", err=True)


def counted(number: int, noun: str) -> str:
    """Return `3 plugins`, or `1 plugin`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
