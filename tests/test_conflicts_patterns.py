"""Paths are compared as sets of texts: what is said of two is what trying all short texts shows."""

from __future__ import annotations

import re
from functools import cache
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.convertors import CONVERTOR_TYPES, Convertor, StringConvertor
from starlette.routing import compile_path

from fps_lite.conflicts.automata import Automaton, shortest
from fps_lite.conflicts.patterns import Patterns

SEGMENTS = ["a", "7", "", "{p}", "{p:int}", "{p:float}", "{p:path}", "{p}a", "7{p}", "{p:own}"]
OWN = [
    "[a-z/]*",
    "[^/]*(/[^/]*)?",
    "(?:a|7.)?",
    "a{2,3}",
    "(a|[0-9])*7?",
    "[^a/]",
    r"\.7",
    "a{,2}7??",
]
WIDE = [r"\d+", "[-a.]+", "[]a]", r"[\d.]{3}", "a*?", r"\w", "(a*7)*"]
"""Expressions that match more than can be seen by a few characters."""
STRANGE = ["(?!a)[a7]+", "a++", "(?i:a)", r"\ba", "a$", "(a)(?P=x)", "[a7]{1,900}"]
PATHS = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=2)


@cache
def short_texts(alphabet: str, longest: int) -> list[str]:
    """Return all texts of an alphabet, the shortest first."""
    lengths = range(longest + 1)
    return ["".join(chars) for size in lengths for chars in product(alphabet, repeat=size)]


def convertor(regex: str) -> Convertor[str]:
    made: Convertor[str] = type("Own", (StringConvertor,), {"regex": regex})()
    return made


@settings(max_examples=150, deadline=None)
@given(PATHS, PATHS, st.sampled_from(OWN))
def test_paths_compare_as_all_their_short_texts_do(
    one: list[str], other: list[str], regex: str
) -> None:
    before = dict(CONVERTOR_TYPES)
    CONVERTOR_TYPES["own"] = convertor(regex)
    try:
        patterns = Patterns()
        read, regexes = [], []
        for drawn in (one, other):
            path = "".join(
                "/" + segment.replace("{p", f"{{p{n}") for n, segment in enumerate(drawn)
            )
            compiled, _, convertors = compile_path(path)
            read.append(patterns.read(path, convertors))
            regexes.append(compiled)
    finally:
        CONVERTOR_TYPES.clear()
        CONVERTOR_TYPES.update(before)
    texts = [f"/{text}" for text in short_texts("a7./", 7)]
    ours, theirs = ([text for text in texts if regex.match(text)] for regex in regexes)
    both = set(ours) & set(theirs)
    common = patterns.common(*read)
    assert (common is not None) == bool(both)
    assert common is None or all(regex.match(common) for regex in regexes)
    assert patterns.covers(*read) == set(theirs).issubset(ours)
    assert patterns.covers(read[1], read[0]) == set(ours).issubset(theirs)


@pytest.mark.parametrize("regex", [*OWN, *WIDE])
def test_an_automaton_matches_what_the_expression_does(regex: str) -> None:
    found = Automaton(regex)
    assert found.is_exact
    for text in short_texts("a7.-]\\/", 4):
        states = found.start
        for char in text:
            states = found.after(states, char)
        assert found.accepts(states) == (re.fullmatch(regex, text) is not None), text


@pytest.mark.parametrize("regex", STRANGE)
def test_what_is_not_understood_hides_nothing_and_may_be_anything(regex: str) -> None:
    patterns = Patterns()
    strange: dict[str, Any] = {"p": convertor(regex)}
    one, same = (patterns.read(path, strange) for path in ("/x/{p}", "/x/{p}"))
    other, below = patterns.read("/x/a", {}), patterns.below(patterns.read("/x", {}))
    assert one == same
    assert patterns.covers(one, same)
    assert not patterns.covers(one, other)
    assert patterns.covers(below, one)
    assert patterns.common(one, other) is not None


def test_digits_are_those_of_all_scripts() -> None:
    patterns = Patterns()
    convertors: dict[str, Any] = {"p": convertor(r"\d+"), "q": CONVERTOR_TYPES["int"]}
    digits, ascii_digits = (patterns.read(path, convertors) for path in ("/{p}", "/{q:int}"))
    assert patterns.covers(digits, ascii_digits)
    assert not patterns.covers(ascii_digits, digits)


def test_the_shortest_and_nicest_text_is_found() -> None:
    string, digits, number = map(Automaton, ("[^/]+", "[0-9]+", r"[0-9]+(\.[0-9]+)?"))
    assert shortest([string]) == "a"
    assert shortest([string, digits]) == "1"
    assert shortest([number], [digits]) == "1.1"
    assert shortest([digits], [number]) is None
    assert shortest([Automaton("[0-9]{4}-[0-9]{2}-[0-9]{2}")]) == "1111-11-11"
    assert shortest([string], [Automaton(".")]) == "aa"
    assert shortest([Automaton(".*")], [Automaton("[^é]*")]) == "é"
