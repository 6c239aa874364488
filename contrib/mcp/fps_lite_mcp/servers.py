"""One MCP server: imported and checked, and an app made of it at each start."""

from __future__ import annotations

import inspect
import re
import traceback
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from .guard import HostGuard
from .streams import UntilStopping

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import ASGIApp

    from .config import ServerConfig
    from .hosts import Hosts

IMPORTING = re.compile(r"^<|[/\\]importlib[/\\]")
"""The files of Python's own importing."""
SDK_ENDPOINT = "StreamableHTTPASGIApp"
"""The class of what answers MCP in the apps that the SDK makes, and `fastmcp`."""


@dataclass
class Server:
    """A server of the configuration, as it was imported."""

    name: str
    config: ServerConfig
    where: str
    """The place and the key of what names it, or of what is wrong with it."""
    subject: Any = None
    """An MCPServer, or an ASGI app."""
    problem: str = ""
    """Why it cannot be had."""
    is_running: bool = False

    @property
    def inner_path(self) -> str:
        """Return where it answers below its path, if the SDK made the app and said so there."""
        for route in getattr(self.subject, "routes", None) or ():
            if type(getattr(route, "endpoint", None)).__name__ == SDK_ENDPOINT:
                return str(route.path).rstrip("/")
        return ""

    @asynccontextmanager
    async def running(self, hosts: Hosts, _prefix: str) -> AsyncIterator[ASGIApp]:
        """Yield the server's app, a new one each time: a session manager runs once.

        This is left when the app's own lifespan fails or ends, so it knows whether that runs.
        """
        self.is_running = True
        try:
            yield HostGuard(UntilStopping(self._app()), hosts)
        finally:
            self.is_running = False

    def _app(self) -> Any:
        if not _is_mcp_server(self.subject):
            return self.subject
        from mcp.server.transport_security import TransportSecuritySettings  # noqa: PLC0415

        # Its own check of hosts is off: ours stands before it, is the same for every library,
        # and says what to set.
        security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        return self.subject.streamable_http_app(
            streamable_http_path="/",
            stateless_http=self.config.stateless,
            transport_security=security,
        )


def imported(name: str, config: ServerConfig, place_of: Callable[[str], str]) -> Server:
    """Return the server that is configured as `name`, with what is wrong with it, if anything.

    `place_of` tells where a key of its table is written.
    """
    module, _, attribute = config.app.partition(":")
    where = f"{place_of('app')}: mcp.servers.{name}.app"
    try:
        subject = attrgetter(attribute)(import_module(module))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the server is named for it
        problem = f"cannot import {config.app}: {_reason(error)}"
        return Server(name, config, where, problem=problem)
    if problem := _no_server(subject, config.app):
        return Server(name, config, where, problem=problem)
    if config.stateless and not _is_mcp_server(subject):
        where = f"{place_of('stateless')}: mcp.servers.{name}.stateless"
        what = "is an app, which keeps sessions or not as it was made: leave stateless out"
        return Server(name, config, where, problem=f"{config.app} {what}")
    return Server(name, config, where, subject)


def _no_server(subject: object, reference: str) -> str:
    """Return why what was imported is no server, and what to write instead; else nothing."""
    if hasattr(subject, "http_app"):
        module, _, attribute = reference.partition(":")
        hint = f'write app = {attribute}.http_app(path="/") there, and name "{module}:app" here'
        return f"{reference} is a server of another library: {hint}"
    if _is_mcp_server(subject) or _is_asgi_app(subject):
        return ""
    kind = "class" if inspect.isclass(subject) else type(subject).__name__
    article = "an" if kind[:1].lower() in "aeiou" else "a"
    return f"{reference} is {article} {kind}, neither an MCPServer nor an ASGI app"


def _is_mcp_server(subject: object) -> bool:
    return hasattr(subject, "streamable_http_app") and not inspect.isclass(subject)


def _is_asgi_app(subject: Any) -> bool:
    if inspect.isclass(subject):
        return False
    try:
        inspect.signature(subject).bind("scope", "receive", "send")
    except TypeError:
        return False
    except ValueError:  # nobody knows what it takes
        pass
    return True


def _reason(error: BaseException) -> str:
    """Return what was raised, and where, if that is in the module or below."""
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({error.filename}:{error.lineno})"
    text = " ".join(str(error).split())
    files = [(one.filename, one.lineno) for one in traceback.extract_tb(error.__traceback__)]
    theirs = [one for one in files if one[0] != __file__ and not IMPORTING.search(one[0])]
    if not theirs:
        return text
    file, line = theirs[-1]
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"{said} ({file}:{line})"
