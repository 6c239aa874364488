"""`fps-lite config`: the effective configuration, its origins, its schema, a starter file."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from fps_lite.config import schema
from fps_lite.config.wording import dotted
from fps_lite.errors import FPSError, PluginError, refuse
from fps_lite.settings import Selection

from .declared import Group
from .output import as_toml, print_json, print_problems
from .session import CONFIG_HOOKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fps_lite.plugins import Loaded

    from .leaves import Leaf
    from .session import Session


@click.group("config", cls=Group, invoke_without_command=True)
@click.option("--origin", is_flag=True, help="Say where each value came from.")
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
@click.pass_context
def command(ctx: click.Context, *, origin: bool, as_json: bool) -> None:
    """Show the effective configuration: every layer merged, secrets masked."""
    if ctx.invoked_subcommand is not None:
        return
    from .leaves import effective_leaves  # noqa: PLC0415

    loaded = ctx.obj.load(CONFIG_HOOKS)
    leaves = list(effective_leaves(loaded))
    if as_json:
        print_json(_object(leaves, origin=origin))
    else:
        click.echo("\n".join(_lines(leaves, origin=origin)))
    ctx.exit(_report(loaded))


def _report(loaded: Loaded, kind: type[FPSError] = FPSError) -> int:
    """Print what is wrong; what could be decoded is shown all the same."""
    try:
        refuse(error for error in loaded.errors if isinstance(error, kind))
    except FPSError as error:
        print_problems(error.problems)
        return error.exit_code
    return 0


def _object(leaves: Iterable[Leaf], *, origin: bool) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for leaf in leaves:
        table = tree
        for key in leaf.path[:-1]:
            table = table.setdefault(key, {})
        overrides = [{"value": value, "origin": where} for where, value in leaf.overrides]
        whole = {"value": leaf.value, "origin": leaf.origin, "overrides": overrides}
        table[leaf.path[-1]] = whole if origin else leaf.value
    return tree


def _lines(leaves: Iterable[Leaf], *, origin: bool) -> Iterator[str]:
    ordered = sorted(leaves, key=lambda leaf: leaf.path[:-1])
    for number, (table, group) in enumerate(groupby(ordered, key=lambda leaf: leaf.path[:-1])):
        if number:
            yield ""
        yield f"[{dotted(table)}]"
        for leaf in group:
            yield _line(leaf) + (f"  # {_origin(leaf)}" if origin else "")


def _line(leaf: Leaf) -> str:
    key = dotted(leaf.path[-1:])
    return f"# {key} is not set" if leaf.value is None else f"{key} = {as_toml(leaf.value)}"


def _origin(leaf: Leaf) -> str:
    overrides = [f"{_brief(value)} ({where})" for where, value in leaf.overrides]
    return ", overrides ".join([leaf.origin, *overrides])


def _brief(value: Any) -> str:
    return "nothing" if value is None else as_toml(value)


@command.command("schema")
@click.pass_context
def print_schema(ctx: click.Context) -> None:
    """Print one JSON Schema for `[fps]` and the tables of the installed plugins."""
    from .leaves import readable  # noqa: PLC0415

    loaded = _installed(ctx.obj)
    print_json(schema(readable(loaded)))
    ctx.exit(_report(loaded, PluginError))


@command.command("init")
@click.pass_context
def print_starter(ctx: click.Context) -> None:
    """Print a commented starter file for the installed plugins."""
    from .leaves import models  # noqa: PLC0415
    from .starter import starter  # noqa: PLC0415

    loaded = _installed(ctx.obj)
    click.echo(starter(models(loaded)), nl=False)
    ctx.exit(_report(loaded, PluginError))


def _installed(session: Session) -> Loaded:
    """Load what declares tables; which plugins these are must be readable, and no more."""
    selection = session.config.decode("fps", Selection, only_known=True)
    refuse([*session.config.errors, *selection.errors])
    return session.load(CONFIG_HOOKS)
