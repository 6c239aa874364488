"""What each route takes: its kind of request, its methods, the paths; and how that is said."""

from __future__ import annotations

import functools
import inspect
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.routing import BaseRoute, Host, Match, Mount, Route, WebSocketRoute

from fps_lite.mounting import ForeignMount
from fps_lite.mounting.slashes import IN_A_PATH
from fps_lite.paths import PrefixedRoute

from .patterns import Pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fps_lite.contributions import Collected

    from .patterns import Patterns

Methods = frozenset[str] | None
"""None is every method."""


@dataclass(frozen=True, eq=False)
class Claim:
    """What one route takes, all of it or all at one path."""

    owner: str
    route: BaseRoute
    kind: str
    """Of request: "http", "websocket", "" for both; "host" and "own" are apart from all."""
    methods: Methods
    pattern: Pattern

    def __str__(self) -> str:
        shown = (self.methods or frozenset()) - {"HEAD"} or self.methods or ()
        methods = "".join(f"{method} " for method in sorted(shown))
        return f'{methods}{path_of(self.route)} of "{self.owner}" ({self._described})'

    @cached_property
    def _described(self) -> str:
        return described(self.route)

    def takes(self, request: Request) -> bool | None:
        """Tell whether the route takes a request, by asking it.

        None is for a path that it matches, but a convertor of which raises.
        """
        try:
            return self.route.matches(request.scope)[0] is Match.FULL
        except Exception:  # noqa: BLE001 - convertors are of others
            return None


@dataclass(frozen=True)
class Request:
    """A request that shows what is wrong: it can be sent."""

    method: str
    """Or "websocket"."""
    path: str

    def __str__(self) -> str:
        return f"{self.method} {quote(self.path, IN_A_PATH, errors='replace')}"

    @property
    def scope(self) -> dict[str, object]:
        """Return what a route is asked with."""
        kind = "websocket" if self.method == "websocket" else "http"
        return {
            "type": kind,
            "method": self.method,
            "path": self.path,
            "raw_path": self.path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [],
        }


def common_methods(one: Methods, other: Methods) -> Methods:
    """Return the methods that are in both."""
    if one is None or other is None:
        return other if one is None else one
    return one & other


def methods_without(methods: Methods, taken: Methods) -> Methods:
    """Return the methods that are left; of every method some are left, whatever is taken."""
    if methods is None or taken is None:
        return methods if taken is not None else frozenset()
    return methods - taken


def ordered_routes(collected: Collected) -> list[tuple[str, BaseRoute]]:
    """Return all routes with their owners, in the order in which they are tried.

    A mount at the root takes everything, so it comes last of all.
    """
    owned = [(one.name, route) for one in collected.contributions for route in one.routes]
    return sorted(owned, key=lambda pair: is_root_mount(pair[1]))


def is_root_mount(route: BaseRoute) -> bool:
    """Tell whether `route` is a mount that takes every path."""
    return isinstance(route, Mount) and route.path == ""


def claims_of(routes: Iterable[tuple[str, BaseRoute]], patterns: Patterns) -> list[Claim]:
    """Return the claims of routes with their owners, in the order tried."""
    return [
        Claim(owner, route, kind, methods, pattern)
        for owner, route in routes
        for kind, methods, pattern in _claimed(route, patterns)
    ]


def _claimed(route: BaseRoute, patterns: Patterns) -> Iterator[tuple[str, Methods, Pattern]]:
    matches = type(route).matches
    if isinstance(route, Mount) and matches in (Mount.matches, ForeignMount.matches):
        bare = patterns.read(route.path, route.param_convertors)
        yield "", None, patterns.below(bare)
        if matches is ForeignMount.matches and route.path:
            yield "", None, bare
    elif isinstance(route, Route) and matches is Route.matches:
        methods = frozenset(route.methods) if route.methods else None
        yield "http", methods, patterns.read(route.path, route.param_convertors)
    elif isinstance(route, WebSocketRoute) and matches is WebSocketRoute.matches:
        yield "websocket", None, patterns.read(route.path, route.param_convertors)
    elif isinstance(route, Host):
        yield "host", None, Pattern((route.host.lower(),))
    elif isinstance(route, Mount | Route | WebSocketRoute):
        # With a `matches` of its own it takes what nobody knows; it may still have a name.
        yield "own", None, Pattern(())


def path_of(route: BaseRoute) -> str:
    """Return the path of a route as a person would write it."""
    if isinstance(route, Mount):
        return route.path + "/"
    if isinstance(route, Host):
        return f"//{route.host}/"
    return getattr(route, "path", "?")


def described(route: BaseRoute) -> str:
    """Return what answers a route, and where that is written."""
    route = route.route if isinstance(route, PrefixedRoute) else route
    target = getattr(route, "endpoint", None) or getattr(route, "_base_app", None)
    if isinstance(route, ForeignMount):
        if route.written:
            return route.written
        target = route.app.resident.app or route.app.resident.factory
    target = target or getattr(route, "app", None) or route
    while isinstance(target, functools.partial):
        target = target.func
    target = inspect.unwrap(target)
    subject = target if inspect.isroutine(target) or inspect.isclass(target) else type(target)
    try:
        file = inspect.getsourcefile(subject)
        line = inspect.getsourcelines(subject)[1]
    except (OSError, TypeError):
        return f"{subject.__module__}.{subject.__qualname__}"
    return f"{subject.__module__}.{subject.__qualname__}, {_short(file or '')}:{line}"


def _short(file: str) -> str:
    relative = os.path.relpath(file)
    return file if relative.startswith("..") else relative
