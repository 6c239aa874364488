"""What an earlier route of another plugin takes away from a later one.

Within one plugin the first wins, as its author wrote it: what a plugin's own earlier routes take
is lost to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .claims import common_methods, methods_without
from .index import Index
from .witnesses import Witnesses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from starlette.routing import BaseRoute

    from .claims import Claim, Methods, Request
    from .patterns import Patterns

NONE: Methods = frozenset()


@dataclass(frozen=True)
class Doubled:
    """Two routes of two plugins are written for the same requests."""

    first: Claim
    second: Claim
    request: Request | None

    def __str__(self) -> str:
        shown = f", like {self.request}" if self.request else ""
        return f"{self.first} and {self.second} claim the same requests{shown}"


@dataclass(frozen=True)
class Hidden:
    """Others answer all that a route is written for."""

    claim: Claim
    by: tuple[tuple[Claim, Request | None], ...]

    def __str__(self) -> str:
        each = [
            f"{one} comes before it" + (f" and answers {request}" if request else "")
            for one, request in self.by
        ]
        return f"{self.claim} is never reached: {', '.join(each)}"


@dataclass(frozen=True)
class Overlap:
    """Another answers something that a route is written for, too."""

    claim: Claim
    one: Claim
    request: Request

    def __str__(self) -> str:
        return f"{self.request} is answered by {self.one} and never reaches {self.claim}"


class Analysis:
    """Compares each claim with those before it."""

    def __init__(
        self, routes: Iterable[BaseRoute], claims: Sequence[Claim], patterns: Patterns
    ) -> None:
        self.claims = claims
        self._patterns = patterns
        self._witnesses = Witnesses(routes, claims, patterns)

    def conflicts(self) -> Iterator[Doubled | Hidden]:
        """Yield what two plugins claim alike, and what is never reached."""
        for claim, earlier in self._walk():
            yield from self._refused(claim, earlier)

    def overlaps(self) -> Iterator[Overlap]:
        """Yield one request for each route and each plugin that takes some of it away.

        Not of a route that is refused, nor of one that is there for all that others leave.
        """
        for claim, earlier in self._walk():
            found = list(self._overlapping(claim, earlier))
            if found and next(self._refused(claim, earlier), None) is None:
                yield from found

    def _walk(self) -> Iterator[tuple[Claim, Index]]:
        earlier = Index()
        for claim in self.claims:
            if claim.kind != "own":
                yield claim, earlier
                earlier.add(claim)

    def _refused(self, claim: Claim, earlier: Index) -> Iterator[Doubled | Hidden]:
        covering = [one for one in earlier.above(claim) if self._covers(one, claim)]
        doubled = [one for one in covering if one.pattern == claim.pattern]
        for one in doubled:
            yield Doubled(one, claim, self._witnesses.shared(one, claim))
        if covering and not doubled:
            yield from self._hidden(claim, covering, earlier)

    def _hidden(self, claim: Claim, covering: Sequence[Claim], earlier: Index) -> Iterator[Hidden]:
        left = self._left(claim, earlier)
        shown: list[tuple[Claim, Request | None]] = []
        for one in covering:
            methods = common_methods(one.methods, left)
            if methods != NONE and _is_of_all_kinds(one, claim):
                left = methods_without(left, one.methods)
                # What takes it all may itself be behind others that take a part.
                rivals = (each for each in earlier.near(claim) if self._meet(each, claim))
                tried = (one, *rivals)
                each = ((by, self._lost(by, claim, methods, earlier)) for by in tried)
                shown.append(next((pair for pair in each if pair[1]), (one, None)))
        if left == NONE and shown:
            answered = [pair for pair in shown if pair[1]]
            # Without any, an earlier route of its own plugin would have been the first to take it.
            yield Hidden(claim, tuple(answered or shown[:1]))

    def _overlapping(self, claim: Claim, earlier: Index) -> Iterator[Overlap]:
        seen: set[str] = set()
        for one in earlier.near(claim):
            if one.owner in seen or self._is_fallback(claim, one) or not self._meet(one, claim):
                continue
            request = self._lost(one, claim, self._left(claim, earlier), earlier)
            if request is not None:
                seen.add(one.owner)
                yield Overlap(claim, one, request)

    def _lost(self, one: Claim, claim: Claim, methods: Methods, earlier: Index) -> Request | None:
        own = [each for each in earlier.own(claim) if each.route is not claim.route]
        return self._witnesses.lost(one, claim, methods, own)

    def _meet(self, one: Claim, claim: Claim) -> bool:
        common = self._patterns.common
        return _may_rival(one, claim) and common(one.pattern, claim.pattern) is not None

    def _left(self, claim: Claim, earlier: Index) -> Methods:
        """Return the methods that no earlier route of the same plugin takes at all its paths."""
        left = claim.methods
        for one in earlier.own(claim):
            if self._covers(one, claim) and _is_of_all_kinds(one, claim):
                left = methods_without(left, one.methods)
        return left

    def _covers(self, one: Claim, claim: Claim) -> bool:
        return _may_rival(one, claim) and self._patterns.covers(one.pattern, claim.pattern)

    def _is_fallback(self, claim: Claim, one: Claim) -> bool:
        """Tell whether `claim` is for whatever is left below a path, and `one` for some of it."""
        is_for_rest = claim.pattern.ends_with_anything
        return is_for_rest and self._patterns.covers(claim.pattern, one.pattern)


def _is_of_all_kinds(one: Claim, claim: Claim) -> bool:
    return one.kind in ("", claim.kind)


def _may_rival(one: Claim, other: Claim) -> bool:
    """Tell whether both want requests of one kind and method."""
    if one.kind != other.kind and ("host" in (one.kind, other.kind) or (one.kind and other.kind)):
        return False
    return common_methods(one.methods, other.methods) != NONE
