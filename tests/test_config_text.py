"""Text becomes the type that the struct declares; TOML values are taken as they are."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta, Struct

from fps_lite.config import Option, from_mapping, read


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


class Point(Struct, frozen=True, forbid_unknown_fields=True):
    x: int
    y: int = 0


def from_text(kind: Any, text: str) -> Any:
    """Return what an option's text becomes for a field of `kind`, or the error."""
    model = msgspec.defstruct("Model", [("key", kind)], forbid_unknown_fields=True)
    config = read(
        directory=Path("/nowhere"),
        environ={},
        options=[Option("--t.key", ("t", "key"), text)],
        shared_directories=(),
    )
    decoded = config.decode("t", model)
    if decoded.errors:
        return "\n".join(map(str, decoded.errors)).removeprefix("--t.key: ")
    return getattr(decoded.value, "key")  # noqa: B009 - the struct is made above


@pytest.mark.parametrize(
    "kind, text, value",
    [
        (int, "10", 10), (int, "-3", -3), (int, "0o777", 0o777), (int, "1_000", 1000),
        (int, "0x10", 16), (int, "007", 7),
        (float, "1.5", 1.5), (float, "10", 10.0), (float, "1e3", 1000.0),
        (str, "10", "10"), (str, "a,b", "a,b"), (str, "", ""), (str, "[1]", "[1]"),
        (str, "true", "true"), (str, '"q"', '"q"'), (str, "{a = 1}", "{a = 1}"),
        (bool, "true", True), (bool, "1", True), (bool, "Yes", True), (bool, "on", True),
        (bool, "FALSE", False), (bool, "0", False), (bool, "no", False), (bool, "off", False),
        (int | None, "4", 4), (int | None, "none", None), (int | None, "null", None),
        (str | None, "none", "none"), (str | None, "x", "x"),
        (int | str, "10", 10), (int | str, "x", "x"), (int | str, "1.5", "1.5"),
        (int | float, "1", 1), (int | float, "1.5", 1.5), (bool | int, "1", 1),
        (bool | int, "true", True), (bool | str, "yes", "yes"), (bool | str, "true", True),
        (bool | None, "yes", True),
        (Literal["a", 1], "a", "a"), (Literal["a", 1], "1", 1), (Literal["a"] | None, "none", None),
        (Colour, "red", Colour.RED), (Level, "1", Level.LOW),
        (dt.date, "2024-02-29", dt.date(2024, 2, 29)), (dt.time, "12:30:00", dt.time(12, 30)),
        (dt.datetime, "2024-02-29T00:00:00", dt.datetime(2024, 2, 29)),  # noqa: DTZ001
        (dt.timedelta, "PT1H", dt.timedelta(hours=1)),
        (decimal.Decimal, "1.10", decimal.Decimal("1.10")),
        (uuid.UUID, "0" * 32, uuid.UUID(int=0)),
        (bytes, "aGk=", b"hi"),
        (Path, "a", Path("/nowhere/a")), (Path | None, "/a", Path("/a")),
        (list[str], "a,b", ["a", "b"]), (list[str], "a", ["a"]), (list[str], "", []),
        (list[str], "a, b", ["a", "b"]), (list[str], "[::1]:80,x", ["[::1]:80", "x"]),
        (list[str], "[::1]", ["[::1]"]), (list[str], '["a,b"]', ["a,b"]), (list[str], "1", ["1"]),
        (list[int], "1,2", [1, 2]), (list[int], "[1, 2]", [1, 2]),
        (list[bool], "on,0", [True, False]),
        (list[int | str], "1,x", [1, "x"]), (list[Path], "a", [Path("/nowhere/a")]),
        (list[str] | str, "a,b", "a,b"), (list[str] | str, "['a']", ["a"]),
        (list[int] | None, "1,2", [1, 2]), (list[list[int]], "[[1], []]", [[1], []]),
        (set[int], "1,1", {1}), (frozenset[str], "a", frozenset("a")),
        (tuple[int, str], "1,2", (1, "2")), (tuple[int, ...], "1,2,3", (1, 2, 3)),
        (list[Point], "[{x = 1}]", [Point(1)]),
        (Point, "{x = 1, y = 2}", Point(1, 2)), (Point | None, "{x = 1}", Point(1)),
        (Point | None, "none", None), (dict[str, int], "{a = 1}", {"a": 1}),
        (dict[int, str], "{1 = 'a'}", {1: "a"}),
        (Point | str, "{x = 1}", Point(1)), (Point | str, "x", "x"),
        (Any, "10", 10), (Any, "x", "x"), (Any, "[1]", [1]), (Any, "true", True),
    ],
)  # fmt: skip
def test_text_becomes_the_declared_type(kind: Any, text: str, value: Any) -> None:
    found = from_text(kind, text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "kind, text, error",
    [
        (int, "http", 't.key: expected int, got "http"'),
        (int, "", 't.key: expected int, got ""'),
        (int, "1.0", 't.key: expected int, got "1.0"'),
        (int, "9" * 10_000, f't.key: expected int, got "{"9" * 59}…"'),
        (Annotated[int, Meta(ge=0)] | None, "-3", "t.key: expected int >= 0, got -3"),
        (bool, "maybe", 't.key: expected bool, got "maybe"'),
        (Literal["a", "b"], "c", 't.key: expected "a" or "b", got "c"'),
        (Colour, "green", 't.key: expected "red" or "blue", got "green"'),
        (dt.date, "soon", 't.key: expected date, got "soon"'),
        (list[int], "1,x", 't.key[1]: expected int, got "x"'),
        (list[int], "[1, '2']", 't.key[1]: expected int, got "2"'),
        (list[str], "[1]", "t.key[0]: expected str, got 1"),
        (tuple[int, str], "1", "t.key: expected array, got length 1"),
        (Point, "x", "t.key: expected table, got str"),
        (Point | None, "x", "t.key: expected table, got str"),
        (Point | int, "{x = ", "t.key: expected table or int, got str"),
        (Point, "{x = '1'}", 't.key.x: expected int, got "1"'),
        (Point, "{y = 1}", "t.key.x: missing, expected int"),
        (Point, "{x = 1}\ny = 1", "t.key: invalid TOML: more than one value"),
        (Point, "{x = " + "[" * 5000, "t.key: tables or arrays nest too deep"),
        (Point | None, "{x = 1 y", "t.key: invalid TOML: Unclosed inline table (column 8)"),
        (Point, " {x = [\n1 2]}", "t.key: invalid TOML: Unclosed array (line 2, column 3)"),
        (Point, "{x = 1", "t.key: invalid TOML: Unclosed inline table (column 7)"),
        (
            Point,
            "{x = " + "9" * 5000 + "}",
            "t.key: invalid TOML: an integer of too many digits (column 6)",
        ),
        (dict[str, int], "{x = }", "t.key: invalid TOML: Invalid value (column 6)"),
        (list[Point], "[{x = 1}", "t.key: invalid TOML: Unclosed array (column 9)"),
        (list[Point], "x", "t.key[0]: expected table, got str"),
        (int | bool, "x", 't.key: expected int or bool, got "x"'),
        (Path, "\0", "t.key: expected path, got a text with a NUL character"),
    ],
)
def test_text_that_does_not_fit_is_shown_as_what_it_is(kind: Any, text: str, error: str) -> None:
    assert from_text(kind, text) == error


@pytest.mark.parametrize(
    "kind, value",
    [
        (int, "10"), (int, 1.0), (int, True), (float, "1.5"), (bool, 1), (bool, "true"), (str, 10),
        (list[str], "a,b"), (list[int], ["1"]), (Literal[1], "1"), (Path, 3), (Point, "{x = 1}"),
    ],
)  # fmt: skip
def test_values_of_files_and_mappings_are_strict(kind: Any, value: Any) -> None:
    model = msgspec.defstruct("Model", [("key", kind)])
    config = from_mapping({"t": {"key": value}}, directory=Path())
    (error,) = config.decode("t", model).errors
    assert str(error).startswith("config: t.key")


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_any_text_is_itself_for_a_str(text: str) -> None:
    assert from_text(str, text) == text
    assert from_text(str | None, text) == text


@settings(deadline=None)
@given(st.text(max_size=20), st.sampled_from([int, float, bool, list[int], Point, Colour, dt.date]))
def test_no_text_makes_reading_fail(text: str, kind: Any) -> None:
    assert from_text(kind, text) is not None
