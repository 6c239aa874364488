"""Paths as sets of texts: whether two have one in common, whether one has all of another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.routing import PARAM_REGEX

from .automata import Automaton, shortest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.convertors import Convertor

Segment = str | Automaton
"""What is between two slashes: a text, or what a text there matches."""
REST = "(?:.*)"
"""How a `Mount` and `{name:path}` end: with anything, slashes included."""


@dataclass(frozen=True)
class Pattern:
    """A path: its segments, and behind them what may have slashes in it.

    A segment is the same object wherever it means the same, so two patterns are equal if they
    are written alike, names of parameters left out.
    """

    head: tuple[Segment, ...]
    rest: Automaton | None = None

    @property
    def ends_with_anything(self) -> bool:
        """Tell whether it takes all that is below some path."""
        return self.rest is not None and self.rest.text == REST

    def text_after(self, start: int) -> str | None:
        """Return the expression for what comes after some segments, None if nothing does."""
        if start == len(self.head) and self.rest is None:
            return None
        parts = [re.escape(one) if isinstance(one, str) else one.text for one in self.head[start:]]
        return "/".join(parts if self.rest is None else [*parts, self.rest.text])


class Patterns:
    """Reads paths and compares them; whatever was found out once is remembered."""

    def __init__(self) -> None:
        self._automata: dict[str, Automaton] = {}
        self._common: dict[tuple[Segment, Segment], str | None] = {}
        self._covered: dict[tuple[Segment, Segment], bool] = {}

    def read(self, path: str, convertors: Mapping[str, Convertor[Any]]) -> Pattern:
        """Return the pattern of a route's path; `path` begins with a slash."""
        if "{" not in path:
            return Pattern(tuple(path.split("/")[1:]))
        head: list[Segment] = []
        texts = path.split("/")[1:]
        for position, text in enumerate(texts):
            segment = self._segment(text, convertors)
            if isinstance(segment, Automaton) and segment.takes_slash:
                rest = "/".join(_expression(one, convertors) for one in texts[position:])
                return Pattern(tuple(head), self.automaton(rest))
            head.append(segment)
        return Pattern(tuple(head))

    def below(self, pattern: Pattern) -> Pattern:
        """Return the pattern of all that is below a path, its own slash included."""
        if pattern.rest is None:
            return Pattern(pattern.head, self.automaton(REST))
        return Pattern(pattern.head, self.automaton(f"{pattern.rest.text}/{REST}"))

    def automaton(self, text: str) -> Automaton:
        """Return the automaton of an expression."""
        found = self._automata.get(text)
        if found is None:
            found = self._automata[text] = Automaton(text)
        return found

    def whole(self, pattern: Pattern) -> Automaton:
        """Return the automaton of a whole path, without its first slash."""
        return self.automaton(pattern.text_after(0) or "")

    def common(self, one: Pattern, other: Pattern) -> str | None:
        """Return a path that both match, None if there is none."""
        texts = []
        for ours, theirs in zip(one.head, other.head, strict=False):
            text = self._common_text(ours, theirs)
            if text is None:
                return None
            texts.append(text)
        rests = self._after_heads(one, other)
        if rests is None:
            return None
        if rests != (None, None):
            text = self._common_text(*(self.automaton(rest or "") for rest in rests))
            if text is None:
                return None
            texts.append(text)
        return "/" + "/".join(texts)

    def covers(self, one: Pattern, other: Pattern) -> bool:
        """Tell whether `one` matches all that `other` does."""
        if other.ends_with_anything and one.rest is None:  # so many slashes, and no more
            return False
        rests = self._after_heads(one, other)
        if rests is None or not all(map(self._covers_text, one.head, other.head)):
            return False
        ours, theirs = rests
        if ours is None or theirs is None or ours == REST:
            return True
        return self._covers_text(self.automaton(ours), self.automaton(theirs))

    def _segment(self, text: str, convertors: Mapping[str, Convertor[Any]]) -> Segment:
        return self.automaton(_expression(text, convertors)) if PARAM_REGEX.search(text) else text

    def _after_heads(self, one: Pattern, other: Pattern) -> tuple[str | None, str | None] | None:
        """Return what comes after the segments that both have; None if it comes after one alone."""
        if one.rest is other.rest is None and len(one.head) != len(other.head):
            return None
        both = min(len(one.head), len(other.head))
        ours, theirs = one.text_after(both), other.text_after(both)
        return None if (ours is None) != (theirs is None) else (ours, theirs)

    def _common_text(self, one: Segment, other: Segment) -> str | None:
        if isinstance(one, str):
            return one if _matches(other, one) else None
        if isinstance(other, str):
            return other if _matches(one, other) else None
        key = (one, other)
        if key not in self._common:
            self._common[key] = shortest(key)
        return self._common[key]

    def _covers_text(self, one: Segment, other: Segment) -> bool:
        if one is other:
            return True
        if isinstance(other, str):
            return _matches(one, other)
        key = (one, other)
        if key not in self._covered:
            ours = self._as_automaton(one)
            self._covered[key] = ours.is_exact and shortest([other], [ours]) is None
        return self._covered[key]

    def _as_automaton(self, segment: Segment) -> Automaton:
        return self.automaton(re.escape(segment)) if isinstance(segment, str) else segment


def _matches(segment: Segment, text: str) -> bool:
    return segment == text if isinstance(segment, str) else segment.matches(text)


def _expression(text: str, convertors: Mapping[str, Convertor[Any]]) -> str:
    """Return what Starlette makes of a part of a path, without the names."""
    made, end = "", 0
    for found in PARAM_REGEX.finditer(text):
        made += f"{re.escape(text[end : found.start()])}(?:{convertors[found[1]].regex})"
        end = found.end()
    return made + re.escape(text[end:])
