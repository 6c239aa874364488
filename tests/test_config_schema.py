"""The schema takes what decoding takes; what is shown of a struct is plain."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from msgspec import UNSET, Meta, Struct, UnsetType, field

from fps_lite.config import effective, from_mapping, schema
from fps_lite.secret import Secret
from fps_lite.settings import FPSConfig, PluginConfig


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Node(Struct, frozen=True, forbid_unknown_fields=True):
    """A struct that holds itself."""

    name: str
    inner: list[Node] = field(default_factory=list)


class Cat(Struct, frozen=True, forbid_unknown_fields=True, tag="cat"):
    lives: int = 9


class Dog(Struct, frozen=True, forbid_unknown_fields=True, tag="dog"):
    name: str


class AllConfig(PluginConfig, frozen=True, rename="kebab"):
    number: Annotated[int, Meta(ge=0, lt=10)] = 3
    my_ratio: float = math.inf
    word: Annotated[str, Meta(min_length=1, max_length=3, pattern="^a", description="a word")] = "a"
    choice: Literal["a", "b", 3] = "a"
    colour: Colour = Colour.RED
    node: Node | None = None
    pet: Cat | Dog | None = None
    pair: tuple[int, str] = (1, "x")
    some: Annotated[list[bool], Meta(max_length=2)] = field(default_factory=list)
    by_name: dict[str, Node] = field(default_factory=dict)
    either: int | str | list[int] = 3
    token: Secret | None = Secret("hush")
    path: Path = Path("x")
    day: dt.date = dt.date(2024, 2, 29)
    unset: int | UnsetType = UNSET


def test_the_schema_is_valid_and_closed() -> None:
    found = schema({"fps": FPSConfig, "all": AllConfig})
    Draft202012Validator.check_schema(found)
    json.dumps(found, allow_nan=False)
    checker = Draft202012Validator(found)
    assert checker.is_valid({"fps": {"port": 1}, "all": {"my-ratio": 2}})
    assert not checker.is_valid({"other": {}})
    assert not checker.is_valid({"all": {"my_ratio": 2}})
    assert not checker.is_valid({"all": {"pet": {}}})
    assert not checker.is_valid({"all": {"node": {}}})
    assert not checker.is_valid({"fps": {"hypercorn": {"workers": 2}}})


def test_defaults_that_json_lacks_are_left_out_and_others_are_there() -> None:
    known = schema({"all": AllConfig})["$defs"]["all.AllConfig"]["properties"]
    assert known["number"]["default"] == 3
    assert known["word"]["description"] == "a word"
    assert known["some"]["default"] == []
    assert known["colour"]["default"] == "red"
    for name in ("my-ratio", "token", "path", "unset"):
        assert "default" not in known[name]
    assert "hush" not in json.dumps(known)
    assert known["path"] == {"type": "string"}


def test_structs_of_one_name_do_not_clash() -> None:
    def make(kind: Any) -> type:
        inner = msgspec.defstruct("Same", [("key", kind)], forbid_unknown_fields=True)
        return msgspec.defstruct("Same", [("one", inner)], forbid_unknown_fields=True)

    checker = Draft202012Validator(schema({"a": make(int), "b": make(str)}))
    assert checker.is_valid({"a": {"one": {"key": 1}}, "b": {"one": {"key": "x"}}})
    assert not checker.is_valid({"a": {"one": {"key": "x"}}})
    assert not checker.is_valid({"b": {"one": {"key": 1}}})


NODES: Any = st.deferred(
    lambda: st.fixed_dictionaries(
        {}, optional={"name": st.sampled_from(["n", 1]), "inner": st.lists(NODES, max_size=2)}
    )
)
VALUES: dict[str, Any] = {
    "enabled": st.sampled_from([True, False, 1, "true"]),
    "prefix": st.sampled_from(["", "/a", "a", "/a/", 3]),
    "number": st.sampled_from([0, 9, 10, -1, "3", 1.5]),
    "my-ratio": st.sampled_from([1, 1.5, "x", True]),
    "word": st.sampled_from(["a", "abc", "abcd", "b", "", 3]),
    "choice": st.sampled_from(["a", 3, 4, "c"]),
    "colour": st.sampled_from(["red", "green", 1]),
    "node": NODES,
    "pet": st.sampled_from([
        {"type": "cat"}, {"type": "cat", "lives": "x"}, {"type": "dog"}, {"type": "cow"}, {},
        {"type": "dog", "name": "d"}, {"type": "dog", "name": "d", "lives": 3}, 3,
    ]),
    "pair": st.sampled_from([[1, "x"], [1], [1, "x", 2], ["x", 1], 3]),
    "some": st.lists(st.sampled_from([True, False, 1]), max_size=3),
    "by-name": st.dictionaries(st.sampled_from(["a", "b c"]), NODES, max_size=2),
    "either": st.sampled_from([1, "x", [1], ["x"], 1.5, {}]),
    "token": st.sampled_from(["x", {"env": "HOME"}, {"env": 3}, {}, {"env": "HOME", "x": 1}, 3]),
    "path": st.sampled_from(["x", 3, ["x"]]),
    "unset": st.sampled_from([3, "x"]),
    "nonsense": st.just(1),
}  # fmt: skip
CHECKER = Draft202012Validator(schema({"all": AllConfig}))


@settings(deadline=None, max_examples=400)
@given(st.sets(st.sampled_from(sorted(VALUES)), max_size=2).flatmap(
    lambda keys: st.fixed_dictionaries({key: VALUES[key] for key in keys})
))  # fmt: skip
def test_the_schema_accepts_exactly_what_decoding_accepts(values: dict[str, Any]) -> None:
    config = from_mapping({"all": values}, directory=Path("/"))
    errors = config.decode("all", AllConfig, environ={"HOME": "x"}).errors
    assert CHECKER.is_valid({"all": values}) == (not errors)


def test_the_effective_values_are_plain() -> None:
    value = AllConfig(pet=Cat(), node=Node("a", [Node("b")]), by_name={"x": Node("y")})
    assert effective(value) == {
        "enabled": True, "prefix": "", "on_failure": "fatal",
        "number": 3, "my-ratio": math.inf, "word": "a", "choice": "a", "colour": "red",
        "node": {"name": "a", "inner": [{"name": "b", "inner": []}]},
        "pet": {"type": "cat", "lives": 9}, "pair": [1, "x"], "some": [],
        "by-name": {"x": {"name": "y", "inner": []}}, "either": 3, "token": "***", "path": "x",
        "day": "2024-02-29",
    }  # fmt: skip


def test_what_is_effective_does_not_depend_on_how_a_struct_is_encoded() -> None:
    class Terse(Struct, omit_defaults=True):
        a: int = 1

    assert effective(Terse()) == {"a": 1}
