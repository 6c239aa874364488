"""`fps-lite routes`: who answers what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .check import checked
from .declared import Command
from .output import print_json, print_table

if TYPE_CHECKING:
    from .session import Session

COLUMNS = ("plugin", "methods", "path", "name", "endpoint", "distribution")


@click.command("routes", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
@click.pass_obj
def command(session: Session, *, as_json: bool) -> None:
    """Show the route table, grouped by plugin."""
    from .table import route_table  # noqa: PLC0415 - imports Starlette

    rows = route_table(checked(session))
    if as_json:
        print_json(rows)
        return
    shown = []
    for row in rows:
        methods = _methods(row["kind"], row["methods"])
        package = f"{row['distribution']} {row['version']}".strip()
        shown.append((row["plugin"], methods, row["path"], row["name"], row["endpoint"], package))
    print_table(COLUMNS, shown)


def _methods(kind: str, methods: list[str] | None) -> str:
    if kind != "http":
        return kind
    return " ".join(methods) if methods else "any"
