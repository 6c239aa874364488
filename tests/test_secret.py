"""A secret stays secret: only `reveal()` gives its text, and known texts are masked."""

from __future__ import annotations

import copy
import json
import pickle
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fps_lite.secret import Secret, mask, secrets_of
from fps_lite.settings import PluginConfig

if TYPE_CHECKING:
    from collections.abc import Callable

HIDDEN = "hunter2"


class Vault(PluginConfig, frozen=True):
    token: Secret | None = None
    others: dict[str, list[Secret]] = {}  # noqa: RUF012 - msgspec copies it


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        "{}".format,
        "{!r}".format,
        lambda one: f"{one:>3}",
        lambda one: "%s" % one,  # noqa: UP031
        lambda one: json.loads(json.dumps(one, default=str)),
        lambda one: msgspec.json.decode(msgspec.json.encode(one, enc_hook=str)),
    ],
)
def test_a_secret_shows_as_stars(show: Callable[[Secret], str]) -> None:
    assert show(Secret(HIDDEN)) == "***"


def test_only_reveal_gives_the_text_of_a_secret() -> None:
    assert Secret(HIDDEN).reveal() == HIDDEN
    assert not hasattr(Secret(HIDDEN), "__dict__")
    assert HIDDEN not in repr(Vault(token=Secret(HIDDEN), others={"a": [Secret(HIDDEN)]}))


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_neither_pickled_nor_copied(copied: Callable[[Secret], Any]) -> None:
    with pytest.raises(TypeError, match="reveal"):
        copied(Secret(HIDDEN))


def test_json_does_not_write_a_secret_by_accident() -> None:
    with pytest.raises(TypeError):
        json.dumps(Secret(HIDDEN))
    with pytest.raises(TypeError):
        msgspec.json.encode(Vault(token=Secret(HIDDEN)))


@given(st.text(), st.text())
def test_secrets_are_equal_if_their_texts_are(one: str, other: str) -> None:
    assert (Secret(one) == Secret(other)) is (one == other)
    assert hash(Secret(one)) == hash(Secret(one))


def test_a_secret_of_bytes_that_are_no_text_is_compared_too() -> None:
    undecodable = b"\xff\xfe".decode("utf-8", "surrogateescape")
    assert Secret(undecodable) == Secret(undecodable)
    assert Secret(undecodable) != Secret("?")


def test_a_secret_is_not_its_text() -> None:
    assert Secret(HIDDEN) != HIDDEN
    assert not isinstance(Secret(HIDDEN), str)


def test_every_secret_of_a_config_is_found_at_any_depth() -> None:
    vault = Vault(token=Secret("one"), others={"a": [Secret("two"), Secret("three")]})
    assert secrets_of([vault, {"b": (Secret("four"),)}, 5]) == {"one", "two", "three", "four"}


def test_an_empty_secret_masks_nothing() -> None:
    assert secrets_of(Secret("")) == frozenset()


def test_a_secret_inside_a_longer_one_leaves_nothing_of_the_longer() -> None:
    assert mask("abc and ab", frozenset({"ab", "abc"})) == "*** and ***"


@pytest.mark.parametrize("quoted", [quote, quote_plus, partial(quote, safe="")])
@pytest.mark.parametrize("text", ["pa/ss w&rd", "a+b/ü%20", "x=%"])
def test_a_secret_is_masked_as_a_url_has_it(quoted: Callable[[str], str], text: str) -> None:
    assert mask(f"http://u:{quoted(text)}@host/?q=1", {text}) == "http://u:***@host/?q=1"


def test_bytes_that_are_no_text_are_masked_as_a_url_has_them() -> None:
    undecodable = b"\xff/x".decode("utf-8", "surrogateescape")
    assert mask("?q=%FF%2Fx", {undecodable}) == "?q=***"
    assert mask("clean", {"\ud800"}) == "clean"


@given(st.sets(st.text("abc", min_size=1)), st.text("abcd"))
def test_no_secret_is_left_in_a_masked_text(secrets: set[str], text: str) -> None:
    masked = mask(text, frozenset(secrets))
    assert not any(secret in masked for secret in secrets)
