"""From entry points to plugins: found, selected, imported, configured, ordered."""

from __future__ import annotations

from .asking import RAISED, ask, reason
from .discovery import Discovery, Found, discover, from_objects
from .inspection import Hook
from .loading import Loaded, Plugin, load

__all__ = [
    "RAISED",
    "Discovery",
    "Found",
    "Hook",
    "Loaded",
    "Plugin",
    "ask",
    "discover",
    "from_objects",
    "load",
    "reason",
]
