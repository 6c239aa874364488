"""Public paths: put a prefix before a route, always on a copy.

`/x` before `/a` is `/x/a`; before `/` it is `/x`, answered at `/x/` too.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeGuard

from starlette.routing import (
    BaseRoute,
    Host,
    Match,
    Mount,
    Route,
    Router,
    WebSocketRoute,
    compile_path,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.datastructures import URLPath
    from starlette.types import Receive, Scope, Send


class PrefixedRoute(BaseRoute):
    """A route of a kind of its own under a prefix: it sees the rest of the path, as in a mount.

    Not a mount of it, which would take all requests under the prefix, whatever the route takes.
    """

    only_under = ""
    """The path under which alone it can match: what the router asks of its kind."""

    def __init__(self, route: BaseRoute, prefix: str) -> None:
        self.path = prefix + getattr(route, "path", "/?")
        self.only_under = prefix
        self.route = route
        self.mount = Mount(prefix, routes=[route])

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match what the route matches of the rest of the path."""
        match, outer = self.mount.matches(scope)
        if match is Match.NONE:
            return match, outer
        match, inner = self.route.matches({**scope, **outer})
        return match, {**outer, **inner}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Return the route's own URL under the prefix."""
        return self.mount.url_path_for(name, **path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle the request as the route does."""
        await self.route.handle(scope, receive, send)


def prefixed(routes: Iterable[BaseRoute], prefix: str) -> list[BaseRoute]:
    """Return copies of `routes` under `prefix`; with an empty prefix, plain copies."""
    if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
        message = f'prefix {prefix!r}: expected "" or like "/x"'
        raise ValueError(message)
    return [copied for route in routes for copied in _under(route, prefix)]


def _under(route: BaseRoute, prefix: str) -> list[BaseRoute]:
    if isinstance(route, Route | WebSocketRoute):
        return _endpoint_under(route, prefix)
    if isinstance(route, Mount):
        return [_mount_under(route, prefix)]
    if not prefix:
        return [copy.copy(route)]
    if isinstance(route, Host):
        return [_host_under(route, prefix)]
    return [PrefixedRoute(route, prefix)]


def _endpoint_under(route: Route | WebSocketRoute, prefix: str) -> list[BaseRoute]:
    if prefix and route.path == "/":
        return [_at(route, prefix), _at(route, prefix + "/")]
    return [_at(route, prefix + route.path)]


def _at(route: Route | WebSocketRoute, path: str) -> BaseRoute:
    moved = copy.copy(route)
    moved.path = path
    if path != route.path:
        moved.path_regex, moved.path_format, moved.param_convertors = compile_path(path)
    return moved


def _mount_under(mount: Mount, prefix: str) -> Mount:
    moved = copy.copy(mount)
    moved.path = prefix + mount.path
    if prefix:
        compiled = compile_path(moved.path + "/{path:path}")
        moved.path_regex, moved.path_format, moved.param_convertors = compiled
    return moved


def _host_under(host: Host, prefix: str) -> Host:
    moved = copy.copy(host)
    if _is_plain(host.app):
        moved.app = Router(prefixed(host.app.routes, prefix), host.app.redirect_slashes)
    else:
        moved.app = Router([Mount(prefix, app=host.app)])
    return moved


def _is_plain(app: object) -> TypeGuard[Router]:
    """Tell whether `app` is nothing but its routes, so that they can be copied out of it."""
    return (
        type(app) is Router
        and app.middleware_stack == app.app
        and app.default == app.not_found
        and isinstance(app.lifespan_context, type(Router().lifespan_context))
    )
