"""`fps-lite status`: what a running server does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from fps_lite.errors import StartupError

from .declared import Command
from .output import print_json, print_table
from .running import ask_server, of_a_server

if TYPE_CHECKING:
    from .session import Session

COLUMNS = ("worker", "generation", "state", "uptime", "requests")


@click.command("status", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
@of_a_server
@click.pass_obj
def command(session: Session, /, *, as_json: bool, **given: Any) -> None:
    """Show a running server: its generation, its workers, its last reload."""
    from fps_lite.supervisor import Question  # noqa: PLC0415 - not needed for --help

    status = ask_server(session, Question("status"), given).status
    if status is None:
        raise StartupError("the server did not say how it is")
    if as_json:
        print_json(msgspec.to_builtins(status))
        return
    click.echo(f"serving on {', '.join(status.urls)} (pid {status.pid})")
    click.echo(f"generation {status.generation}, up {_span(status.uptime)}")
    if status.reloaded is not None:
        click.echo(f"last reload {_span(status.reloaded)} ago: {status.reload}")
    click.echo()
    print_table(
        COLUMNS,
        [
            (str(one.pid), str(one.generation), one.state, _span(one.uptime), str(one.requests))
            for one in status.workers
        ],
    )


def _span(seconds: float) -> str:
    """Return `3d 4h`, `12m 5s`, `7s`: the two greatest units."""
    left = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number or (unit == "s" and not parts):
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2])
