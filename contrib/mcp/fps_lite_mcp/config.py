"""What `[mcp]` may hold."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from fps_lite import PluginConfig, hookimpl

Name = Annotated[str, Meta(pattern=r"^[\w.-]+$", description="letters, digits, - and .")]
PublicPath = Annotated[str, Meta(pattern=r"^(/[^/{}?#\s]+)+(?!\n)$", description='like "/weather"')]
Reference = Annotated[
    str,
    # Who writes "weather.py:server" is told here, where the line is known.
    Meta(pattern=r"^(?!.*\.py:)[\w.]+:[\w.]+(?!\n)$", description='"module:server"'),
]
AllowedHost = Annotated[
    str,
    Meta(
        pattern=(
            r"^(\*|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*"
            r"|((\*\.)?[\w-]+(\.[\w-]+)*\.?|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?)(?!\n)$"
        ),
        description='a host like "tools.example.org", no URL',
    ),
]


class ServerConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of `[mcp.servers.NAME]`."""

    app: Reference
    """`module:server`: an MCPServer, or an ASGI app of any other library that speaks MCP."""
    path: PublicPath | None = None
    """Where clients find it; `/mcp/NAME` if it is not given."""
    stateless: bool = False
    """Keep no session between two requests; for an MCPServer alone."""


class McpConfig(PluginConfig, frozen=True, kw_only=True):
    """The table `[mcp]`."""

    servers: dict[Name, ServerConfig] = field(default_factory=dict)
    index: PublicPath | None = "/mcp"
    """The page that lists the servers; it gives way to a server at its path."""
    allowed_hosts: list[AllowedHost] = field(default_factory=list)
    """Public host names of the server, besides those that it listens on.

    With a port that port alone, else any; `*.example.org` is each below that, `*` is any host.
    """

    def __post_init__(self) -> None:
        """Refuse two servers of one path: the second would never be asked."""
        names: dict[str, str] = {}
        for name, path in self.paths.items():
            other = names.setdefault(path, name)
            if other != name:
                raise ValueError(f'servers "{other}" and "{name}" have one path, "{path}"')

    @property
    def paths(self) -> dict[str, str]:
        """Return the path of each server by its name."""
        return {name: one.path or f"/mcp/{name}" for name, one in self.servers.items()}


@hookimpl
def config() -> type[McpConfig]:
    """Declare the table."""
    return McpConfig
