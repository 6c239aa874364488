"""One task for each plugin: ordered start, reverse stop, and what a failure does."""

from __future__ import annotations

from .lifespans import Lifespans
from .units import Unit, manager

__all__ = ["Lifespans", "Unit", "manager"]
