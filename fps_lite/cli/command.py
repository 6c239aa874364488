"""The `fps-lite` command: its group, its exit codes."""

from __future__ import annotations

import copy
import logging
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from fps_lite import __version__
from fps_lite.errors import FPSError, StoppedError
from fps_lite.settings import FPSConfig

from .argv import shared_options, take_apart
from .declared import Group
from .ending import end, hold_signals_off
from .interruption import interruptible, outlast_signals
from .output import counted, print_problems
from .session import Session
from .stdout import Stdout

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .extensions import Extensions
    from .worker import Worker

KEY = "fps_lite.extensions"
REPORTED = "fps_lite.reported"
OWN = ("serve", "check", "routes", "plugins", "config", "request", "reload", "stop", "status")

EPILOG = (
    "Any key of the configuration is an option, too: --TABLE.KEY=VALUE, like --hello.greeting=hi."
)


def plugin_names(ctx: click.Context) -> Iterable[str]:
    """Return the names of the installed plugins, for completion."""
    session = ctx.find_object(Session)
    return session.discovery.found if session else ()


class Commands(Group):
    """The commands of fps-lite and, asked for only when needed, those of plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return our commands first, then those of plugins by name."""
        found = self._extensions(ctx)
        self._report(ctx, found)
        return [*OWN, *sorted(found.commands)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; plugins are loaded only for a name that is not ours."""
        if cmd_name in OWN:
            command: click.Command = import_module(f"fps_lite.cli.{cmd_name}").command
            return _with_shared(command)
        found = self._extensions(ctx)
        if cmd_name in found.clashes and not ctx.resilient_parsing:
            raise found.clashes[cmd_name]
        if cmd_name in found.commands:
            return _with_shared(found.commands[cmd_name])
        self._report(ctx, found)
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve a command; a misspelt one is answered with its right spelling."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches  # noqa: PLC0415 - only for mistakes

            close = get_close_matches(args[0], self.list_commands(ctx), 1)
            if not close or "mean" in error.message:
                raise
            message = f"{error.message} Did you mean '{close[0]}'?"
            raise click.UsageError(message, ctx) from None

    def invoke(self, ctx: click.Context) -> int:
        """Run a command; what a plugin's one returns is no exit code."""
        with interruptible():
            super().invoke(ctx)
        return 0

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Parse the command line; `--help` asks plugins, and may be interrupted."""
        with interruptible():
            return super().make_context(*args, **options)

    def _extensions(self, ctx: click.Context) -> Extensions:
        from .extensions import Extensions, extensions  # noqa: PLC0415 - only for names not ours

        session = ctx.find_object(Session)
        if KEY not in ctx.meta:
            ctx.meta[KEY] = extensions(session, OWN) if session else Extensions()
        found: Extensions = ctx.meta[KEY]
        return found

    def _report(self, ctx: click.Context, found: Extensions) -> None:
        if not ctx.resilient_parsing and not ctx.meta.get(REPORTED):
            print_problems([line for error in found.errors for line in error.problems])
            ctx.meta[REPORTED] = True


def _with_shared(command: click.Command) -> click.Command:
    """Return a copy of a command whose help and completion show the options of all."""
    shown = copy.copy(command)
    own = {flag for one in command.params for flag in one.opts}
    shown.params = [
        *command.params,
        *(o for o in shared_options(plugin_names) if o.opts[0] not in own),
    ]
    shown.epilog = command.epilog or EPILOG
    return shown


@click.group(
    cls=Commands,
    params=shared_options(plugin_names),
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="fps-lite", message="%(prog)s %(version)s")
def fps_lite() -> None:
    """Compose and run one web server out of plugins."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command and exit with the contract's code."""
    hold_signals_off()
    stdout = Stdout()
    try:
        code = run(list(sys.argv[1:] if argv is None else argv))
    except OSError:
        if stdout.failure is None:
            raise
        code = 1
    outlast_signals()
    code, lost = stdout.settle(code)
    if lost:
        click.echo(lost, err=True)
    end(code)


def run(argv: list[str]) -> int:
    """Run the command; return its exit code."""
    try:
        code = invoke(argv)
    except FPSError as error:
        print_problems(_unsaid(error))
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.message)
        return error.exit_code
    except click.ClickException as error:
        _print_usage_error(error)
        return error.exit_code
    except click.Abort:
        _print_abort()
        return 1
    except SystemExit as end:  # how click ends, having printed what there was to say
        return end.code if isinstance(end.code, int) else 0
    return code if isinstance(code, int) else 0


def invoke(argv: list[str], worker: Worker | None = None) -> object:
    """Run the command, raising its errors."""
    invocation = take_apart(argv)
    session = Session(invocation, worker)
    session.enter_directory()
    return fps_lite.main(list(invocation.rest), "fps-lite", standalone_mode=False, obj=session)


def _unsaid(error: FPSError) -> Sequence[str]:
    """Return what is wrong, but not once more what the log has said when it happened."""
    is_logged = logging.getLogger("fps_lite").isEnabledFor(logging.ERROR)
    if isinstance(error, StoppedError) and is_logged:
        return [f"stopped with {counted(len(error.problems), 'error')}, logged above"]
    return error.problems


def _print_abort() -> None:
    if sys.stderr.isatty():
        from .drawing import draw_abort  # noqa: PLC0415 - imports rich-click

        draw_abort()
    else:
        click.echo("Aborted!", err=True)


def _print_usage_error(error: click.ClickException) -> None:
    if sys.stderr.isatty():  # in a pipe it is one plain line
        from .drawing import draw_error  # noqa: PLC0415 - imports rich-click

        draw_error(error)
        return
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx else "fps-lite"
    said = error.format_message()
    end = "" if said.endswith((".", "?")) else "."
    click.echo(f"{path}: {said}{end}{_dotted_hint(error)} Try '{path} --help'.", err=True)


def _dotted_hint(error: click.ClickException) -> str:
    """Say how to set a key of `[fps]` where the option of that name is another command's."""
    option = error.option_name if isinstance(error, click.NoSuchOption) else ""
    key = option.lstrip("-").replace("-", "_")
    return f" Write --fps.{key}=…" if key in FPSConfig.__struct_fields__ else ""
