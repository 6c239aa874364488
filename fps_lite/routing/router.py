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

    from .index import Hit


class RouteTable:
    """What is known of a list of routes, until it changes."""

    def __init__(self, routes: Sequence[BaseRoute], above: tuple[object, ...] = ()) -> None:
        def inner_of(mount: Mount) -> Nested | None:
            app = mount.app
            # A router that is mounted in itself has no end.
            is_endless = any(app is one for one in above)
            return Nested(mount, app, above) if is_only_routes(app) and not is_endless else None

        self.snapshot = Snapshot(routes)
        seen = self.snapshot.seen
        self.entries = [entry_of(number, route, inner_of) for number, route in enumerate(seen)]
        self.indexes: dict[str, Index] = {}

    def index(self, scope_type: str) -> Index:
        """Return the index for a type of scope; it is made for the first of that type."""
        made = self.indexes[scope_type] = Index(scope_type, self.entries)
        return made

    def find(self, scope: Scope) -> Hit | None:
        """Return what certainly answers; None is for Starlette's own code to decide."""
        path = scope["path"]
        if scope.get("root_path"):
            path = get_route_path(scope)
            if len(path) == len(scope["path"]):
                # The root path is not in the path; in a mount, some of it may be by accident.
                return None
        scope_type = scope["type"]
        index = self.indexes.get(scope_type) or self.index(scope_type)
        method = scope.get("method")
        entry = index.exact.get(method, index.exact_other).get(path)
        if entry is not None and (not entry.mounts or are_current(entry.mounts)):
            return entry, {}, entry.prefix
        segments = path.split("/")
        if "\n" in path or segments.pop(0):
            # A regex's `$` matches before a last newline, too, and its `.` matches none.
            return None
        try:
            return index.find(segments, method)
        except Exception:  # noqa: BLE001 - a convertor's; Starlette's own code raises it again
            return None

    def candidates(self, scope: Scope, *, redirect_slashes: bool) -> Sequence[Any]:
        """Return the routes that can match the path, or the one that it would redirect to."""
        path = get_route_path(scope)
        if "\n" in path:
            return self.snapshot.seen
        index = self.indexes.get(scope["type"]) or self.index(scope["type"])
        found = index.candidates(path)
        if redirect_slashes and path != "/":
            whole = scope["path"]
            other = whole.rstrip("/") if path.endswith("/") else whole + "/"
            redirected = get_route_path({**scope, "path": other})
            both = {one.order: one for one in (*found, *index.candidates(redirected))}
            found = [both[order] for order in sorted(both)]
        return [one.candidate for one in found]


class Nested:
    """The router in a mount, entered as if its routes stood beside the mount.

    A mount ends the search, so what is in it answers or nothing does.
    """

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
        await enter(hit, scope)(scope, receive, send)
        return
    routes = table.candidates(scope, redirect_slashes=router.redirect_slashes)
    await Router.app(cast("Router", Narrowed(router, routes)), scope, receive, send)


def enter(hit: Hit, scope: Scope) -> ASGIApp:
    """Put into `scope` what the route, and the mounts around it, would; return its app."""
    entry, params, prefix = hit
    route = scope["route"] = entry.route
    app: ASGIApp = route.app
    if "path_params" in scope:
        params = {**scope["path_params"], **params}
    scope["path_params"] = params or {}  # that of a path without any is not to be shared
    if prefix is not None:
        root = scope.get("root_path", "")
        scope.setdefault("app_root_path", root)
        scope["root_path"] = root + prefix
    scope["endpoint"] = app if entry.is_mount else route.endpoint
    return app


class CompiledRouter(Router):
    """Starlette's `Router`, with the same answers at a cost that its routes do not add to."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.routes = Routes(self.routes)
        self._table: RouteTable | None = None
        self._steps_aside = not is_understood()

    def table(self) -> RouteTable:
        """Return what is known of the routes; it is found out anew when they have changed."""
        table = self._table
        if table is not None and table.snapshot.is_current(self.routes):
            return table
        table = self._table = RouteTable(self.routes, (self,))
        return table

    @property
    def is_only_routes(self) -> bool:
        """Tell whether nothing stands before the routes."""
        return is_only_routes(self)

    def find(self, scope: Scope) -> Hit | None:
        """Return what certainly answers; the request is left as it is."""
        return None if self._steps_aside else self.table().find(scope)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as Starlette's router does."""
        if scope["type"] not in ("http", "websocket") or self._steps_aside:
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
