"""The hooks of a plugin: this page is the plugin author's manual.

A hook is a plain function marked with `@hookimpl`, in a module, a class or an instance. It
takes only the arguments that it names, of those offered here, and returns what its
sentence says; None means nothing. Hooks are pure: sockets, files, threads and tasks belong
into what `lifespan` or `cli_setup` return. Each plugin is asked on its own, with its own
config, after the plugins that it depends on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from click import Command
    from starlette.middleware import Middleware
    from starlette.routing import BaseRoute
    from starlette.types import ExceptionHandler

    from .hooks import Context, Dependencies
    from .settings import PluginConfig

hookspec = pluggy.HookspecMarker("fps_lite")


@hookspec
def plugin_name() -> str:  # type: ignore[empty-body]
    """Return the name of a plugin that is passed as an object."""


@hookspec
def config() -> type[PluginConfig]:  # type: ignore[empty-body]
    """Return the subclass of `PluginConfig` that the plugin's table is decoded to."""


@hookspec
def dependencies(config: PluginConfig) -> Dependencies:  # type: ignore[empty-body]
    """Return which plugins or services this one requires, comes after or before, and provides."""


@hookspec
def routes(config: PluginConfig, context: Context) -> list[BaseRoute]:  # type: ignore[empty-body]
    """Return a list of `Route`, `Mount`, `WebSocketRoute`, `Host` or any other `BaseRoute`."""


@hookspec
def middleware(config: PluginConfig, context: Context) -> list[Middleware]:  # type: ignore[empty-body]
    """Return a list of `starlette.middleware.Middleware`, around the whole app."""


@hookspec
def exception_handlers(  # type: ignore[empty-body]
    config: PluginConfig, context: Context
) -> Mapping[int | type[Exception], ExceptionHandler]:
    """Return a mapping of exception class or status code to handler, for the whole app."""


@hookspec
def lifespan(  # type: ignore[empty-body]
    config: PluginConfig, context: Context, state: Mapping[str, Any]
) -> AbstractAsyncContextManager[Any] | AsyncIterator[Any]:
    """Return an async context manager around serving; what it yields are the plugin's services."""


@hookspec
def commands() -> list[Command]:  # type: ignore[empty-body]
    """Return a list of click commands, added to `fps-lite`."""


@hookspec
def cli_setup(  # type: ignore[empty-body]
    config: PluginConfig, context: Context
) -> AbstractContextManager[Any]:
    """Return a context manager around serving, in the command's own process."""
