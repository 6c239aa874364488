"""A config model that cannot be used, and values for one that are no table: one line each."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from fps_lite import ConfigError, PluginConfig, PluginError, Secret, create_app, hookimpl
from fps_lite.config import from_mapping, read
from fps_lite.plugins import Discovery, Loaded, from_objects, load

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.conftest import Site

UNRESOLVED = """
    from __future__ import annotations

    from typing import TYPE_CHECKING

    from fps_lite import PluginConfig
    from fps_lite.hooks import register_config

    if TYPE_CHECKING:
        from pathlib import Path

    class C(PluginConfig):
        where: Path | None = None

    config = register_config(C)
"""
NOT_DEFINED = (
    "config model C: name 'Path' is not defined at run time: import it outside TYPE_CHECKING"
)


class Vault(PluginConfig, frozen=True):
    token: Secret | None = None
    count: int = 0


def plugin(model: type) -> Any:
    return SimpleNamespace(config=hookimpl(lambda: model))


def loaded(config: Any, **models: type) -> Loaded:
    found = from_objects({name: plugin(model) for name, model in models.items()})
    return load(from_mapping(config, directory=Path()), found)


def lines(subject: Loaded | Discovery) -> list[str]:
    return [problem for error in subject.errors for problem in error.problems]


def model(kind: Any) -> type:
    return msgspec.defstruct("C", [("x", kind)], bases=(PluginConfig,), frozen=True)


# A model


@pytest.mark.parametrize(
    "kind, said",
    [
        ("Nowhere", "name 'Nowhere' is not defined at run time: import it outside TYPE_CHECKING"),
        ("msgspec.nothing", "AttributeError: "),
        ("list[", "SyntaxError: "),
        (list[int] | set[int], "Type unions may not contain more than one array-like"),
        (Secret | int | None, "Secret | int | None is not supported: write Secret | None, without"),
        (list.__class_getitem__("Nowhere"), "name 'Nowhere' is not defined"),
        (msgspec.defstruct("In", [("y", "Nowhere")]), "name 'Nowhere' is not defined"),
    ],
)
def test_a_model_that_msgspec_cannot_use_is_its_plugins_fault(kind: Any, said: str) -> None:
    subject = loaded({"b": {"count": "x"}}, a=model(kind), b=Vault)
    first, second = lines(subject)
    assert first.startswith('plugin "a": config model C: ')
    assert said in first
    assert "\n" not in first
    assert second == 'config: b.count: expected int, got "x"'
    assert [type(error) for error in subject.errors] == [PluginError, ConfigError]
    assert subject.plugins["a"].failure


def test_an_isolated_plugin_may_have_such_a_model() -> None:
    subject = loaded({"a": {"on_failure": "isolate"}}, a=model("Nowhere"))
    assert lines(subject) == []
    assert "Nowhere" in subject.plugins["a"].failure


@pytest.mark.parametrize("argv", [["check"], ["config"], ["config", "schema"], ["request", "/"]])
def test_each_command_names_the_plugin_of_such_a_model(
    site: Site, cli: Callable[..., subprocess.CompletedProcess[str]], argv: list[str]
) -> None:
    site.plugin("pp", UNRESOLVED)
    found = cli(*argv)
    assert found.returncode == 4
    assert [line for line in found.stderr.splitlines() if "pp" in line] == [
        f'plugin "pp" (pp 1.0): {NOT_DEFINED}'
    ]
    assert "Traceback" not in found.stderr


def test_create_app_names_the_plugin_of_such_a_model() -> None:
    with pytest.raises(PluginError) as caught:
        create_app({}, plugins={"pp": plugin(model("Nowhere"))})
    assert caught.value.problems == (f'plugin "pp": {NOT_DEFINED.replace("Path", "Nowhere")}',)


# Values


@pytest.mark.parametrize("value", [3, "hush"])
def test_a_table_that_is_none_is_reported_once(value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        create_app({"a": value, "fps": value}, plugins={"a": plugin(Vault)})
    got = type(value).__name__
    assert caught.value.problems == (
        f"config: fps: expected table, got {got}",
        f"config: a: expected table, got {got}",
    )


def test_text_that_is_a_table_with_a_typo_is_reported_once_and_not_shown(
    site: Site, cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    site.plugin("pp", UNRESOLVED.replace("if TYPE_CHECKING", "if True"))
    found = cli("check", "--pp={where='geheim', prefix='/x'")
    assert found.returncode == 2, "a table alone is no dotted option"
    found = cli("check", "--fps.logging={level='geheim'", "--fps.debug=maybe")
    assert found.stderr.splitlines() == [
        "--fps.logging: fps.logging: invalid TOML: Unclosed inline table (column 16)",
        '--fps.debug: fps.debug: expected bool, got "maybe"',
        "2 problems",
    ]
    assert found.returncode == 3


def test_all_bad_files_are_reported_with_the_faults_of_the_core_and_nothing_is_imported(
    tmp_path: Path, site: Site
) -> None:
    site.plugin("pp", "raise ImportError('imported')")
    (tmp_path / "fps.toml").write_text("[fps]\nport = 'x'\n[pp]\nprefix = 3\n")
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text("[pp\n")
    config = read(
        directory=tmp_path, environ={}, files=["one.toml", "two.toml"], shared_directories=()
    )
    found = from_objects({"pp": SimpleNamespace()})
    assert [line.partition(", got")[0] for line in lines(load(config, found))] == [
        "one.toml:1:4: invalid TOML: Expected ']' at the end of a table declaration",
        "two.toml:1:4: invalid TOML: Expected ']' at the end of a table declaration",
        "fps.toml:2:8: fps.port: expected int >= 0 and <= 65535",
        'fps.toml:4:10: pp.prefix: expected str ("" or like "/x")',
    ]


@pytest.mark.parametrize("config", [3, "hush", [{}]])
def test_configuration_that_is_no_mapping_is_refused(config: Any) -> None:
    with pytest.raises(ConfigError, match=r"^config: expected a mapping of tables, got \w+$"):
        create_app(config, plugins=[])


@pytest.mark.parametrize("plugins", ["p_good", 3, SimpleNamespace()])
def test_plugins_that_are_no_list_are_refused(plugins: Any) -> None:
    with pytest.raises(PluginError, match="plugins: expected plugins in a list, or a mapping"):
        create_app({}, plugins=plugins)


def test_a_name_that_is_no_text_is_taken_as_one() -> None:
    assert "cannot name a plugin" in lines(from_objects({None: plugin(Vault)}))[0]  # type: ignore[dict-item]
