"""What plugins add to the command: `commands` and `cli_setup`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click
from msgspec import Struct, field

from fps_lite.errors import FPSError, PluginError, StartupError
from fps_lite.plugins import ask, reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fps_lite.contributions import Collected
    from fps_lite.plugins import Plugin

    from .session import Session


class Extensions(Struct, frozen=True):
    """The plugins' commands by name, and what is wrong with any of them."""

    commands: Mapping[str, click.Command] = field(default_factory=dict)
    clashes: Mapping[str, PluginError] = field(default_factory=dict)
    """Names that two plugins want: neither gets one."""
    errors: tuple[FPSError, ...] = ()


def extensions(session: Session, taken: Sequence[str]) -> Extensions:
    """Ask the plugins for their commands; those in `taken` are ours and stay so."""
    try:
        plugins = session.load(["commands"]).enabled if not session.config.errors else ()
    except FPSError as error:
        return Extensions(errors=(error,))
    found: dict[str, click.Command] = {}
    owners = dict.fromkeys(taken, "fps-lite")
    clashes: dict[str, PluginError] = {}
    errors: list[FPSError] = [*session.config.errors]
    for plugin in plugins:
        commands, problems = _commands(plugin)
        errors += [PluginError(f"{plugin.found}: {problem}") for problem in problems]
        for command in commands:
            name = command.name or ""
            if name in owners:
                what = f'command "{name}" is already taken by "{owners[name]}"'
                clashes[name] = PluginError(f"{plugin.found}: {what}")
            owners.setdefault(name, plugin.name)
            found[name] = command
    usable = {name: command for name, command in found.items() if name not in clashes}
    return Extensions(usable, clashes, (*errors, *clashes.values()))


def _commands(plugin: Plugin) -> tuple[list[click.Command], list[str]]:
    if plugin.failure:
        return [], [plugin.failure]
    found: list[click.Command] = []
    problems: list[str] = []
    for hook in plugin.implementations("commands"):
        answer, problem = ask(hook)
        if problem:
            problems.append(problem)
        elif isinstance(answer, list | tuple) and all(
            isinstance(one, click.Command) for one in answer
        ):
            found += answer
        elif answer is not None:
            problems.append(f'hook "commands" returned {answer!r}, not a list of click commands')
    return found, problems


@contextmanager
def cli_setups(collected: Collected) -> Iterator[None]:
    """Enter every plugin's `cli_setup` in order around serving, and leave in reverse.

    Each is left in peace: what failed elsewhere is not thrown into it.
    """
    with ExitStack() as stack:
        for contribution in collected.contributions:
            plugin = contribution.plugin
            for hook in plugin.implementations("cli_setup"):
                own = ExitStack()
                with _named(collected, plugin):
                    entered = hook(config=plugin.config, context=contribution.context)
                    if entered is not None:
                        own.enter_context(entered)
                stack.callback(_leave, own, collected, plugin)
        yield


def _leave(entered: ExitStack, collected: Collected, plugin: Plugin) -> None:
    with _named(collected, plugin):
        entered.close()


@contextmanager
def _named(collected: Collected, plugin: Plugin) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        what = f"{plugin.found}: cli_setup failed: {reason(error)}"
        raise StartupError(collected.masked(what)) from error
