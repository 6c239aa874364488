"""The acceptance list, configuration: lines 6-13 and 15, and all faults at once."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from starlette.testclient import TestClient

from fps_lite import ConfigError, create_app

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Server, Site

    Cli = Callable[..., subprocess.CompletedProcess[str]]
    Serve = Callable[..., Server]
    Snapshot = dict[str, tuple[int, int]]

SHOP = """
    from msgspec import Struct, field
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from fps_lite import PluginConfig, hookimpl

    class Deep(Struct, frozen=True, forbid_unknown_fields=True):
        left: str = "left"
        right: str = "right"
        more: list[str] = field(default_factory=lambda: ["default"])

    class Shop(PluginConfig, frozen=True, kw_only=True):
        title: str = "default"
        count: int = 0
        names: list[str] = field(default_factory=list)
        deep: Deep = Deep()
        loud: bool = False

    @hookimpl
    def config():
        return Shop

    @hookimpl
    def routes(config):
        async def title(request):
            return PlainTextResponse(config.title)

        return [Route("/title", title)]
"""


@pytest.fixture
def shown(site: Site, cli: Cli) -> Callable[..., Any]:
    """Return what `config --json` says of `[shop]`."""
    site.plugin("shop", SHOP)

    def show(*argv: str) -> Any:
        done = cli("config", "--json", *argv)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)["shop"]

    return show


@pytest.fixture
def refused(site: Site, cli: Cli) -> Callable[..., list[str]]:
    """Return the lines that `check` prints of a configuration that it refuses."""
    site.plugin("shop", SHOP)

    def refuse(*argv: str) -> list[str]:
        done = cli("check", *argv)
        assert (done.returncode, done.stdout) == (3, "")
        return done.stderr.splitlines()

    return refuse


def snapshot(directory: Path) -> Snapshot:
    found = {str(one): one.stat() for one in [directory, *directory.rglob("*")]}
    return {name: (stat.st_mtime_ns, stat.st_size) for name, stat in found.items()}


# 6-8: layers and merging ------------------------------------------------------------------


def test_06_each_layer_outranks_those_below_it(
    site: Site, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def title() -> str:
        with TestClient(create_app()) as client:
            return client.get("/title").text

    site.plugin("shop", SHOP)
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "system"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    system, user = tmp_path / "system" / "fps-lite", tmp_path / "user" / "fps-lite"
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    files = [
        system / "fps.toml", system / "shop.toml", user / "fps.toml", user / "shop.toml",
        work / "fps.toml", work / "shop.toml", first, second,
    ]  # fmt: skip
    assert title() == "default"
    monkeypatch.setenv("FPS_CONFIG_FILE", os.pathsep.join([str(first), str(second)]))
    for file in (first, second):
        file.touch()
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'[shop]\ntitle = "{file}"\n')
        assert title() == str(file)


def test_06_explicit_files_then_the_environment_then_options_are_highest(
    shown: Callable[..., Any], work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("fps", "env", "one"):
        (work / f"{name}.toml").write_text(f'[shop]\ntitle = "{name}"\n')
    monkeypatch.setenv("FPS_CONFIG_FILE", "env.toml")
    assert shown()["title"] == "env"
    assert shown("--config", "fps.toml")["title"] == "fps"
    assert shown("--config=fps.toml", "--config", "one.toml")["title"] == "one"
    monkeypatch.setenv("FPS_LITE__SHOP__TITLE", "variable")
    assert shown("--config", "one.toml")["title"] == "variable"
    assert shown("--shop.title=first", "--shop.title", "second")["title"] == "second"


@pytest.mark.parametrize(
    "text, stray",
    [
        ('title = "bare"', "1:1: title"),
        ("[hello]\ncount = 1", "1:2: hello"),
        ("[fps]\nport = 1", "1:2: fps"),
    ],
)
def test_07_a_plugins_own_file_holds_its_table_and_nothing_else(
    refused: Callable[..., list[str]], work: Path, text: str, stray: str
) -> None:
    (work / "shop.toml").write_text(text)
    said = "shop.toml may hold the table [shop] and nothing else"
    assert refused() == [f"shop.toml:{stray}: {said}"]


def test_08_tables_merge_at_every_depth_and_arrays_are_replaced(
    shown: Callable[..., Any], work: Path
) -> None:
    fps = '[shop]\ncount = 1\nnames = ["a", "b"]\n[shop.deep]\nleft = "low"\nmore = ["x", "y"]'
    (work / "fps.toml").write_text(fps)
    (work / "shop.toml").write_text('[shop]\nnames = ["c"]\n[shop.deep]\nright = "high"\nmore = []')
    assert shown() == {
        "enabled": True, "prefix": "", "on_failure": "fatal",
        "title": "default", "count": 1, "names": ["c"], "loud": False,
        "deep": {"left": "low", "right": "high", "more": []},
    }  # fmt: skip


# 9-12: what is refused, and how text becomes a type ---------------------------------------


@pytest.mark.parametrize(
    "text, line",
    [
        ("[shop]\ntitel = 'x'", '2:1: shop.titel: unknown key (did you mean "title"?)'),
        ("[shop.deep]\nlefd = 'x'", '2:1: shop.deep.lefd: unknown key (did you mean "left"?)'),
        ("[shopp]\ncount = 1", '1:2: shopp: unknown table (did you mean "shop"?)'),
        ("[fps]\nprot = 1", '2:1: fps.prot: unknown key (did you mean "port"?)'),
        ("count = 1", "1:1: count: unknown key: keys belong in a table, such as [fps]"),
        (
            '[fps]\nenabled_plugins = ["hello", "shpo"]',
            '2:29: fps.enabled_plugins[1]: no plugin "shpo" (did you mean "shop"?)',
        ),
        (
            '[fps]\ndisabled_plugins = ["helo"]',
            '2:21: fps.disabled_plugins[0]: no plugin "helo" (did you mean "hello"?)',
        ),
        ("[shop]\ncount = 'ten'", '2:9: shop.count: expected int, got "ten"'),
        ("[shop]\ncount = '10'", '2:9: shop.count: expected int, got "10"'),
        ("[shop]\nnames = 'a'", '2:9: shop.names: expected array, got "a"'),
        ("[fps]\nport = 65536", "2:8: fps.port: expected int >= 0 and <= 65535, got 65536"),
        ("[hello]\ncount = -3", "2:9: hello.count: expected int >= 0, got -3"),
    ],
)
def test_09_to_12_a_faulty_file_is_refused_in_one_line_with_its_place(
    refused: Callable[..., list[str]], work: Path, text: str, line: str
) -> None:
    (work / "fps.toml").write_text(text)
    assert refused() == [f"fps.toml:{line}"]


def test_09_a_misspelt_switch_is_refused(refused: Callable[..., list[str]]) -> None:
    assert refused("--enable", "hallo") == ['--enable: no plugin "hallo" (did you mean "hello"?)']
    assert refused("--disable=shopp") == ['--disable: no plugin "shopp" (did you mean "shop"?)']


@pytest.mark.parametrize("command", ["check", "serve", "routes", "config"])
def test_10_bad_toml_is_one_line_with_file_and_line(cli: Cli, work: Path, command: str) -> None:
    (work / "hello.toml").write_text('[hello]\n\ngreeting = "open\n')
    done = cli(command)
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("hello.toml:3:")


def test_10_an_explicit_file_that_is_missing_is_refused(
    refused: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refused("--config", "gone.toml") == ["gone.toml: no such file"]
    monkeypatch.setenv("FPS_CONFIG_FILE", "lost.toml")
    assert refused() == ["lost.toml: no such file"]


@pytest.mark.parametrize(
    "argv, expected",
    [
        (["--shop.title=a,b", "--shop.count", "10"], {"title": "a,b", "count": 10}),
        (["--shop.title", "10"], {"title": "10"}),
        (["--shop.names=a,b"], {"names": ["a", "b"]}),
        (["--shop.names", "a"], {"names": ["a"]}),
        (["--shop.names=['a,b', \"c\"]"], {"names": ["a,b", "c"]}),
        (["--shop.loud"], {"loud": True}),
        (["--shop.loud", "--shop.title=x"], {"loud": True, "title": "x"}),
        (["--shop.loud=true", "--shop.loud=no"], {"loud": False}),
        (["--shop.deep.left=a", "--shop.deep", "{ right = 'b' }"], {
            "deep": {"left": "a", "right": "b", "more": ["default"]}}),
    ],
)  # fmt: skip
def test_11_options_become_the_declared_types(
    shown: Callable[..., Any], argv: list[str], expected: dict[str, Any]
) -> None:
    found = shown(*argv)
    assert {key: found[key] for key in expected} == expected


def test_12_text_from_the_environment_becomes_the_declared_type(
    shown: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FPS_LITE__SHOP__COUNT", "10")
    monkeypatch.setenv("FPS_LITE__Shop__TITLE", "10")
    monkeypatch.setenv("FPS_LITE__SHOP__DEEP__MORE", "10")
    found = shown()
    assert (found["count"], found["title"], found["deep"]["more"]) == (10, "10", ["10"])
    monkeypatch.setenv("FPS_LITE__SHOP__COUNT", "ten")
    with pytest.raises(
        ConfigError, match=r'FPS_LITE__SHOP__COUNT: shop\.count: expected int, got "ten"'
    ):
        create_app()


# 13 and 15: nothing is written, everything has an origin ----------------------------------


def test_13_no_command_that_reads_writes_anything(cli: Cli, serve: Serve, work: Path) -> None:
    (work / "fps.toml").write_text("[hello]\ncount = 3\n")
    before = snapshot(work)
    reading = ["check", "routes", "plugins", "config", "config schema", "config init", "--help"]
    for words in [*reading, "request /hello", "config --origin --json"]:
        assert cli(*words.split(), "--hello.greeting=hi").returncode == 0
    server = serve("--hello.greeting=hi")
    assert httpx2.get(server.url + "/hello").text == "hi world 3"
    assert server.stop() == 0
    assert snapshot(work) == before


def test_15_every_value_has_an_origin_and_says_what_it_overrode(
    site: Site, cli: Cli, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.plugin("shop", SHOP)
    (work / "fps.toml").write_text('[shop]\ncount = 1\ntitle = "low"\n')
    (work / "shop.toml").write_text("[shop]\ncount = 2\n")
    monkeypatch.setenv("FPS_LITE__SHOP__COUNT", "3")
    argv = ["config", "--origin", "--shop.count=4"]
    shown = json.loads(cli(*argv, "--json").stdout)["shop"]
    assert shown["count"] == {
        "value": 4,
        "origin": "--shop.count",
        "overrides": [
            {"value": "3", "origin": "FPS_LITE__SHOP__COUNT"},
            {"value": 2, "origin": "shop.toml:2:9"},
            {"value": 1, "origin": "fps.toml:2:9"},
            {"value": 0, "origin": "default"},
        ],
    }
    assert shown["title"]["origin"] == "fps.toml:3:9"
    assert shown["loud"] == {"value": False, "origin": "default", "overrides": []}
    (line,) = [one for one in cli(*argv).stdout.splitlines() if one.startswith("count = 4")]
    assert line.startswith("count = 4  # --shop.count, overrides ")


# All faults at once -----------------------------------------------------------------------

AUDIT = """
    import os, sys

    def watch(event, args):
        if event in ("socket.bind", "socket.listen"):
            os.write(2, b"opened a port\\n")
        if event in ("os.mkdir", "os.rename", "os.remove") and not any(
            own in str(args[0]) for own in ("__pycache__", ".coverage")
        ):
            os.write(2, b"changed a file\\n")

    sys.addaudithook(watch)
"""


@pytest.mark.parametrize("argv", [["check", "--fps.port=http"], ["serve", "--port", "http"]])
def test_four_faults_in_three_places_are_four_lines_and_change_nothing(
    site: Site, cli: Cli, work: Path, argv: list[str]
) -> None:
    site.module("sitecustomize", AUDIT)
    (work / "fps.toml").write_text('[fps]\nhots = "::1"\n\n[hello]\nrandom = true\ncount = -3\n')
    (work / "hello.toml").write_text("[hello]\ngreeting = 10\n")
    before = snapshot(work)
    done = cli(*argv)
    assert (done.returncode, done.stdout) == (3, "")
    *lines, summary = done.stderr.splitlines()
    assert sorted(lines) == [
        f'{argv[1].partition("=")[0]}: fps.port: expected int >= 0 and <= 65535, got "http"',
        'fps.toml:2:1: fps.hots: unknown key (did you mean "host"?)',
        "fps.toml:6:9: hello.count: expected int >= 0, got -3",
        "hello.toml:2:12: hello.greeting: expected str, got 10",
    ]
    assert summary == "4 problems"
    assert snapshot(work) == before
