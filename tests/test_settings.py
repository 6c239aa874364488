"""The core's own tables, and every plugin's own keys."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import hypercorn.config
import msgspec
import pytest

from fps_lite.settings import FPSConfig, HypercornConfig, LoggingConfig, PluginConfig, Selection

if TYPE_CHECKING:
    from pathlib import Path


def test_a_plugin_has_three_keys_of_its_own() -> None:
    config = PluginConfig()
    assert (config.enabled, config.prefix, config.on_failure) == (True, "", "fatal")
    assert PluginConfig.__struct_fields__ == ("enabled", "prefix", "on_failure")


@pytest.mark.parametrize(
    "model", [PluginConfig, FPSConfig, HypercornConfig, LoggingConfig, Selection]
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


@pytest.mark.slow
def test_a_checker_takes_a_plugins_config_for_frozen(tmp_path: Path) -> None:
    file = tmp_path / "fps_typed.py"
    file.write_text(
        "from fps_lite import PluginConfig\n"
        "class Short(PluginConfig):\n    first: str = ''\n"
        "class Spelled(PluginConfig, frozen=True):\n    needed: int\n"
        "Short(first='x', prefix='/x'), Spelled(needed=1)\n"
        "Short().first = 'y'\n"
    )
    checker = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(file)]
    found = subprocess.run(checker, capture_output=True, text=True, check=False, timeout=300)
    (line, _) = found.stdout.splitlines()
    assert ':7: error: Property "first" defined in "Short" is read-only' in line
