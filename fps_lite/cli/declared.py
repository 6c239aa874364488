"""What our commands are: plain click, drawn by rich-click when their help is asked for."""

from __future__ import annotations

import click


class Command(click.Command):
    """A command whose help is drawn."""

    def get_help(self, ctx: click.Context) -> str:
        """Return the help as it is shown."""
        from .drawing import draw_help  # noqa: PLC0415 - slow, and most runs show no help

        return draw_help(self, ctx)


class Group(Command, click.Group):
    """A group whose help is drawn, and that of its commands."""

    command_class = Command
