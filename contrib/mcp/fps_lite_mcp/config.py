"""What `[mcp]` may hold."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from fps_lite import PluginConfig, hookimpl

Name = Annotated[str, Meta(pattern=r"^[\w.-]+$", description="letters, digits, - and .")]
PublicPath = Annotated[str, Meta(pattern=r"^(/[^/{}\s]+)+$", description='like "/weather"')]
Reference = Annotated[str, Meta(pattern=r"^[\w.]+:[\w.]+$", description='"module:server"')]


class ServerConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of `[mcp.servers.NAME]`."""

    app: Reference
    """`module:server`: an MCPServer, or an ASGI app of any other library that speaks MCP."""
    path: PublicPath | None = None
    """Where clients find it; `/mcp/NAME` if it is not given."""
    stateless: bool = False
    """Keep no session between two requests."""


class McpConfig(PluginConfig, frozen=True, kw_only=True):
    """The table `[mcp]`."""

    servers: dict[Name, ServerConfig] = field(default_factory=dict)
    index: PublicPath | None = "/mcp"
    """The page that lists the servers; it gives way to a server at its path."""
    allowed_hosts: list[str] = field(default_factory=list)
    """Public host names of the server, besides those that it listens on."""

    @property
    def paths(self) -> dict[str, str]:
        """Return the path of each server by its name."""
        return {name: one.path or f"/mcp/{name}" for name, one in self.servers.items()}


@hookimpl
def config() -> type[McpConfig]:
    """Declare the table."""
    return McpConfig
