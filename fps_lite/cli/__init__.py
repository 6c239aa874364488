"""The command line: argv to layers, errors to exit codes; it imports last and starts the data."""

from __future__ import annotations

from .command import main

__all__ = ["main"]
