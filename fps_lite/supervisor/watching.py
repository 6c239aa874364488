"""Changes of the files that a server is made of: sources, configuration, templates."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LOGGER = logging.getLogger("fps_lite.supervisor")
SUFFIXES = (".py", ".toml", ".html", ".htm", ".jinja", ".jinja2", ".j2", ".mako")


async def watch(directories: Iterable[str], changed: Callable[[], object]) -> None:
    """Call `changed` when one of these files changes below `directories`, until cancelled."""
    from watchfiles import Change, DefaultFilter, awatch  # noqa: PLC0415 - an optional dependency

    class Sources(DefaultFilter):
        def __call__(self, change: Change, path: str) -> bool:
            return path.endswith(SUFFIXES) and super().__call__(change, path)

    async for changes in awatch(*directories, watch_filter=Sources(), recursive=True):
        LOGGER.info("changed: %s", _named(changes))
        changed()


def _named(changes: set[tuple[Any, str]]) -> str:
    first, *others = sorted(path for _, path in changes)
    return f"{first} (and {len(others)} more)" if others else first
