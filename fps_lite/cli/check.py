"""`fps-lite check`: everything that serving checks, without serving."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fps_lite.errors import ConfigError, refuse

from .declared import Command
from .output import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fps_lite.config import Config
    from fps_lite.contributions import Collected

    from .session import Session


@click.command("check", cls=Command)
@click.pass_obj
def command(session: Session) -> None:
    """Check configuration, plugins, conflicts and certificates; serve nothing.

    A request that two plugins want is a warning if only a part of a route is lost.
    Exits 0, 3 for invalid configuration, or 4 for plugins that cannot be used, with all
    problems at once.
    """
    from fps_lite.conflicts import find_overlaps  # noqa: PLC0415 - imports Starlette

    collected = checked(session)
    overlaps = map(collected.masked, find_overlaps(collected))
    for line in (*warnings(collected), *overlaps, *session.effects.lines):
        click.echo(f"warning: {line}", err=True)
    click.echo(f"ok: {summary(collected)}")


def checked(session: Session) -> Collected:
    """Return what the plugins contribute, or raise every problem there is."""
    from fps_lite.app import problems  # noqa: PLC0415 - imports Starlette
    from fps_lite.server import check_certificates  # noqa: PLC0415 - imports hypercorn

    collected = session.collected
    files = check_certificates(collected.loaded.settings)
    refuse([*problems(collected), *_placed(files, collected.loaded.config)])
    return collected


def _placed(errors: Iterable[ConfigError], config: Config) -> Iterator[ConfigError]:
    """Put its place before each problem: the server knows keys, not where they are written."""
    for error in errors:
        for line in error.problems:
            key = line.partition(":")[0]
            yield ConfigError(f"{config.where(*key.split('.'))}: {line}")


def warnings(collected: Collected) -> list[str]:
    """Return what does not stand in the way: failures of a plugin's own, apps never reached."""
    from fps_lite.composition import closed_mounts, hidden_mounts  # noqa: PLC0415 - Starlette

    left_out = [
        collected.masked(f"{one.plugin.found} is left out: {one.plugin.failure}")
        for one in collected.contributions
        if one.plugin.failure
    ]
    return [*left_out, *closed_mounts(collected), *hidden_mounts(collected)]


def summary(collected: Collected) -> str:
    """Return `3 plugins, 12 routes`."""
    from .table import route_count  # noqa: PLC0415 - imports Starlette

    running = [one for one in collected.loaded.enabled if not one.failure]
    plugins = counted(len(running), "plugin")
    return f"{plugins}, {counted(route_count(collected), 'route')}"
