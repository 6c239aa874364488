"""Which units are down: those that failed alone, and those that require one that is."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from .units import in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .units import Unit


class Downs:
    """The units that are down, and why; `reasons` is read-only and always as it is now."""

    reasons: Mapping[str, str]

    def __init__(self, units: Iterable[Unit]) -> None:
        self._in_order = in_order(units)
        self._reasons: dict[str, str] = {}
        self.reasons = MappingProxyType(self._reasons)

    def forget(self) -> None:
        """Count none as down."""
        self._reasons.clear()

    def mark(self, name: str, reason: str) -> list[Unit]:
        """Count a unit as down; return those that are down by it, in their order."""
        self._reasons[name] = reason
        return [unit for unit in self._in_order if self._is_lost(unit)]

    def _is_lost(self, unit: Unit) -> bool:
        lost = next((one for one in sorted(unit.requires) if one in self._reasons), None)
        if lost is None or unit.name in self._reasons:
            return False
        self._reasons[unit.name] = f'requires "{lost}" ({self._reasons[lost]})'
        return True
