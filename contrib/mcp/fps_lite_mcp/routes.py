"""One mount for each MCP server, and the page that lists them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.middleware import Middleware
from starlette.routing import Route

from fps_lite import hookimpl, mount
from fps_lite.mounting import closed

from .guard import HostGuard
from .hosts import hosts_of
from .page import Index
from .servers import imported

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from fps_lite import Context

    from .config import McpConfig
    from .hosts import Hosts
    from .servers import Server


@hookimpl
def routes(config: McpConfig, context: Context) -> list[BaseRoute]:
    """Mount each server; an installed plugin that serves nothing leaves its paths to others."""
    servers = [
        imported(name, one, partial(context.where, "servers", name))
        for name, one in config.servers.items()
    ]
    paths = config.paths
    hosts = hosts_of(context.settings, config.allowed_hosts)
    # Longest first, so that no server hides one below its path.
    ordered = sorted(servers, key=lambda one: -len(paths[one.name]))
    mounts: list[BaseRoute] = [_mounted(one, paths[one.name], hosts) for one in ordered]
    if not servers or config.index is None or config.index in paths.values():
        return mounts
    public = {name: config.prefix + path for name, path in paths.items()}
    check = [Middleware(HostGuard, hosts=hosts)]
    index = Route(config.index, Index(servers, public).answer, name="mcp", middleware=check)
    return [index, *mounts]


def _mounted(server: Server, path: str, hosts: Hosts) -> BaseRoute:
    """Return the server's mount; of one that cannot be had a closed one, which is told of."""
    if server.problem:
        route = closed(path, server.problem)
    else:
        route = mount(path, factory=partial(server.running, hosts))
    route.written, route.where = f"{server.config.app}, mcp.servers.{server.name}", server.where
    return route
