"""JSON as Starlette sends it, of more types, and without what must not be shown."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import math
import uuid
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import starlette.responses
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.routing import Route
from starlette.testclient import TestClient

from fps_lite import JSONResponse, Secret


class Bird(msgspec.Struct):
    name: str
    seen: dt.datetime


@dataclass
class Plain:
    number: int


class Kind(enum.Enum):
    WREN = "wren"


class Text(str):
    __slots__ = ()


class Number(int):
    pass


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc/é"), inner),
    max_leaves=20,
)


@given(VALUES)
def test_means_what_starlette_sends(value: object) -> None:
    ours, theirs = JSONResponse(value), starlette.responses.JSONResponse(value)
    assert json.loads(bytes(ours.body)) == json.loads(bytes(theirs.body))
    assert {**dict(ours.headers), "content-length": ""} == {
        **dict(theirs.headers),
        "content-length": "",
    }


def test_text_is_written_as_starlette_does() -> None:
    value = {"a": ["é", 1, 1.5, None, True], "b": "\n\u2028"}
    assert JSONResponse(value).body == starlette.responses.JSONResponse(value).body


@pytest.mark.parametrize(
    "value, written",
    [
        (Bird("wren", dt.datetime(2020, 1, 2, tzinfo=dt.UTC)),
         '{"name":"wren","seen":"2020-01-02T00:00:00Z"}'),
        (Plain(5), '{"number":5}'),
        (Kind.WREN, '"wren"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (decimal.Decimal("1.10"), '"1.10"'),
        (dt.timedelta(days=1), '"P1D"'),
        ({1: {2}}, '{"1":[2]}'),
        (b"x", '"eA=="'),
        (2**70, str(2**70)),
        ([math.nan, -math.inf], "[null,null]"),
        ([Text("a"), Number(5)], '["a",5]'),
        ({"token": Secret("hunter2")}, '{"token":"***"}'),
    ],
)  # fmt: skip
def test_more_types_are_written(value: Any, written: str) -> None:
    assert bytes(JSONResponse(value).body).decode() == written


def test_what_cannot_be_written_is_named() -> None:
    with pytest.raises(TypeError, match='a "range" cannot be written as JSON'):
        JSONResponse({"a": range(3)})


def test_takes_what_every_response_takes() -> None:
    done: list[str] = []

    async def page(_: object) -> JSONResponse:
        task = BackgroundTask(done.append, "done")
        return JSONResponse({"a": 1}, 201, {"x-a": "b"}, background=task)

    answer = TestClient(Starlette(routes=[Route("/", page)])).get("/")
    assert (answer.status_code, answer.json(), answer.headers["x-a"]) == (201, {"a": 1}, "b")
    assert answer.headers["content-type"] == "application/json"
    assert done == ["done"]
