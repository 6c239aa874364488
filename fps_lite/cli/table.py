"""The route table: every route with its owner and its full path, as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute, Host, Mount, Route, WebSocketRoute

from fps_lite.conflicts import described, ordered_routes
from fps_lite.paths import PrefixedRoute

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fps_lite.contributions import Collected


def route_table(collected: Collected) -> list[dict[str, Any]]:
    """Return one object for each route, grouped by plugin, in the order tried within it."""
    plugins = {one.name: one.plugin for one in collected.contributions}
    owned = ordered_routes(collected)
    position = {name: index for index, name in enumerate(plugins)}
    rows = []
    for name, route in sorted(owned, key=lambda pair: position[pair[0]]):
        found = plugins[name].found
        owner = {"plugin": name, "distribution": found.distribution, "version": found.version}
        rows += [{**owner, **row} for row in _rows(route, "", "")]
    return rows


def route_count(collected: Collected) -> int:
    """Return how many objects `route_table` has, without looking for where each is written."""
    return sum(_count(route) for one in collected.contributions for route in one.routes)


def _count(route: BaseRoute) -> int:
    inner = route.routes if isinstance(route, Mount | Host) else ()
    return sum(map(_count, inner)) or 1


def _rows(route: BaseRoute, above: str, names: str) -> Iterator[dict[str, Any]]:
    path = above + getattr(route, "path", "")
    name = getattr(route, "name", None) or ""
    row = {"methods": None, "path": path, "name": names + name, "endpoint": described(route)}
    if isinstance(route, Route):
        methods = sorted(route.methods) if route.methods else None
        yield {**row, "kind": "http", "methods": methods}
    elif isinstance(route, WebSocketRoute):
        yield {**row, "kind": "websocket"}
    elif isinstance(route, Mount | Host):
        yield from _container_rows(route, row, names + (f"{name}:" if name else ""))
    else:
        yield {**row, "kind": _own_kind(route), "path": path or "?"}


def _own_kind(route: BaseRoute) -> str:
    written = route.route if isinstance(route, PrefixedRoute) else route
    return type(written).__name__.lower()


def _container_rows(
    route: Mount | Host, row: dict[str, Any], names: str
) -> Iterator[dict[str, Any]]:
    if isinstance(route, Host):
        row = {**row, "path": f"//{route.host}"}
    inner: Iterable[BaseRoute] = route.routes or []
    if not inner:
        kind = "mount" if isinstance(route, Mount) else "host"
        yield {**row, "kind": kind, "path": row["path"] + "/"}
    for one in inner:
        yield from _rows(one, row["path"], names)
