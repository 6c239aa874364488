"""Which texts several regular expressions match, and which of them alone: exactly, by automata.

Texts with a newline are left out: no one writes such a path, and `.` and `$` are odd about it.
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from functools import cached_property
from typing import TYPE_CHECKING

from .expressions import LAST, NEWLINE, Chars, Choice, NotUnderstood, Repeat, parsed, without

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .expressions import Expression, Ranges

States = frozenset[int]
ANYTHING = Repeat(Chars(without(())), 0, None)
NICE = "a1x-_."
"""What a text is made of where there is a choice, the nicest first."""


class Automaton:
    """What a regular expression matches as a whole."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._edges: list[list[tuple[Ranges, int]]] = [[]]
        self._free: list[list[int]] = [[]]
        """The states that are reached without a character."""
        self._after: dict[tuple[States, str], States] = {}
        self.is_exact = True
        """Whether it is understood; if not, all texts are taken for matches."""
        try:
            expression = parsed(text)
        except NotUnderstood:
            self.is_exact = False
            expression = ANYTHING
        self.final = self._build(expression, 0)
        self.start = self._closed({0})

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile(self.text)

    @cached_property
    def takes_slash(self) -> bool:
        """Whether it matches a text with a slash in it."""
        slash = ord("/")
        ranges = [one for edges in self._edges for one, _ in edges]
        return any(first <= slash <= last for one in ranges for first, last in one)

    def matches(self, text: str) -> bool:
        """Tell whether it matches a text as a whole."""
        return self._regex.fullmatch(text) is not None

    def accepts(self, states: States) -> bool:
        """Tell whether a text that leads to `states` is a match."""
        return self.final in states

    def after(self, states: States, char: str) -> States:
        """Return the states after one more character."""
        key = (states, char)
        found = self._after.get(key)
        if found is None:
            code = ord(char)
            reached = {
                state
                for one in states
                for ranges, state in self._edges[one]
                if any(first <= code <= last for first, last in ranges)
            }
            found = self._after[key] = self._closed(reached)
        return found

    def cuts(self, states: States) -> set[int]:
        """Return the code points at which what can come next may begin or be over."""
        ranges = [one for state in states for one, _ in self._edges[state]]
        return {cut for one in ranges for first, last in one for cut in (first, last + 1)}

    def _build(self, expression: Expression, start: int) -> int:
        """Add states for `expression` after `start`; return the one after it."""
        if isinstance(expression, Chars):
            end = self._state()
            self._edges[start].append((expression.ranges, end))
            return end
        if isinstance(expression, Choice):
            end = self._state()
            for option in expression.options:
                self._free[self._build(option, self._apart(start))].append(end)
            return end
        if isinstance(expression, Repeat):
            return self._build_repeat(expression, start)
        for part in expression.parts:
            start = self._build(part, start)
        return start

    def _build_repeat(self, repeat: Repeat, start: int) -> int:
        for _ in range(repeat.least):
            start = self._build(repeat.part, start)
        if repeat.most is None:
            start = self._apart(start)
            self._free[self._build(repeat.part, start)].append(start)
            return self._apart(start)
        end = self._state()
        for _ in range(repeat.most - repeat.least):
            self._free[start].append(end)
            start = self._build(repeat.part, self._apart(start))
        self._free[start].append(end)
        return end

    def _state(self) -> int:
        self._edges.append([])
        self._free.append([])
        return len(self._edges) - 1

    def _apart(self, start: int) -> int:
        """Return a new state that is reached from `start`, so that no loop leads back to it."""
        state = self._state()
        self._free[start].append(state)
        return state

    def _closed(self, states: set[int]) -> States:
        reached, new = set(states), list(states)
        while new:
            for state in self._free[new.pop()]:
                if state not in reached:
                    reached.add(state)
                    new.append(state)
        return frozenset(reached)


def shortest(inside: Sequence[Automaton], outside: Sequence[Automaton] = ()) -> str | None:
    """Return the shortest text that all of `inside` match and none of `outside`, None without one.

    A search through the states that all of them reach together; each text that is not the first
    to reach some would go on as the first does.
    """
    every = (*inside, *outside)
    start = tuple(one.start for one in every)
    texts, waiting = {start: ""}, deque([start])
    while waiting:
        at = waiting.popleft()
        accepted = [one.accepts(states) for one, states in zip(every, at, strict=True)]
        if all(accepted[: len(inside)]) and not any(accepted[len(inside) :]):
            return texts[at]
        for char in _next_chars(every, at):
            after = tuple(one.after(states, char) for one, states in zip(every, at, strict=True))
            if all(after[: len(inside)]) and after not in texts:
                texts[after] = texts[at] + char
                waiting.append(after)
    return None


def _next_chars(every: Sequence[Automaton], at: Sequence[States]) -> list[str]:
    """Return one character of each kind that some may tell from the others, the nicest first."""
    cuts = {0, NEWLINE, NEWLINE + 1, LAST + 1}
    for one, states in zip(every, at, strict=True):
        cuts |= one.cuts(states)
    ordered = sorted(cuts)
    firsts = [(first, end) for first, end in itertools.pairwise(ordered)]
    chars = [_nicest(first, end) for first, end in firsts if first != NEWLINE]
    return sorted(chars, key=lambda char: (NICE + char).index(char))


def _nicest(first: int, end: int) -> str:
    return next((char for char in NICE if first <= ord(char) < end), chr(first))
