"""A router that asks only the routes that can match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard, cast

from starlette._utils import get_route_path
from starlette.routing import BaseRoute, Match, Mount, Router

from .changes import Routes, Snapshot
from .entries import entry_of
from .index import Index, are_current
from .understood import is_understood

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from .entries import Entry
    from .index import Hit


ROUTED = ("http", "websocket")
"""The types of scope that routes are for."""


class Indexes(dict[str, Index]):
    """An index for each type of scope, made for the first of that type."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        super().__init__()
        self.entries = entries

    def __missing__(self, scope_type: str) -> Index:
        made = self[scope_type] = Index(scope_type, self.entries)
        return made

    def prepare(self) -> None:
        """Make those that are not there yet."""
        for scope_type in ROUTED:
            self[scope_type]


class RouteTable:
    """What is known of a list of routes, until it changes."""

    def __init__(self, routes: Sequence[BaseRoute], above: tuple[object, ...] = ()) -> None:
        def inner_of(mount: Mount) -> Nested | None:
            app = mount.app
            # A router that is mounted in itself has no end.
            is_endless = any(app is one for one in above)
            return Nested(mount, app, above) if is_only_routes(app) and not is_endless else None

        self.snapshot = Snapshot(routes)
        self.entries = [entry_of(route, inner_of) for route in self.snapshot.seen]
        self.indexes = Indexes(self.entries)

    def find(self, scope: Scope) -> Hit | None:
        """Return what certainly answers; None is for Starlette's own code to decide."""
        path = scope["path"]
        if scope.get("root_path"):
            path = get_route_path(scope)
            if len(path) == len(scope["path"]):
                # The root path is not in the path; in a mount, some of it may be by accident.
                return None
        index = self.indexes[scope["type"]]
        method = scope.get("method")
        entry = index.exact[method].get(path)
        if entry is not None and (not entry.mounts or are_current(entry.mounts)):
            return entry, {}, entry.prefix
        segments = path.split("/")
        if "\n" in path or segments.pop(0):
            # A regex's `$` matches before a last newline, too, and its `.` matches none.
            return None
        return index.find(segments, method)

    def candidates(self, scope: Scope) -> Sequence[Any]:
        """Return the routes that can match the path, or the one that it would redirect to."""
        path = get_route_path(scope)
        if "\n" in path:
            return self.snapshot.seen
        index = self.indexes[scope["type"]]
        found = index.candidates(path)
        if root := scope.get("root_path"):
            # Without its slashes at the end, the path may not begin with the root path any more.
            redirected = {"path": scope["path"].rstrip("/"), "root_path": root}
            found += index.candidates(get_route_path(redirected))
        if not found:
            return ()
        each = {entry.number: entry for entry in found if not entry.mounts}
        return [each[number].candidate for number in sorted(each)]


class Nested:
    """The router in a mount, entered as if its routes stood beside the mount.

    A mount ends the search, so what is in it answers or nothing does.
    """

    __slots__ = ("above", "entries", "mount", "router", "snapshot", "stack", "table")

    def __init__(self, mount: Mount, router: Router, above: tuple[object, ...]) -> None:
        self.mount = mount
        self.router = router
        self.stack = router.middleware_stack
        self.above = (*above, router)
        self.table = RouteTable(router.routes, self.above)
        self.snapshot = self.table.snapshot
        self.entries = self.table.entries

    def is_current(self) -> bool:
        """Tell whether the mount leads to the routes that it led to."""
        router = self.router
        return (
            self.mount.app is router
            and router.middleware_stack is self.stack
            and self.snapshot.is_current(router.routes)
        )

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match what the mount matches."""
        return self.mount.matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the mount does, in whose place this was tried."""
        scope["route"] = self.mount
        router = self.router
        if self.mount.app is not router or router.middleware_stack is not self.stack:
            await self.mount.handle(scope, receive, send)
            return
        if not self.table.snapshot.is_current(router.routes):
            self.table = RouteTable(router.routes, self.above)
        await _dispatch(router, self.table, scope, receive, send)


class Narrowed:
    """What Starlette's own code needs of a router, with few routes."""

    def __init__(self, router: Router, routes: Sequence[Any]) -> None:
        self.routes = routes
        self.redirect_slashes = router.redirect_slashes
        self.default: ASGIApp = router.default


async def _dispatch(
    router: Router, table: RouteTable, scope: Scope, receive: Receive, send: Send
) -> None:
    hit = table.find(scope)
    if hit is not None:
        enter(hit, scope)
        await hit[0].route.app(scope, receive, send)
        return
    routes = table.candidates(scope)
    if routes:
        await Router.app(cast("Router", Narrowed(router, routes)), scope, receive, send)
    else:
        await router.default(scope, receive, send)


def enter(hit: Hit, scope: Scope) -> None:
    """Put into `scope` what the route, and the mounts around it, would."""
    entry, params, prefix = hit
    route = entry.route
    scope["route"] = route
    scope["endpoint"] = route.app if entry.is_mount else route.endpoint
    if "path_params" in scope:
        params = {**scope["path_params"], **params}
    scope["path_params"] = params
    if prefix is not None:
        root = scope.get("root_path", "")
        scope.setdefault("app_root_path", root)
        scope["root_path"] = root + prefix


class CompiledRouter(Router):
    """Starlette's `Router`, with the same answers at a cost that its routes do not add to."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.routes = Routes(self.routes)
        self._table = RouteTable(())
        self._steps_aside = not is_understood()

    def table(self) -> RouteTable:
        """Return what is known of the routes; it is found out anew when they have changed."""
        snapshot = self._table.snapshot
        watched = snapshot.watched
        if watched is self.routes and watched.changes == snapshot.changes:
            return self._table
        if watched is not None or not snapshot.is_current(self.routes):
            self._table = RouteTable(self.routes, (self,))
        return self._table

    def prepare(self) -> None:
        """Make the index of all routes now, which the first request of each type would wait for.

        What a mount needs for its own 404 is made for the first.
        """
        if not self._steps_aside:
            self.table().indexes.prepare()

    def first(self, scope: Scope) -> BaseRoute | None:
        """Return the route of this list that answers, found by asking those that can match."""
        routes = self.routes if self._steps_aside else self.table().candidates(scope)
        for one in routes:
            if one.matches(scope)[0] is Match.FULL:
                return one.mount if isinstance(one, Nested) else one
        return None

    @property
    def is_only_routes(self) -> bool:
        """Tell whether nothing stands before the routes."""
        return is_only_routes(self)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as Starlette's router does."""
        if scope["type"] not in ROUTED or self._steps_aside:
            await super().app(scope, receive, send)
            return
        if "router" not in scope:
            scope["router"] = self
        await _dispatch(self, self.table(), scope, receive, send)


def is_only_routes(app: object) -> TypeGuard[Router]:
    """Tell whether `app` is a router with nothing before its routes."""
    if type(app) is not Router and type(app) is not CompiledRouter:
        return False
    stack: Any = app.middleware_stack
    kind: type[Router] = type(app)
    return getattr(stack, "__self__", None) is app and stack.__func__ is kind.app
