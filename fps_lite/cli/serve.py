"""`fps-lite serve`: compose and serve until told to stop."""

from __future__ import annotations

import pickle
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from fps_lite.settings import FPSConfig

from .activation import take_activation
from .announcing import print_warnings, tell_ready
from .check import checked, summary, warnings
from .declared import Command
from .garbage import kept
from .interruption import outlast_signals
from .named import named
from .running import pid_file

if TYPE_CHECKING:
    from fps_lite.contributions import Collected

    from .session import Session
    from .worker import Worker


# Values are text here: their types and bounds stand in the settings, with an origin in errors.
@click.command("serve", cls=Command)
@click.option("--host", metavar="HOST", help="Listen on this address.")
@click.option("--port", metavar="PORT", help="Listen on this port; 0 picks a free one.")
@click.option("--bind", multiple=True, metavar="ADDRESS", help="HOST:PORT, unix:PATH or fd://N.")
@click.option("--workers", metavar="N", help="Processes; 0 serves in this one.")
@click.option(
    "--reload",
    is_flag=True,
    default=None,
    help="Reload when a source, template or TOML changes.",
)
@click.option("--root-path", metavar="PATH", help="The path under which a proxy shows the server.")
@click.option("--open-browser/--no-open-browser", default=None, help="Open a browser when ready.")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning, error or critical.")
@click.option("--log-format", metavar="FORMAT", help="auto, console, logfmt or json.")
@click.argument("app", required=False, metavar="[MODULE:APP]")
@click.pass_obj
def command(session: Session, /, app: str | None, **given: Any) -> None:
    """Compose the plugins into one app and serve it until SIGTERM or SIGINT.

    An app named here is mounted at the root, after all plugins.
    """
    from fps_lite.logs import reopen  # noqa: PLC0415 - not needed for less

    session.take_named(named(given))
    session.root_app = app
    session.logs_to_file = True
    signal.signal(signal.SIGUSR1, lambda *_: reopen())
    take_activation(session)
    if session.worker is not None:
        session.turns = session.worker.turns
        _serve_for_parent(session, session.worker)
        return
    settings = _settings(session)
    if settings.workers:
        from .parent import supervise  # noqa: PLC0415 - not needed for less

        supervise(session, settings)
    else:
        _serve_here(session)


def _settings(session: Session) -> FPSConfig:
    """Return the core's settings; if there is any doubt about them, all that is wrong is said."""
    decoded = session.config.decode("fps", FPSConfig)
    settings = decoded.value
    if settings is None or decoded.errors or session.config.errors or settings.bind:
        return checked(session).loaded.settings
    return settings


def _serve_for_parent(session: Session, worker: Worker) -> None:
    with kept():
        from fps_lite.app import compose  # noqa: PLC0415 - imports Starlette
        from fps_lite.server import inherited, run  # noqa: PLC0415 - imports hypercorn
        from fps_lite.supervisor import Checked  # noqa: PLC0415 - not needed for less

        from .worker import digest_of, sources_of, terms_of  # noqa: PLC0415 - as above

        collected = checked(session)
    loaded = collected.loaded
    report = Checked(
        terms=terms_of(loaded),
        config=pickle.dumps(session.config),
        digest=digest_of(loaded),
        summary=summary(collected),
        warnings=_warnings(session, collected),
        sources=sources_of(loaded),
        has_setup=any(one.plugin.implementations("cli_setup") for one in collected.contributions),
    )
    if worker.may_serve(report):
        with inherited(loaded.settings, worker.job.sockets) as sockets:
            with kept():
                app = compose(collected)
            run(app, loaded.settings, sockets=sockets, ready=worker.ready, parent=worker)


def _serve_here(session: Session) -> None:
    with kept():
        from fps_lite.app import compose  # noqa: PLC0415 - imports Starlette
        from fps_lite.server import bind_sockets, run  # noqa: PLC0415 - imports hypercorn

        from .extensions import cli_setups  # noqa: PLC0415

        collected = checked(session)
    settings = collected.loaded.settings
    print_warnings(_warnings(session, collected))
    sockets = bind_sockets(settings)
    ready = partial(tell_ready, settings, summary(collected))
    try:
        with cli_setups(collected), pid_file(settings.pid_file):
            try:
                with kept():
                    composed = compose(collected)
                run(composed, settings, sockets=sockets, ready=ready)
            finally:
                outlast_signals()
    finally:
        sockets.close()


def _warnings(session: Session, collected: Collected) -> list[str]:
    return [*warnings(collected), *session.effects.lines]
