"""`fps-lite plugins`: what is installed and what became of it; enable and disable."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fps_lite.errors import ConfigError, FPSError, refuse

from .declared import Group
from .output import print_json, print_problems, print_table
from .session import known_plugin

if TYPE_CHECKING:
    from fps_lite.config import Config
    from fps_lite.plugins import Loaded, Plugin

    from .session import Session

FILE = Path("fps.toml")
COLUMNS = ("name", "state", "distribution", "hooks", "reason")


@click.group("plugins", cls=Group, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """Show the installed plugins, or enable or disable one."""
    if ctx.invoked_subcommand is not None:
        return
    session: Session = ctx.obj
    loaded = session.loaded
    rows = [_row(plugin, loaded.config) for plugin in loaded.plugins.values()]
    if as_json:
        print_json(rows)
    else:
        print_table(COLUMNS, [_shown(row) for row in rows])
    ctx.exit(_report(loaded))


def _row(plugin: Plugin, config: Config) -> dict[str, Any]:
    found = plugin.found
    state = "disabled" if plugin.disabled else "failed" if plugin.failure else "enabled"
    return {
        "name": plugin.name,
        "state": state,
        "reason": _why_disabled(plugin, config) or plugin.failure,
        "distribution": found.distribution,
        "version": found.version,
        "source": [source.reference for source in found.sources],
        "hooks": sorted({hook.name for hook in plugin.hooks}),
    }


def _why_disabled(plugin: Plugin, config: Config) -> str:
    if not plugin.disabled:
        return ""
    return f"{plugin.disabled} ({config.where(*plugin.disabled_by)})"


def _shown(row: dict[str, Any]) -> list[str]:
    package = f"{row['distribution']} {row['version']}".strip() or ", ".join(row["source"])
    return [row["name"], row["state"], package, ", ".join(row["hooks"]), row["reason"]]


def _report(loaded: Loaded) -> int:
    """Print what else is wrong; a plugin that failed is in the table already."""
    failed = tuple(f"{one.found}: " for one in loaded.plugins.values() if one.failure)
    try:
        refuse(one for one in loaded.errors if not str(one).startswith(failed))
    except FPSError as error:
        print_problems(error.problems)
        return error.exit_code
    return 0


def _complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    session: Session = ctx.obj
    return [name for name in session.discovery.found if name.startswith(incomplete)]


@command.command("enable")
@click.argument("name", shell_complete=_complete)
@click.pass_obj
def enable(session: Session, name: str) -> None:
    """Enable a plugin in ./fps.toml, whose comments are kept."""
    _switch(session, name, on=True)


@command.command("disable")
@click.argument("name", shell_complete=_complete)
@click.pass_obj
def disable(session: Session, name: str) -> None:
    """Disable a plugin in ./fps.toml, whose comments are kept."""
    _switch(session, name, on=False)


def _switch(session: Session, written: str, *, on: bool) -> None:
    from .edit import switch_in_file  # noqa: PLC0415 - tomlkit is slow and only for edits

    verb = "enable" if on else "disable"
    name = known_plugin(written, session.config, session.discovery, f"plugins {verb}")
    switch_in_file(FILE, name, session.config, on=on)
    after = type(session)(session.invocation)
    plugin = after.load(()).plugins[name]
    if bool(plugin.disabled) == on:
        reason = _why_disabled(plugin, after.config) or "a higher layer enables it"
        message = f'plugins {verb}: {FILE} is written, and "{name}" is still not {verb}d: {reason}'
        raise ConfigError(message)
    click.echo(f'{FILE}: plugin "{name}" is {verb}d')
