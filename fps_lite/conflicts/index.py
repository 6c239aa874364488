"""Which of the claims so far may have a path in common with one more, or all of its paths.

Sets of claims are whole numbers with a bit for each claim: with ten thousand of them, two sets
are still intersected in a fraction of a microsecond.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .claims import Claim
    from .patterns import Segment


class Index:
    """Claims by the segments of their paths."""

    def __init__(self) -> None:
        self._claims: list[Claim] = []
        self._of: dict[str, int] = defaultdict(int)
        """Those of each owner."""
        self._texts: dict[tuple[int, str], int] = defaultdict(int)
        """Those with this text at this place of their path."""
        self._patterns: dict[int, int] = defaultdict(int)
        """Those with parameters at this place."""
        self._longer: dict[int, int] = defaultdict(int)
        """Those with either at this place."""
        self._ends: dict[int, int] = defaultdict(int)
        """Those with exactly so many segments."""
        self._open: dict[int, int] = {}
        """Those that may have anything from this place on, the slash before it included."""

    def add(self, claim: Claim) -> None:
        """Add a claim."""
        bit = 1 << len(self._claims)
        self._claims.append(claim)
        self._of[claim.owner] |= bit
        head = claim.pattern.head
        for place, segment in enumerate(head):
            self._longer[place] |= bit
            if isinstance(segment, str):
                self._texts[place, segment] |= bit
            else:
                self._patterns[place] |= bit
        if claim.pattern.rest is None:
            self._ends[len(head)] |= bit
        else:
            self._open[len(head)] = self._open.get(len(head), 0) | bit

    def near(self, claim: Claim) -> Iterator[Claim]:
        """Yield those of other owners that may have a path in common, in the order added."""
        return self._members(self._near(claim, self._longer) & ~self._of.get(claim.owner, 0))

    def above(self, claim: Claim) -> Iterator[Claim]:
        """Yield those of other owners that may have all of its paths, in the order added."""
        return self._members(self._near(claim, self._patterns) & ~self._of.get(claim.owner, 0))

    def own(self, claim: Claim) -> Iterator[Claim]:
        """Yield those of its own owner that may have a path in common, in the order added."""
        return self._members(self._near(claim, self._longer) & self._of.get(claim.owner, 0))

    def _near(self, claim: Claim, beside_parameters: dict[int, int]) -> int:
        pattern = claim.pattern
        found = self._at_end(len(pattern.head), is_open=pattern.rest is not None)
        for place, segment in enumerate(pattern.head):
            if not found:
                break
            found &= self._at(place, segment, beside_parameters) | self._open_at(place)
        return found

    def _at(self, place: int, segment: Segment, beside_parameters: dict[int, int]) -> int:
        if isinstance(segment, str):
            return self._texts.get((place, segment), 0) | self._patterns.get(place, 0)
        return beside_parameters.get(place, 0)

    def _at_end(self, place: int, *, is_open: bool) -> int:
        if is_open:
            return self._longer.get(place, 0) | self._open_at(place)
        return self._ends.get(place, 0) | self._open_at(place - 1)

    def _open_at(self, place: int) -> int:
        found = 0
        for depth, claims in self._open.items():
            if depth <= place:
                found |= claims
        return found

    def _members(self, found: int) -> Iterator[Claim]:
        while found:
            lowest = found & -found
            yield self._claims[lowest.bit_length() - 1]
            found ^= lowest
