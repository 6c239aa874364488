"""Refuse two owners of one thing: request, exception, route name; and tell where they overlap.

Routes are tried in order and the first that matches answers, so what counts is what an earlier
route of another plugin takes away from a later one.

- **Refused** is what is written for the same requests, and what is never reached.
- **Told** is where a route loses a part: `/x/{id:int}` before `/x/{name}` takes the digits.
- Both are shown by a request that can be sent, found from the paths alone: they are compared as
  sets of texts, as regular expressions are (`automata`), and so neither by examples nor by what
  a convertor is called. Then the routes themselves are asked whether it is so.
- A route whose class has a `matches` of its own takes what nobody knows, and is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fps_lite.errors import PluginError

from .claims import claims_of, described, is_root_mount, ordered_routes, path_of
from .names import handler_conflicts, name_conflicts
from .paths import Analysis
from .patterns import Patterns

if TYPE_CHECKING:
    from fps_lite.contributions import Collected

__all__ = [
    "described",
    "find_conflicts",
    "find_overlaps",
    "is_root_mount",
    "ordered_routes",
    "path_of",
]


def find_conflicts(collected: Collected) -> tuple[PluginError, ...]:
    """Return every conflict between two plugins, each as one line."""
    analysis = _analysis(collected)
    paths = map(str, analysis.conflicts())
    lines = [*paths, *name_conflicts(analysis.claims), *handler_conflicts(collected)]
    return tuple(map(PluginError, lines))


def find_overlaps(collected: Collected) -> list[str]:
    """Return where a route loses some of its requests to another plugin, each as one line."""
    return list(map(str, _analysis(collected).overlaps()))


def _analysis(collected: Collected) -> Analysis:
    routes, patterns = ordered_routes(collected), Patterns()
    claims = claims_of(routes, patterns)
    return Analysis([route for _, route in routes], claims, patterns)
