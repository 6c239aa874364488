"""Tables merge key by key at every depth; everything else is replaced; the higher wins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fps_lite.config import Config, Layer
from fps_lite.config.merge import merge

KEYS = st.sampled_from("abc")
LEAF = st.one_of(st.integers(), st.booleans(), st.text(max_size=2), st.lists(st.integers()))
TREE: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    KEYS, st.recursive(LEAF, lambda inner: st.dictionaries(KEYS, inner), max_leaves=6)
)
# Where one key is a table in one layer and a value in another, the order of merging counts.
FLAT = st.dictionaries(KEYS, LEAF)
SHAPED = st.fixed_dictionaries(
    {}, optional={"a": LEAF, "b": FLAT, "c": st.dictionaries(KEYS, FLAT)}
)


def at(tree: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def paths(tree: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the path of each leaf and each empty table."""
    if isinstance(tree, dict) and tree:
        return [leaf for key, one in tree.items() for leaf in paths(one, (*path, key))]
    return [path] if path else []


@settings(deadline=None)
@given(TREE, TREE)
def test_every_leaf_of_the_higher_layer_survives(low: Any, high: Any) -> None:
    merged = merge(low, high)
    for path in paths(high):
        if at(high, path) != {}:
            assert at(merged, path) == at(high, path)


@settings(deadline=None)
@given(TREE, TREE)
def test_what_the_higher_layer_does_not_touch_stays(low: Any, high: Any) -> None:
    merged = merge(low, high)
    for key, value in low.items():
        if key not in high:
            assert merged[key] == value


@settings(deadline=None)
@given(SHAPED, SHAPED, SHAPED)
def test_the_order_of_merging_does_not_matter(a: Any, b: Any, c: Any) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@settings(deadline=None)
@given(TREE)
def test_merging_with_itself_or_nothing_changes_nothing(tree: Any) -> None:
    assert merge(tree, tree) == merge(tree, {}) == merge({}, tree) == tree


def test_arrays_are_replaced_and_tables_merge_at_every_depth() -> None:
    low = {"a": {"b": {"c": [1, 2], "d": 1}}, "e": {"f": 1}}
    high = {"a": {"b": {"c": [3]}}, "e": 2}
    assert merge(low, high) == {"a": {"b": {"c": [3], "d": 1}}, "e": 2}


@settings(deadline=None)
@given(TREE, TREE)
def test_merging_changes_neither_layer(low: Any, high: Any) -> None:
    before = repr((low, high))
    merge(low, high)
    assert repr((low, high)) == before


@settings(deadline=None)
@given(st.lists(TREE, min_size=1, max_size=4))
def test_the_first_of_a_values_history_is_the_merged_value(trees: list[Any]) -> None:
    layers = [Layer(str(number), {"table": tree}) for number, tree in enumerate(trees)]
    config = Config(tuple(layers), Path())
    for path in paths(config.table("table")):
        where, value = config.history("table", *path)[0]
        assert value == at(config.table("table"), path)
        assert where == config.where("table", *path)
        assert at(trees[int(where)], path) == value
