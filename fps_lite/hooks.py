"""What a plugin is written with: `hookimpl`, the `register_…` helpers, and their values.

A helper makes a hook out of a value; assign it to a module attribute:

    routes = register_routes([Route("/hello", hello)])

Several of a kind in one module all count, in the order written.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping, Sequence

    from click import Command
    from starlette.middleware import Middleware
    from starlette.routing import BaseRoute
    from starlette.types import ExceptionHandler

    from .settings import FPSConfig, PluginConfig

PROJECT = "fps_lite"
REGISTERED = "fps_lite_registered"
"""The mark of a hook that a helper made."""

hookimpl = pluggy.HookimplMarker(PROJECT)
"""Mark a function as the implementation of the hook that has its name."""

C = TypeVar("C", bound="PluginConfig")
Hook = TypeVar("Hook", bound="Callable[..., Any]")


class HookType(StrEnum):
    """The entry point groups; each says which hooks are collected from the object it names."""

    PLUGIN = "fps_lite.plugins"
    CONFIG = "fps_lite.config"
    ROUTES = "fps_lite.routes"
    LIFESPAN = "fps_lite.lifespan"
    CLI = "fps_lite.cli"

    @property
    def collects(self) -> frozenset[str]:
        """Return the names of the hooks that this group collects."""
        return _COLLECTS[self]


_COLLECTS = {
    HookType.CONFIG: frozenset({"config", "plugin_name", "dependencies"}),
    HookType.ROUTES: frozenset({"routes", "middleware", "exception_handlers"}),
    HookType.LIFESPAN: frozenset({"lifespan"}),
    HookType.CLI: frozenset({"commands", "cli_setup"}),
}
ALL_HOOKS = frozenset().union(*_COLLECTS.values())
_COLLECTS[HookType.PLUGIN] = ALL_HOOKS - {"commands"}


class RedirectException(Exception):  # noqa: N818 - the name that the ancestor's users know
    """Raised in a handler: answer 307 with `url` as it is."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


@dataclass(frozen=True)
class Dependencies:
    """Where a plugin stands among the others, by names of plugins or of what they provide.

    `requires` must be there; `after` and `before` count only if they are. `("*",)` in
    `after` or `before` means all that are not otherwise ordered.
    """

    requires: Sequence[str] = ()
    after: Sequence[str] = ()
    before: Sequence[str] = ()
    provides: Sequence[str] = ()


@dataclass(frozen=True)
class Context:
    """What a hook may know besides its own config."""

    name: str
    """The plugin's name."""
    prefix: str
    """The plugin's public prefix, the outer root path included: "" or like "/x"."""
    settings: FPSConfig
    """The core's own settings."""
    logger: logging.Logger
    _configs: Callable[[type, str | None], Any]
    _places: Callable[..., str]

    def where(self, *path: str | int) -> str:
        """Return where a value of the plugin's table is written, like `fps.toml:12:9`.

        `path` leads to it: `where("servers", "a", "app")`. Without one: the place of the table
        around it.
        """
        return self._places(*path)

    def config_of(self, kind: type[C], name: str | None = None) -> C:
        """Return the config of the one enabled plugin whose config is a `kind`.

        `name` chooses among several. Raises `PluginError` if there is none, or several.
        """
        found: C = self._configs(kind, name)
        return found


def register_plugin_name(name: str) -> Callable[[], str]:
    """Return a `plugin_name` hook that answers `name`."""
    return _hook("plugin_name", lambda: name)


def register_config(model: type[C]) -> Callable[[], type[C]]:
    """Return a `config` hook that answers `model`."""
    return _hook("config", lambda: model)


def register_routes(routes: Sequence[BaseRoute], prefix: str = "") -> Callable[[], list[BaseRoute]]:
    """Return a `routes` hook that answers copies of `routes` under `prefix`."""

    def answer() -> list[BaseRoute]:
        from .paths import prefixed  # noqa: PLC0415 - Starlette is not needed to declare a hook

        return prefixed(routes, prefix)

    return _hook("routes", answer)


def register_middleware(*args: Any, **kwargs: Any) -> Callable[[], list[Middleware]]:
    """Return a `middleware` hook.

    Takes `Middleware` values, or a middleware class and its arguments as `Middleware` does.
    """

    def answer() -> list[Middleware]:
        from starlette.middleware import Middleware  # noqa: PLC0415 - as in register_routes

        if args and all(isinstance(one, Middleware) for one in args):
            return list(args)
        return [Middleware(*args, **kwargs)]

    return _hook("middleware", answer)


def register_exception_handler(
    exc_or_status: int | type[Exception], handler: ExceptionHandler
) -> Callable[[], Mapping[int | type[Exception], ExceptionHandler]]:
    """Return an `exception_handlers` hook for one exception class or status code."""
    return _hook("exception_handlers", lambda: {exc_or_status: handler})


def register_lifespan(factory: Hook) -> Hook:
    """Return a `lifespan` hook that calls `factory` with what it names of the hook's arguments."""

    # A new function: marking the factory itself would count it twice where both are attributes.
    @functools.wraps(factory)
    def enter(*args: Any, **kwargs: Any) -> Any:
        return factory(*args, **kwargs)

    return _hook("lifespan", enter)  # type: ignore[return-value]


def register_command(command: Command) -> Callable[[], list[Command]]:
    """Return a `commands` hook that adds `command` to `fps-lite`."""
    return _hook("commands", lambda: [command])


def _hook(name: str, function: Hook) -> Hook:
    setattr(function, REGISTERED, True)
    # Static, so that a helper's hook works as a class attribute, too.
    return staticmethod(hookimpl(specname=name)(function))  # type: ignore[return-value]
