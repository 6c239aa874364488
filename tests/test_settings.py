"""The core's own tables, every plugin's own keys, and secrets that stay secret."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from typing import TYPE_CHECKING, Any

import hypercorn.config
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fps_lite.settings import (
    FPSConfig,
    HypercornConfig,
    LoggingConfig,
    PluginConfig,
    Secret,
    Selection,
    mask,
    secrets_of,
)

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


@given(st.sets(st.text("abc", min_size=1)), st.text("abcd"))
def test_no_secret_is_left_in_a_masked_text(secrets: set[str], text: str) -> None:
    masked = mask(text, frozenset(secrets))
    assert not any(secret in masked for secret in secrets)


def test_a_plugin_has_three_keys_of_its_own() -> None:
    config = PluginConfig()
    assert (config.enabled, config.prefix, config.on_failure) == (True, "", "fatal")
    assert PluginConfig.__struct_fields__ == ("enabled", "prefix", "on_failure")


@pytest.mark.parametrize(
    "model", [PluginConfig, FPSConfig, HypercornConfig, LoggingConfig, Selection, Vault]
)
def test_a_table_is_frozen_and_refuses_unknown_keys(model: type[msgspec.Struct]) -> None:
    made = model()
    with pytest.raises(AttributeError):
        setattr(made, model.__struct_fields__[0], None)
    with pytest.raises(msgspec.ValidationError, match="unknown"):
        msgspec.convert({"no_such_key": 1}, model)


@pytest.mark.parametrize("prefix", ["", "/x", "/x/y", "/ü", "/x.y-z~"])
def test_a_prefix_is_empty_or_like_slash_x(prefix: str) -> None:
    assert msgspec.convert({"prefix": prefix}, PluginConfig).prefix == prefix


@pytest.mark.parametrize("prefix", ["x", "/", "/x/", "//x", "/x//y", "/{x}", "/x y", "/x\n", " "])
def test_any_other_prefix_is_refused(prefix: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"prefix": prefix}, PluginConfig)


@pytest.mark.parametrize(
    "table",
    [
        {"port": 65536},
        {"port": -1},
        {"port": "8000"},
        {"workers": -1},
        {"startup_timeout": 0},
        {"drain_timeout": -1.0},
        {"root_path": "/x/"},
        {"hypercorn": {"backlog": 0}},
        {"logging": {"level": "loud"}},
        {"plugins": {"a": 1}},
    ],
)
def test_a_value_out_of_bounds_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, FPSConfig)


def test_the_defaults_are_those_of_the_manual() -> None:
    config = FPSConfig()
    assert (config.host, config.port, config.bind, config.root_path) == ("127.0.0.1", 8000, [], "")
    assert (config.debug, config.reload, config.open_browser) == (False, False, False)
    assert (config.startup_timeout, config.shutdown_timeout, config.drain_timeout) == (60, 10, 10)
    assert config.enabled_plugins == config.disabled_plugins == config.required_plugins == []
    assert config.plugins == {}


def test_every_option_of_hypercorn_is_offered_moved_or_refused() -> None:
    known = {
        name
        for name, value in inspect.getmembers(hypercorn.config.Config)
        if not name.startswith("_") and not inspect.isroutine(value)
    }
    ours = {*HypercornConfig.__struct_fields__, *HypercornConfig.moved, *HypercornConfig.refused}
    not_options = {"cert_reqs", "log", "root_path", "ssl_enabled"}
    assert known - ours <= not_options
    assert ours - known <= {"application_path", *HypercornConfig.refused, *HypercornConfig.moved}


def test_no_option_of_hypercorn_is_both_offered_and_refused() -> None:
    offered, moved, refused = (
        set(HypercornConfig.__struct_fields__),
        set(HypercornConfig.moved),
        set(HypercornConfig.refused),
    )
    assert not offered & moved
    assert not offered & refused
    assert not moved & refused
    homes = {home.split(".")[1] for home in HypercornConfig.moved.values()}
    assert homes <= set(FPSConfig.__struct_fields__)
