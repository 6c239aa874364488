"""What `serve` says and does when the server is ready."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

from .stdout import silence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fps_lite.settings import FPSConfig

LOGGER = logging.getLogger("fps_lite.server")


def print_warnings(lines: Iterable[str]) -> None:
    """Print what does not stand in the way of serving."""
    for line in lines:
        click.echo(f"warning: {line}", err=True)


def tell_ready(settings: FPSConfig, summary: str, urls: Sequence[str]) -> None:
    """Say where the server is, and open a browser there if that is wanted."""
    try:
        click.echo(f"serving on {', '.join(urls)} ({summary})")
    except BrokenPipeError:  # nobody reads it: no reason to serve nobody
        LOGGER.warning("cannot write to stdout: nobody reads it")
        silence()
    pages = [url for url in urls if url.startswith("http")]
    if settings.open_browser and pages:
        _open(pages[0] + settings.root_path)


def _open(page: str) -> None:
    import webbrowser  # noqa: PLC0415 - looks for browsers, which a server mostly needs none of
    from threading import Thread  # noqa: PLC0415

    # Some browsers keep the caller waiting until they are closed.
    Thread(target=webbrowser.open, args=(page,), daemon=True).start()
