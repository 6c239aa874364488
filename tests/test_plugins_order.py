"""Plugins come in the order of their dependencies, and of their names where those leave it open."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fps_lite.hooks import Dependencies
from fps_lite.plugins.order import Order, arrange

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

NAMES = list("abcdef")


def order(missing: Mapping[str, str] | None = None, /, **declared: Dependencies) -> Order:
    return arrange(declared, missing or {})


def names(**declared: Dependencies) -> str:
    arranged = order(None, **declared)
    assert arranged.errors == ()
    return "".join(arranged.names)


def errors(missing: Mapping[str, str] | None = None, **declared: Dependencies) -> list[str]:
    return [problem for error in order(missing, **declared).errors for problem in error.problems]


def test_without_dependencies_the_order_is_that_of_the_names() -> None:
    assert names(c=Dependencies(), a=Dependencies(), b=Dependencies()) == "abc"


@pytest.mark.parametrize("word", ["requires", "after"])
def test_a_plugin_comes_after_what_it_names(word: str) -> None:
    assert names(a=Dependencies(**{word: ["c"]}), b=Dependencies(), c=Dependencies()) == "bca"


def test_a_plugin_comes_before_what_it_names() -> None:
    assert names(c=Dependencies(before=["a"]), a=Dependencies(), b=Dependencies()) == "bca"


def test_a_provided_name_stands_for_its_provider() -> None:
    database = Dependencies(provides=["db"])
    for word in ("requires", "after"):
        assert names(a=Dependencies(**{word: ["db"]}), z=database) == "za"
    assert names(z=Dependencies(before=["db"]), a=database) == "za"


def test_hyphens_and_underscores_are_the_same() -> None:
    other = Dependencies(provides=["my-db"])
    assert names(a_b=Dependencies(requires=["my_db", "c-d"]), x=other, c_d=Dependencies()) == (
        "c_dxa_b"
    )


@pytest.mark.parametrize("word", ["after", "before"])
def test_after_and_before_do_not_count_if_nothing_is_there(word: str) -> None:
    assert names(a=Dependencies(**{word: ["nobody"]}), b=Dependencies()) == "ab"


def test_what_is_required_must_be_there() -> None:
    assert errors(auth=Dependencies(), b=Dependencies(requires=["auht"])) == [
        'plugin "b" requires "auht", which no enabled plugin provides (did you mean "auth"?)'
    ]
    assert errors({"db": "in fps.disabled_plugins"}, b=Dependencies(requires=["db"])) == [
        'plugin "b" requires "db", which is not enabled: in fps.disabled_plugins'
    ]


def test_two_providers_of_one_name_are_refused() -> None:
    db = Dependencies(provides=["db"])
    assert errors(a=db, b=db) == ['both "a" and "b" provide "db"']
    assert errors(a=Dependencies(provides=["b"]), b=Dependencies()) == [
        'both "b" and "a" provide "b"'
    ]


def test_a_plugin_may_provide_its_own_name() -> None:
    assert names(a=Dependencies(provides=["a", "db", "db"])) == "a"


@pytest.mark.parametrize("name", ["fps", "pyproject"])
def test_a_reserved_name_is_not_provided(name: str) -> None:
    assert "reserved" in errors(a=Dependencies(provides=[name]))[0]


def test_a_star_means_all_that_are_not_otherwise_ordered() -> None:
    free = Dependencies()
    star_first, star_last = Dependencies(before=["*"]), Dependencies(after=["*"])
    assert names(a=free, b=free, z=star_first) == "zab"
    assert names(a=star_last, b=free, z=free) == "bza"
    assert names(a=star_last, b=free, y=free, z=star_first) == "zbya"
    assert names(a=Dependencies(before=["z"]), b=free, z=star_first) == "azb"


def test_two_stars_are_ordered_by_name() -> None:
    star = Dependencies(before=["*"])
    assert names(y=star, z=star, a=Dependencies()) == "yza"
    star = Dependencies(after=["*"])
    assert set(names(a=star, b=star, z=Dependencies())[1:]) == {"a", "b"}


def test_a_star_counts_as_coming_after() -> None:
    arranged = order(a=Dependencies(after=["*"]), b=Dependencies())
    assert arranged.after == {"a": {"b"}, "b": set()}
    assert arranged.requires == {"a": set(), "b": set()}


def test_a_cycle_is_shown_in_full_with_the_word_of_each_step() -> None:
    (said,) = errors(
        a=Dependencies(requires=["b"], before=["c"]),
        b=Dependencies(after=["c"]),
        c=Dependencies(),
        d=Dependencies(after=["a"]),
    )
    assert said == ("plugins cannot be ordered: a requires b, b comes after c, a comes before c")


def test_a_plugin_that_requires_itself_is_a_cycle() -> None:
    assert errors(a=Dependencies(requires=["a"])) == ["plugins cannot be ordered: a requires a"]


def test_required_by_goes_on_to_the_end() -> None:
    arranged = order(
        a=Dependencies(requires=["b"]),
        b=Dependencies(requires=["db"], after=["e"]),
        c=Dependencies(provides=["db"]),
        d=Dependencies(requires=["a"]),
        e=Dependencies(),
    )
    assert arranged.required_by(["a"]) == {"a", "b", "c"}
    assert arranged.required_by(["e"]) == {"e"}


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Dependencies]:
    """Draw what each plugin says of the others, cycles and all."""
    several = st.lists(st.sampled_from(NAMES), max_size=2)
    one = st.builds(Dependencies, requires=several, after=several, before=several)
    size = draw(st.integers(1, len(NAMES)))
    return {name: draw(one) for name in NAMES[:size]}


def wanted(declared: Mapping[str, Dependencies]) -> set[tuple[str, str]]:
    """Return each pair of an earlier and a later plugin."""
    pairs = set()
    for name, one in declared.items():
        pairs |= {(other, name) for other in (*one.requires, *one.after) if other in declared}
        pairs |= {(name, other) for other in one.before if other in declared}
    return pairs


def smallest_first(declared: Mapping[str, Dependencies]) -> list[str] | None:
    """Return the order by trying: always the first that is free; None at a cycle."""
    pairs, left, found = wanted(declared), sorted(declared), []
    while left:
        free = [name for name in left if not any((other, name) in pairs for other in left)]
        if not free:
            return None
        found.append(free[0])
        left.remove(free[0])
    return found


@given(graphs())
def test_any_graph_is_put_in_order_by_name_where_it_leaves_it_open(
    declared: dict[str, Dependencies],
) -> None:
    expected, order = smallest_first(declared), arrange(declared, {})
    if expected is None:
        assert any("cannot be ordered" in str(error) for error in order.errors)
    else:
        assert list(order.names) == expected


@given(graphs(), st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_how_plugins_were_found(
    declared: dict[str, Dependencies], chance: random.Random
) -> None:
    shuffled = list(declared)
    chance.shuffle(shuffled)
    first, second = arrange(declared, {}), arrange({name: declared[name] for name in shuffled}, {})
    assert first.names == second.names
    assert (first.after, first.requires) == (second.after, second.requires)
    assert list(map(str, first.errors)) == list(map(str, second.errors))


@given(graphs())
def test_any_cycle_is_named_in_full(declared: dict[str, Dependencies]) -> None:
    arranged = arrange(declared, {})
    said = [str(error) for error in arranged.errors if "cannot be ordered" in str(error)]
    assert bool(said) is (smallest_first(declared) is None)
    assert sorted(arranged.names) == sorted(declared)
    for line in said:
        steps = [earlier_and_later(step) for step in line.split(": ")[1].split(", ")]
        assert set(steps) <= wanted(declared)
        assert all(one[0] == other[1] for one, other in pairwise([*steps, steps[0]]))


def earlier_and_later(step: str) -> tuple[str, str]:
    match = re.fullmatch(r"(\w) (requires|comes after|comes before) (\w)", step)
    assert match
    return (match[1], match[3]) if match[2] == "comes before" else (match[3], match[1])


@given(graphs(), st.lists(st.sampled_from(NAMES)), st.lists(st.sampled_from(NAMES)))
def test_stars_never_make_a_cycle_nor_undo_what_was_said(
    declared: dict[str, Dependencies], first: list[str], last: list[str]
) -> None:
    assume(smallest_first(declared) is not None)
    starred = {
        name: Dependencies(
            requires=one.requires,
            after=[*one.after, *(["*"] if name in last else [])],
            before=[*one.before, *(["*"] if name in first else [])],
        )
        for name, one in declared.items()
    }
    arranged = arrange(starred, {})
    assert not [error for error in arranged.errors if "ordered" in str(error)]
    place = {name: index for index, name in enumerate(arranged.names)}
    assert all(place[earlier] < place[later] for earlier, later in wanted(declared))
