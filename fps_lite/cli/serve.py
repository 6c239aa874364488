"""`fps-lite serve`: compose and serve until told to stop."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import click

from .check import checked, summary, warnings
from .declared import Command
from .garbage import kept
from .interruption import outlast_signals
from .stdout import silence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fps_lite.contributions import Collected

    from .session import Session

LOGGER = logging.getLogger("fps_lite.server")
KEYS = {
    "host": "fps.host",
    "port": "fps.port",
    "bind": "fps.bind",
    "workers": "fps.workers",
    "reload": "fps.reload",
    "root_path": "fps.root_path",
    "open_browser": "fps.open_browser",
    "log_level": "fps.logging.level",
    "log_format": "fps.logging.format",
}


# Values are text here: their types and bounds stand in the settings, with an origin in errors.
@click.command("serve", cls=Command)
@click.option("--host", metavar="HOST", help="Listen on this address.")
@click.option("--port", metavar="PORT", help="Listen on this port; 0 picks a free one.")
@click.option("--bind", multiple=True, metavar="ADDRESS", help="HOST:PORT, unix:PATH or fd://N.")
@click.option("--workers", metavar="N", help="Only 0 works yet: serve in this process.")
@click.option("--reload", is_flag=True, default=None, help="Not supported yet.")
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
    session.take_named(_named(given))
    session.root_app = app
    with kept():
        from fps_lite.app import compose  # noqa: PLC0415 - imports Starlette
        from fps_lite.server import bind_sockets, run  # noqa: PLC0415 - imports hypercorn

        from .extensions import cli_setups  # noqa: PLC0415

        collected = checked(session)
    settings = collected.loaded.settings
    for line in (*warnings(collected), *session.effects.lines):
        click.echo(f"warning: {line}", err=True)
    sockets = bind_sockets(settings)
    try:
        with cli_setups(collected):
            try:
                with kept():
                    composed = compose(collected)
                run(composed, settings, sockets=sockets, ready=_ready(collected))
            finally:
                outlast_signals()
    finally:
        sockets.close()


def _named(given: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the options that were given: flag to key and text."""
    named = {}
    for option, value in given.items():
        if value is None or value == ():
            continue
        flag = "--" + option.replace("_", "-")
        if option == "open_browser" and not value:
            flag = "--no-open-browser"
        named[flag] = (KEYS[option], _text(value))
    return named


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return json.dumps(value)  # a JSON list of strings is a TOML array
    return str(value).lower() if isinstance(value, bool) else value


def _ready(collected: Collected) -> Any:
    def ready(urls: Sequence[str]) -> None:
        try:
            click.echo(f"serving on {', '.join(urls)} ({summary(collected)})")
        except BrokenPipeError:  # nobody reads it: no reason to serve nobody
            LOGGER.warning("cannot write to stdout: nobody reads it")
            silence()
        pages = [url for url in urls if url.startswith("http")]
        if collected.loaded.settings.open_browser and pages:
            _open(pages[0] + collected.loaded.settings.root_path)

    return ready


def _open(page: str) -> None:
    import webbrowser  # noqa: PLC0415 - looks for browsers, which a server mostly needs none of
    from threading import Thread  # noqa: PLC0415

    # Some browsers keep the caller waiting until they are closed.
    Thread(target=webbrowser.open, args=(page,), daemon=True).start()
