"""`fps-lite reload`: let a running server take new configuration and code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fps_lite.errors import refuse

from .declared import Command
from .running import ask_server, of_a_server

if TYPE_CHECKING:
    from .session import Session


@click.command("reload", cls=Command)
@click.option("--force", is_flag=True, help="Reload even if nothing has changed.")
@of_a_server
@click.pass_obj
def command(session: Session, /, *, force: bool, **given: Any) -> None:
    """Reload a running server: new configuration, new code, no request lost.

    A server whose reload is refused goes on as before, and this command exits as `check` would.
    """
    from fps_lite.supervisor import Question, refused  # noqa: PLC0415 - not needed for --help

    answer = ask_server(session, Question("reload", force), given)
    refuse(error for error in [refused(answer)] if error)
    click.echo(answer.said)
