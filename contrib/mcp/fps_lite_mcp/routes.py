"""One mount for each MCP server, and the page that lists them."""

from __future__ import annotations

from functools import partial
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from fps_lite import PluginError, hookimpl, mount

from .page import Index
from .streams import UntilStopping

if TYPE_CHECKING:
    from mcp.server.transport_security import TransportSecuritySettings
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from fps_lite import Context

    from .config import McpConfig, ServerConfig


@hookimpl
def routes(config: McpConfig, context: Context) -> list[BaseRoute]:
    """Mount each server; its app is made anew at each start, as a session manager runs once."""
    if not config.servers:  # an installed plugin that serves nothing leaves its path to others
        return []
    from .hosts import security_of  # noqa: PLC0415 - the SDK takes longer than all the rest

    servers = {name: _imported(name, one) for name, one in config.servers.items()}
    security = security_of(context.settings, config.allowed_hosts)
    paths = config.paths
    public = {name: config.prefix + path for name, path in paths.items()}
    mounts: list[BaseRoute] = [
        mount(paths[name], factory=partial(_app, server, config.servers[name], security))
        for name, server in servers.items()
    ]
    if config.index is None or config.index in paths.values():
        return mounts
    return [Route(config.index, Index(servers, public).answer, name="mcp"), *mounts]


def _imported(name: str, config: ServerConfig) -> Any:
    where = f"mcp.servers.{name}.app"
    try:
        server = resolve_name(config.app)
    except ModuleNotFoundError as error:
        raise PluginError(f"{where}: cannot import {config.app}: {error}") from error
    except AttributeError as error:
        raise PluginError(f"{where}: cannot import {config.app}: {error}") from error
    if not hasattr(server, "streamable_http_app") and not callable(server):
        kind = type(server).__name__
        raise PluginError(f'{where}: {config.app} is a "{kind}", which is no MCP server')
    return server


def _app(server: Any, config: ServerConfig, security: TransportSecuritySettings, _: str) -> ASGIApp:
    if not hasattr(server, "streamable_http_app"):
        return UntilStopping(server)
    made = server.streamable_http_app(
        streamable_http_path="/", stateless_http=config.stateless, transport_security=security
    )
    return UntilStopping(made)
