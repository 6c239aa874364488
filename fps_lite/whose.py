"""Whose code runs: the log says it of each record."""

from __future__ import annotations

from contextvars import ContextVar

PLUGIN: ContextVar[str] = ContextVar("fps_lite.plugin", default="")
"""The plugin whose hook, lifespan or mounted app runs; tasks and threads inherit it."""
