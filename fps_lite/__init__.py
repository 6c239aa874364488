"""fps-lite composes and runs one web server out of independently packaged plugins."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .app import create_app
    from .errors import ConfigError, FPSError, PluginError, StartupError
    from .hooks import Context, Dependencies, HookType, RedirectException, hookimpl
    from .mounting import mount
    from .responses import JSONResponse
    from .secret import Secret
    from .settings import PluginConfig

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "Context",
    "Dependencies",
    "FPSError",
    "HookType",
    "JSONResponse",
    "PluginConfig",
    "PluginError",
    "RedirectException",
    "Secret",
    "StartupError",
    "create_app",
    "hookimpl",
    "mount",
]

# Resolved at first use, so that `import fps_lite` costs nothing and starts nothing.
_HOMES = {
    "ConfigError": "errors",
    "Context": "hooks",
    "Dependencies": "hooks",
    "FPSError": "errors",
    "HookType": "hooks",
    "JSONResponse": "responses",
    "PluginConfig": "settings",
    "PluginError": "errors",
    "RedirectException": "hooks",
    "Secret": "secret",
    "StartupError": "errors",
    "create_app": "app",
    "hookimpl": "hooks",
    "mount": "mounting",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
