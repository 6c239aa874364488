"""One mount for each directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from fps_lite import hookimpl

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from .config import StaticConfig


@hookimpl
def routes(config: StaticConfig) -> list[BaseRoute]:
    """Mount each directory; one that is missing is an error that names it."""
    files = {path: StaticFiles(directory=one) for path, one in config.directories.items()}
    sites = {path: StaticFiles(directory=one, html=True) for path, one in config.sites.items()}
    # Longest first, so that no directory hides one below its public path.
    mounts = sorted([*files.items(), *sites.items()], key=lambda mount: (-len(mount[0]), mount[0]))
    return [Mount(path, app) for path, app in mounts]
