"""`fps-lite stop`: end a running server in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .declared import Command
from .running import ask_server, of_a_server

if TYPE_CHECKING:
    from .session import Session


@click.command("stop", cls=Command)
@of_a_server
@click.pass_obj
def command(session: Session, /, **given: Any) -> None:
    """Stop a running server: finish what runs, and return when it has ended."""
    from fps_lite.supervisor import Question  # noqa: PLC0415 - not needed for --help

    ask_server(session, Question("stop"), given)
