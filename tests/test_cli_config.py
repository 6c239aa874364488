"""`config`, `config schema` and `config init`: what is so, where it came from, what may be."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from fps_lite.config import from_mapping
from fps_lite.plugins import discover, load

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.conftest import Site

    Cli = Callable[..., subprocess.CompletedProcess[str]]

RICH = """
from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from msgspec import Meta, Struct, field
from fps_lite import PluginConfig, Secret, hookimpl

class Inner(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    depth: int = 1
    note: str | None = None

class Rich(PluginConfig, frozen=True, kw_only=True):
    text: str = 'a "quoted" \\\\ line\\nand another'
    day: date = date(2020, 1, 2)
    ratio: float = 0.5
    choice: Literal["a", "b"] = "a"
    paths: list[Path] = []
    table: dict[str, int] = {}
    inner: Inner = field(default_factory=lambda: Inner(depth=7))
    inners: list[Inner] = field(default_factory=lambda: [Inner(), Inner(note="x")])
    nothing: int | None = None
    token: Secret | None = None
    tokens: dict[str, Secret] = {}
    kebab: Annotated[int, Meta(ge=0)] = field(default=0, name="kebab-key")

@hookimpl
def config():
    return Rich
"""
NEEDS = """
from fps_lite import PluginConfig, hookimpl

class Needs(PluginConfig, frozen=True, kw_only=True):
    name: str

@hookimpl
def config():
    return Needs
"""


def shown(cli: Cli, *argv: str, **options: Any) -> dict[str, Any]:
    found = cli("config", "--json", *argv, **options)
    assert found.returncode == 0, found.stderr
    assert found.stderr == ""
    values: dict[str, Any] = json.loads(found.stdout)
    return values


def without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_null(one) for key, one in value.items() if one is not None}
    return [without_null(one) for one in value] if isinstance(value, list) else value


@pytest.fixture
def layered(work: Path) -> dict[str, str]:
    """Put `hello.count` into every layer; return the environment for it."""
    home = os.environ["XDG_CONFIG_HOME"]
    shared = Path(home, "fps-lite", "fps.toml")
    shared.parent.mkdir(parents=True)
    shared.write_text("[hello]\ncount = 2\n")
    (work / "fps.toml").write_text("# top\n[hello]\ncount = 3\n")
    (work / "hello.toml").write_text("[hello]\n  count = 4\n")
    (work / "five.toml").write_text("[hello]\ncount = 5\n")
    (work / "six.toml").write_text("[hello]\ncount = 6\n")
    return {**os.environ, "FPS_CONFIG_FILE": "five.toml", "FPS_LITE__HELLO__COUNT": "7"}


def test_origin_of_a_value_and_all_that_it_overrides(cli: Cli, layered: dict[str, str]) -> None:
    home = os.environ["XDG_CONFIG_HOME"]
    argv = ["--origin", "--config", "six.toml", "--hello.count=8"]
    leaf = shown(cli, *argv, env=layered)["hello"]["count"]
    assert leaf == {
        "value": 8,
        "origin": "--hello.count",
        "overrides": [
            {"value": "7", "origin": "FPS_LITE__HELLO__COUNT"},
            {"value": 6, "origin": "six.toml:2:9"},
            {"value": 5, "origin": "five.toml:2:9"},
            {"value": 4, "origin": "hello.toml:2:11"},
            {"value": 3, "origin": "fps.toml:3:9"},
            {"value": 2, "origin": f"{home}/fps-lite/fps.toml:2:9"},
            {"value": 0, "origin": "default"},
        ],
    }
    text = cli("config", *argv, env=layered).stdout
    (line,) = (line for line in text.splitlines() if line.startswith("count = "))
    assert line.startswith("count = 8  # --hello.count, overrides ")
    assert "3 (fps.toml:3:9), overrides 2 (" in line
    assert line.endswith("overrides 0 (default)")


def test_every_leaf_has_the_same_form(cli: Cli, site: Site) -> None:
    site.plugin("rich", RICH)
    plain = shown(cli, "--rich.table={a = 1, b = 2}")
    full = shown(cli, "--rich.table={a = 1, b = 2}", "--origin")

    def values(tree: dict[str, Any]) -> dict[str, Any]:
        if set(tree) == {"value", "origin", "overrides"}:
            return tree["value"]  # type: ignore[no-any-return]
        return {key: values(inner) for key, inner in tree.items()}

    assert values(full) == plain
    assert full["rich"]["inner"]["depth"] == {"value": 7, "origin": "default", "overrides": []}
    assert full["rich"]["table"]["b"] == {"value": 2, "origin": "--rich.table", "overrides": []}


def test_tables_without_a_struct_are_merged_and_shown_key_by_key(
    cli: Cli, site: Site, work: Path
) -> None:
    site.plugin("rich", RICH)
    (work / "fps.toml").write_text('[rich.table]\na = 1\n"odd key" = 2\n')
    (work / "rich.toml").write_text("[rich]\ntable.a = 3\n")
    leaves = shown(cli, "--origin")["rich"]["table"]
    below = [{"value": 1, "origin": "fps.toml:2:5"}]
    assert leaves == {
        "a": {"value": 3, "origin": "rich.toml:2:11", "overrides": below},
        "odd key": {"value": 2, "origin": "fps.toml:3:13", "overrides": []},
    }


def test_text_form_is_toml_with_the_same_values(cli: Cli, site: Site, work: Path) -> None:
    site.plugin("rich", RICH)
    (work / "fps.toml").write_text('[rich]\ntable = {a = 1, "x y" = 2}\npaths = ["a"]\n')
    for argv in ([], ["--origin"]):
        found = cli("config", *argv)
        assert (found.returncode, found.stderr) == (0, "")
        assert tomllib.loads(found.stdout) == without_null(shown(cli))
    assert "# nothing is not set" in found.stdout


def test_prefixed_and_renamed_keys_are_shown_as_they_are_written(cli: Cli, site: Site) -> None:
    site.plugin("rich", RICH)
    leaf = shown(cli, "--origin", "--rich.kebab-key=3")["rich"]["kebab-key"]
    assert (leaf["value"], leaf["origin"]) == (3, "--rich.kebab-key")


@pytest.mark.parametrize("argv", [[], ["--origin"], ["--json"], ["--json", "--origin"]])
def test_secrets_are_masked_in_every_form_and_layer(
    cli: Cli, site: Site, work: Path, argv: list[str]
) -> None:
    site.plugin("rich", RICH)
    (work / "word").write_text("s3cret-file\n")
    (work / "fps.toml").write_text(
        '[rich]\ntoken = ["s3cret-low"]\ntokens = {a = "s3cret-a", b = {file = "word"}}\n'
        'text = "the s3cret-a is s3cret-env"\n'
    )
    (work / "rich.toml").write_text('[rich]\ntokens.a = "s3cret-a"\ntoken = "s3cret-mid"\n')
    env = {**os.environ, "FPS_LITE__RICH__TOKEN": '{ env = "WORD" }', "WORD": "s3cret-env"}
    found = cli("config", *argv, env=env)
    assert (found.returncode, found.stderr) == (0, "")
    assert "s3cret" not in found.stdout
    assert "the *** is ***" in found.stdout
    assert found.stdout.count("***") >= 5


def test_secret_of_the_wrong_kind_is_not_shown(cli: Cli, site: Site, work: Path) -> None:
    site.plugin("rich", RICH)
    (work / "fps.toml").write_text('[rich]\ntoken = ["s3cret"]\n[fps]\nport = "s3cret"\n')
    found = cli("config", "--origin")
    assert found.returncode == 3
    assert "fps.toml:2:9: rich.token" in found.stderr
    assert "s3cret" not in found.stdout


def test_config_shows_what_it_can_and_then_the_problems(cli: Cli, site: Site, work: Path) -> None:
    site.plugin("broken", "import nowhere")
    (work / "fps.toml").write_text("[fps]\nport = 70000\n[hello]\ncount = 3\n")
    found = cli("config", "--json")
    assert found.returncode == 3
    values = json.loads(found.stdout)
    assert values["hello"]["count"] == 3
    assert values["fps"]["port"] == 8000
    leaf = json.loads(cli("config", "--json", "--origin").stdout)["fps"]["port"]
    assert leaf == {"value": 8000, "origin": "default", "overrides": []}
    assert "fps.toml:2:8: fps.port" in found.stderr
    assert "nowhere" in found.stderr


def test_failed_plugin_alone_is_code_4_and_takes_nothing_down(cli: Cli, site: Site) -> None:
    site.plugin("broken", "import nowhere")
    for argv in (["config", "--json"], ["config", "schema"], ["config", "init"]):
        found = cli(*argv)
        assert found.returncode == 4, argv
        assert "greeting" in found.stdout
        assert re.fullmatch(r'plugin "broken" \(broken 1.0\): .*nowhere.*\n', found.stderr)


def test_disabled_plugin_is_not_imported_nor_shown(cli: Cli, site: Site) -> None:
    site.plugin("broken", "raise SystemExit('imported')")
    found = cli("config", "--json", "--disable", "broken")
    assert (found.returncode, found.stderr) == (0, "")
    assert "broken" not in json.loads(found.stdout)


def test_config_commands_import_no_routes(cli: Cli, site: Site) -> None:
    site.install(
        "split",
        {
            "fps_lite.config": {"split": "split_config"},
            "fps_lite.routes": {"split": "split_routes"},
        },
        {"split_config": NEEDS, "split_routes": "raise SystemExit('imported')"},
    )
    for argv in (["config"], ["config", "schema"], ["config", "init"]):
        found = cli(*argv, "--split.name=x")
        assert (found.returncode, found.stderr) == (0, "")


ACCEPTED: list[dict[str, Any]] = [
    {},
    {"fps": {"port": 1, "bind": []}},
    {"fps": {"hypercorn": {"certfile": "a", "keyfile": "b"}}},
    {"hello": {"greeting": "hi", "count": 3, "enabled": False, "prefix": "/x"}},
    {"rich": {"token": "x"}},
    {"rich": {"token": {"env": "WORD"}}},
    {"rich": {"token": {"file": "word"}, "tokens": {"a": "b"}}},
    {"rich": {"inner": {"depth": 3, "note": "n"}, "inners": [{"depth": 1}], "kebab-key": 1}},
    {"rich": {"paths": ["a"], "ratio": 1, "choice": "b", "table": {"a": 1}}},
]
REFUSED: list[dict[str, Any]] = [
    {"fsp": {}},
    {"hello": {"greetng": "hi"}},
    {"hello": {"count": -1}},
    {"hello": {"count": "1"}},
    {"hello": {"enabled": 1}},
    {"hello": {"prefix": "x"}},
    {"hello": 3},
    {"fps": {"port": 70000}},
    {"fps": {"hypercorn": {"workers": 1}}},
    {"fps": {"logging": {"level": "loud"}}},
    {"rich": {"token": {"env": 3}}},
    {"rich": {"token": {"env": "WORD", "file": "word"}}},
    {"rich": {"kebab": 1}},
    {"rich": {"kebab-key": -1}},
    {"rich": {"inner": {"depths": 3}}},
    {"rich": {"inners": [{"depth": "x"}]}},
    {"rich": {"choice": "c"}},
    {"rich": {"table": {"a": "x"}}},
]


def test_schema_accepts_what_check_accepts(
    cli: Cli, site: Site, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.plugin("rich", RICH)
    schema = json.loads(cli("config", "schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    monkeypatch.setenv("WORD", "x")
    (work / "word").touch()
    for values in [*ACCEPTED, *REFUSED]:
        problems = load(from_mapping(values, directory=work), discover(), ("config",)).errors
        assert bool(problems) == (values in REFUSED), (values, problems)
        assert validator.is_valid(values) == (values in ACCEPTED), values


def test_schema_lets_a_disabled_plugins_table_be(cli: Cli, site: Site) -> None:
    site.plugin("rich", RICH)
    schema = json.loads(cli("config", "schema", "--disable", "rich").stdout)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({"rich": {"anything": 1, "enabled": False}})
    assert not validator.is_valid({"rich": {"enabled": "no"}})


def uncommented(text: str) -> str:
    """Take the `# ` from every key and table, as a person would who wants it all."""
    return re.sub(r"^# (?=\[|[\w\"-]+ = )", "", text, flags=re.MULTILINE)


def test_starter_is_all_commented_and_changes_nothing(cli: Cli, site: Site, work: Path) -> None:
    site.plugin("rich", RICH)
    found = cli("config", "init")
    assert (found.returncode, found.stderr) == (0, "")
    assert all(line.startswith("#") for line in found.stdout.splitlines() if line)
    assert tomllib.loads(found.stdout) == {}
    before = shown(cli)
    (work / "fps.toml").write_text(found.stdout)
    assert shown(cli) == before


def test_starter_without_its_comments_is_valid_and_changes_nothing(
    cli: Cli, site: Site, work: Path
) -> None:
    site.plugin("rich", RICH)
    before = shown(cli)
    text = uncommented(cli("config", "init").stdout)
    values = tomllib.loads(text)
    assert set(values) >= {"fps", "hello", "static", "rich"}
    assert values["hello"]["greeting"] == "hello"
    assert values["rich"]["inner"] == {"depth": 7}
    (work / "fps.toml").write_text(text)
    checked = cli("check")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert shown(cli) == before
    # Not one line that holds a default is left commented.
    assert not re.search(r"^# [\w-]+ = ", text, re.MULTILINE)


def test_starter_names_keys_that_have_no_default(cli: Cli, site: Site) -> None:
    site.plugin("needs", NEEDS)
    found = cli("config", "init", "--needs.name=x")
    assert "## name =  # str, required" in found.stdout.splitlines()
    assert "## certfile =  # path" in found.stdout.splitlines()


@pytest.mark.parametrize("sub", ["schema", "init"])
def test_schema_and_starter_need_no_valid_values(cli: Cli, work: Path, sub: str) -> None:
    (work / "fps.toml").write_text("[hello]\ncount = -1\nmisspelt = 1\n[fps]\nport = -1\n")
    found = cli("config", sub)
    assert (found.returncode, found.stderr) == (0, "")
    assert "greeting" in found.stdout


def test_config_of_no_value_in_a_file_writes_none(cli: Cli, work: Path) -> None:
    for argv in ([], ["schema"], ["init"]):
        assert cli("config", *argv).returncode == 0
    assert list(work.iterdir()) == []
