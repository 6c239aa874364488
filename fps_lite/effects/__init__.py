"""What foreign code does to the process when it is imported or makes an app: undone, told."""

from __future__ import annotations

from .watching import UNWATCHED, Effects, Watches, stepwise, unwatched

__all__ = ["UNWATCHED", "Effects", "Watches", "stepwise", "unwatched"]
