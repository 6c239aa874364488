"""Regular expressions as data: the part of Python's syntax that paths and convertors are made of.

What has no meaning as a set of texts, like a lookahead, or is seldom written, is not understood.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

Ranges = tuple[tuple[int, int], ...]
"""A set of characters: the first and the last code point of each run."""
LAST = sys.maxunicode
NEWLINE = ord("\n")
CLASSES = frozenset("dDwWsS")
MOST_COPIES = 500
"""A part that repeats more often than this would make too large an automaton."""
_COUNTED = re.compile(r"{(\d*)(,?)(\d*)}")
_GROUP = re.compile(r"\((\?:|\?P<\w+>)?(?!\?)")


class NotUnderstood(Exception):  # noqa: N818 - it is no error: most can be said without it
    """An expression says what is not understood here."""


@dataclass(frozen=True)
class Chars:
    """One character of a set."""

    ranges: Ranges


@dataclass(frozen=True)
class Sequence:
    """One part after another."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Choice:
    """One of some."""

    options: tuple[Expression, ...]


@dataclass(frozen=True)
class Repeat:
    """One part several times; `most` is None for any number."""

    part: Expression
    least: int
    most: int | None


Expression = Chars | Sequence | Choice | Repeat


def parsed(text: str) -> Expression:
    """Return what an expression says; raises `NotUnderstood`."""
    reader = _Reader(text)
    found = reader.choice()
    if reader.at != len(text):
        raise NotUnderstood(text)
    return found


def without(ranges: Ranges) -> Ranges:
    """Return all other characters."""
    left, after = [], 0
    for first, last in sorted(ranges):
        if first > after:
            left.append((after, first - 1))
        after = max(after, last + 1)
    return (*left, (after, LAST)) if after <= LAST else tuple(left)


def _class(name: str) -> Ranges:
    r"""Return the characters of `\d` and the like, as `re` knows them."""
    every = "".join(map(chr, range(LAST + 1)))
    runs = re.finditer(rf"\{name}+", every)
    return tuple((run.start(), run.end() - 1) for run in runs)


class _Reader:
    """Reads an expression from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def next(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        char = self.next()
        if not char:
            raise NotUnderstood(self.text)
        self.at += 1
        return char

    def choice(self) -> Expression:
        options = [self.sequence()]
        while self.next() == "|":
            self.at += 1
            options.append(self.sequence())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def sequence(self) -> Expression:
        parts = []
        while self.next() not in ("", "|", ")"):
            parts.append(self.repeated(self.one()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def repeated(self, part: Expression) -> Expression:
        counts = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        while (char := self.next()) in ("*", "+", "?", "{"):
            if char == "{":
                least, most = self.counted()
            else:
                least, most = counts[char]
                self.at += 1
            part = Repeat(part, least, most)
            if self.next() == "?":  # as few as possible: the same texts match as a whole
                self.at += 1
            if self.next() and self.next() in "*+?{":
                raise NotUnderstood(self.text)
        return part

    def counted(self) -> tuple[int, int | None]:
        found = _COUNTED.match(self.text, self.at)
        if found is None or not found[1] + found[3]:
            raise NotUnderstood(self.text)
        self.at = found.end()
        least = int(found[1] or 0)
        most = int(found[3]) if found[3] else None if found[2] else least
        if max(least, most or 0) > MOST_COPIES:
            raise NotUnderstood(self.text)
        return least, most

    def one(self) -> Expression:
        if self.next() == "(":
            return self.group()
        char = self.take()
        if char == "[":
            return Chars(self.set())
        if char == ".":
            return Chars(without(((NEWLINE, NEWLINE),)))
        if char == "\\":
            return Chars(self.escaped())
        if char in "^$*+?{":
            raise NotUnderstood(self.text)
        return Chars(_only(char))

    def group(self) -> Expression:
        found = _GROUP.match(self.text, self.at)
        if found is None:
            raise NotUnderstood(self.text)
        self.at = found.end()
        inner = self.choice()
        if self.take() != ")":
            raise NotUnderstood(self.text)
        return inner

    def escaped(self) -> Ranges:
        char = self.take()
        if char in CLASSES:
            return _class(char)
        if char.isalnum() and char.isascii():
            raise NotUnderstood(self.text)
        return _only(char)

    def set(self) -> Ranges:
        is_negated = self.next() == "^"
        self.at += is_negated
        ranges = self.member()
        while self.next() != "]":
            ranges += self.member()
        self.at += 1
        return without(ranges) if is_negated else ranges

    def member(self) -> Ranges:
        first = self.end()
        if self.next() != "-" or self.text[self.at + 1 : self.at + 2] in ("]", ""):
            return first
        self.at += 1
        last = self.end()
        if len(first) > 1 or len(last) > 1:
            raise NotUnderstood(self.text)
        return ((first[0][0], last[0][1]),)

    def end(self) -> Ranges:
        char = self.take()
        return self.escaped() if char == "\\" else _only(char)


def _only(char: str) -> Ranges:
    return ((ord(char), ord(char)),)
