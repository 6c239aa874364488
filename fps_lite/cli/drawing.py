"""Help and usage errors as rich-click draws them; imported when there is one to draw."""

from __future__ import annotations

import sys
from typing import Any

import click
from rich_click import (
    RichCommand,
    RichContext,
    RichGroup,
    RichHelpConfiguration,
    RichHelpFormatter,
)


def draw_help(command: click.Command, ctx: click.Context) -> str:
    """Return the help of a command."""
    drawn = RichContext(
        _twin(command, ctx),
        parent=ctx.parent,
        info_name=ctx.info_name,
        help_option_names=ctx.help_option_names,
    )
    return drawn.get_help()


def draw_error(error: click.ClickException) -> None:
    """Print a usage error."""
    formatter = _error_formatter()
    formatter.write_error(error)
    print(formatter.getvalue(), file=sys.stderr, end="")  # noqa: T201 - colours as rich decides


def draw_abort() -> None:
    """Print that the command was aborted."""
    formatter = _error_formatter()
    formatter.write_abort()
    print(formatter.getvalue(), file=sys.stderr, end="")  # noqa: T201 - as above


def _error_formatter() -> RichHelpFormatter:
    return RichHelpFormatter(config=RichHelpConfiguration.load_from_globals())


class _Group(RichGroup):
    """A group whose commands are shown as they are given."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(self.commands)


def _twin(command: click.Command, ctx: click.Context) -> RichCommand:
    """Return a command of rich-click that looks like `command`."""
    looks: dict[str, Any] = {
        "name": command.name,
        "params": command.params,
        "help": command.help,
        "epilog": command.epilog,
        "options_metavar": command.options_metavar,
    }
    if not isinstance(command, click.Group):
        return RichCommand(**looks)
    found = {name: command.get_command(ctx, name) for name in command.list_commands(ctx)}
    looks |= {"commands": found, "subcommand_metavar": command.subcommand_metavar}
    return _Group(**looks)
