"""Where configuration comes from, in which order, and what is refused while reading."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Struct, field

from fps_lite.config import Config, Option, from_mapping, read
from fps_lite.settings import FPSConfig, PluginConfig

if TYPE_CHECKING:
    from collections.abc import Callable


class Deep(Struct, frozen=True, forbid_unknown_fields=True):
    a: int = 0
    b: int = 0


class HelloConfig(PluginConfig, frozen=True, rename="kebab"):
    greeting: str = "default"
    my_count: int = 0
    deep: Deep = field(default_factory=Deep)
    paths: list[Path] = field(default_factory=list)
    words: dict[str, str] = field(default_factory=dict)


def file(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def load(directory: Path, **sources: Any) -> Config:
    """Read from a directory and nothing else but `sources`."""
    given = {"environ": {}, "shared_directories": (), "names": ["hello"], **sources}
    return read(directory=directory, **given)


def problems(config: Config) -> list[str]:
    return [str(error) for error in config.errors]


def options(**texts: str) -> list[Option]:
    return [Option(f"--hello.{key}", ("hello", key), text) for key, text in texts.items()]


# Precedence -----------------------------------------------------------------------------

LAYERS = [
    "system/fps.toml", "system/hello.toml", "user/fps.toml", "user/hello.toml", "fps.toml",
    "hello.toml", "first.toml", "second.toml", "third.toml", "fourth.toml",
    "FPS_LITE__HELLO__GREETING", "--hello.greeting", "--greet",
]  # fmt: skip


def read_some(tmp_path: Path, chosen: list[str]) -> Config:
    """Read with a greeting in each of the chosen layers, the layer's own name."""
    toml = [one for one in chosen if one.endswith(".toml")]
    for one in toml:
        file((tmp_path / one).parent, Path(one).name, f'[hello]\ngreeting = "{one}"')
    listed = [one for one in ("first.toml", "second.toml") if one in chosen]
    flags = [one for one in chosen if one.startswith("--")]
    environ = {one: one for one in chosen if one.startswith("FPS_LITE")}
    return load(
        tmp_path,
        shared_directories=[tmp_path / "system", tmp_path / "user"],
        environ={**environ, "FPS_CONFIG_FILE": os.pathsep.join(listed)},
        files=[one for one in ("third.toml", tmp_path / "fourth.toml") if Path(one).name in chosen],
        options=[Option(one, ("hello", "greeting"), one) for one in flags],
    )


@pytest.mark.parametrize("number", range(1, len(LAYERS)))
def test_of_two_neighbouring_layers_the_higher_wins(tmp_path: Path, number: int) -> None:
    lower, higher = LAYERS[number - 1 : number + 1]
    config = read_some(tmp_path, [lower, higher])
    decoded = config.decode("hello", HelloConfig)
    assert decoded.value is not None
    assert (config.errors, decoded.errors) == ((), ())
    assert decoded.value.greeting == higher
    assert [value for _, value in config.history("hello", "greeting")] == [higher, lower]


def test_every_value_remembers_all_layers_that_gave_it(tmp_path: Path) -> None:
    config = read_some(tmp_path, LAYERS)
    history = config.history("hello", "greeting")
    assert [value for _, value in history] == LAYERS[::-1]
    assert [where for where, _ in history] == [
        f"{one}:2:12" if one.endswith(".toml") else one for one in LAYERS[::-1]
    ]


def test_without_any_layer_the_defaults_hold(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert config.decode("hello", HelloConfig).value == HelloConfig()
    assert config.names() == frozenset()
    assert config.where("hello", "greeting") == "configuration"
    assert config.history("hello", "greeting") == ()
    assert not config.is_set("hello")
    assert config.table("hello") == {}


def test_a_file_named_twice_counts_at_each_place(tmp_path: Path) -> None:
    file(tmp_path, "fps.toml", '[hello]\ngreeting = "low"')
    file(tmp_path, "x.toml", '[hello]\ngreeting = "x"')
    config = load(tmp_path, files=["fps.toml", "x.toml", "fps.toml"])
    assert [value for _, value in config.history("hello", "greeting")] == ["low", "x", "low", "low"]


def test_one_more_layer_is_the_highest(tmp_path: Path) -> None:
    config = load(tmp_path, options=options(greeting="hi"))
    higher = config.with_values("--disable", {"hello": {"greeting": "off"}})
    assert higher.history("hello", "greeting") == (("--disable", "off"), ("--hello.greeting", "hi"))
    assert config.where("hello", "greeting") == "--hello.greeting"


def test_a_mapping_is_the_only_layer() -> None:
    config = from_mapping({"my-hello": {"greeting": "hi"}}, directory=Path())
    assert config.history("my_hello", "greeting") == (("config", "hi"),)
    assert config.directory.is_absolute()


def test_a_value_that_replaces_a_table_or_an_array_replaces_all_inside(tmp_path: Path) -> None:
    file(tmp_path, "fps.toml", "[hello]\ndeep.a = 1\npaths = ['a', {x = 1}, 'c']")
    file(tmp_path, "hello.toml", "[hello]\ndeep = 3\npaths = ['d', {}]")
    config = load(tmp_path)
    assert config.history("hello", "deep", "a") == ()
    assert config.where("hello", "deep", "a") == "hello.toml:2:8"
    assert config.where("hello", "paths", 2) == "hello.toml:3:9"
    assert config.where("hello", "paths", 1, "x") == "hello.toml:3:15"
    assert not config.is_set("hello", "paths", 2)


def test_a_table_is_placed_in_the_highest_file_that_has_it(tmp_path: Path) -> None:
    file(tmp_path, "fps.toml", "[hello]\n[hello.deep]\na = 1")
    file(tmp_path, "hello.toml", "[hello]")
    config = load(tmp_path, environ={"FPS_LITE__HELLO__DEEP__B": "1"})
    assert config.where("hello") == "hello.toml:1:1"
    assert config.where("hello", "deep") == "fps.toml:2:1"
    assert config.where("hello", "deep", "c") == "fps.toml:2:1"
    assert load(tmp_path / "x", environ={"FPS_LITE__A__B": "1"}).where("a") == "FPS_LITE__A__B"


# Files ----------------------------------------------------------------------------------


def test_a_plugins_file_counts_if_an_entry_point_or_any_layer_names_the_plugin(
    tmp_path: Path,
) -> None:
    for name in ("hello", "by_file", "by-env", "by_option", "stranger"):
        table = name.replace("-", "_")
        file(tmp_path, f"{name}.toml", f"[{name}]\nprefix = '/{table}'")
    file(tmp_path, "fps.toml", "[fps.plugins]\nby-file = 'x'")
    found = load(
        tmp_path,
        environ={"FPS_LITE__FPS__PLUGINS": "{by-env = 'x'}"},
        options=[Option("--fps.plugins.by-option", ("fps", "plugins", "by-option"), "x")],
    )
    assert found.names() == {"fps", "hello", "by_file", "by_env", "by_option"}
    assert found.where_key("by_env") == "by-env.toml:1:2"
    assert found.errors == ()


def test_a_plugins_file_counts_in_a_directory_that_cannot_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: object) -> list[str]:
        raise PermissionError

    monkeypatch.setattr(os, "listdir", refused)  # root, who may run this, lists what it likes
    file(tmp_path, "hello.toml", "[hello]\ngreeting = 'unlisted'")
    assert load(tmp_path).values["hello"]["greeting"] == "unlisted"


@pytest.mark.parametrize(
    "text, line",
    [
        ("[hello]\n[fps]\nport = 1", "hello.toml:2:2: fps: "),
        ("greeting = 1", "hello.toml:1:1: greeting: "),
        ("[hello]\n[[other]]", "hello.toml:2:3: other: "),
        ("hello.greeting = 'x'\n'a b'.c = 2", "hello.toml:2:1: a b: "),
    ],
)
def test_a_plugins_file_holds_its_one_table(tmp_path: Path, text: str, line: str) -> None:
    file(tmp_path, "hello.toml", text)
    what = "hello.toml may hold the table [hello] and nothing else"
    assert problems(load(tmp_path)) == [line + what]
    assert load(tmp_path).names() <= {"hello"}


def test_reserved_names_are_no_plugins_files(tmp_path: Path) -> None:
    file(tmp_path, "pyproject.toml", "[project]\nname = 'x'")
    file(tmp_path, "fps.toml", "[fps]\nport = 1")
    config = load(tmp_path, names=["fps", "pyproject"])
    assert len(config.layers) == 1


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    config = load(tmp_path, files=["a.toml"], environ={"FPS_CONFIG_FILE": f"{os.pathsep}/b/c.toml"})
    assert problems(config) == ["/b/c.toml: no such file", "a.toml: no such file"]


def test_paths_are_shown_relative_inside_the_directory_else_absolute(tmp_path: Path) -> None:
    here = tmp_path / "here"
    file(here / "sub", "in.toml", "x")
    file(tmp_path, "out.toml", "x")
    found = problems(load(here, files=["./sub/../sub/in.toml", "../out.toml"]))
    assert [line.split(":")[0] for line in found] == ["sub/in.toml", str(tmp_path / "out.toml")]


def test_a_byte_order_mark_is_accepted_and_moves_no_column(tmp_path: Path) -> None:
    file(tmp_path, "fps.toml", "\ufeff[hello]\ngreeting = 'é'")
    config = load(tmp_path)
    assert config.where_key("hello") == "fps.toml:1:2"
    assert config.values == {"hello": {"greeting": "é"}}


@pytest.mark.parametrize(
    "data, line",
    [
        (b"a = 1\nb = ", "fps.toml:2:5: invalid TOML: Invalid value"),
        (b"a = [1,", "fps.toml:1:8: invalid TOML: "),
        (b"a = 1\na = 2", "fps.toml:2:1: a: the key or a table around it is already set"),
        (b"[a]\nb = 1\n b = [\n{c=1}]\nd=1", "fps.toml:3:2: a.b: the key or a table around"),
        (b"[a]\nb = 1\n[a]\nc = 1", "fps.toml:3:2: a: the key or a table around it is"),
        (b"[[a]]\nb.c = {}\nb.c.d = 1\n", "fps.toml:3:1: a[0].b.c.d: the key or a table"),
        (b"a = 1\na = 2\n[x", "fps.toml:2:6: invalid TOML: Cannot overwrite a value"),
        (b"[a]\nb = [1,\n -" + b"9" * 5_000 + b"]", "fps.toml:3:2: invalid TOML: an integer of"),
        ("é = 1\nx = 'é".encode() + b"\xff'", "fps.toml:2:7: not UTF-8"),
        (b"\xff\xfea\0", "fps.toml:1:1: not UTF-8"),
        (b"a = " + b"9" * 10_000, "fps.toml:1:5: invalid TOML: an integer of too many"),
        (b"a = " + b"[" * 100_000, "fps.toml: tables or arrays nest too deep"),
        (b"a = " + b"[" * 200 + b"]" * 200, "fps.toml: tables or arrays nest too deep"),
        (b".".join([b"a"] * 500) + b" = 1", "fps.toml: tables or arrays nest too deep"),
        (b"a = '" + b"x" * 1024 * 1024 + b"'", "fps.toml: larger than 1 MiB"),
        (b"a-b = 1\na_b = 2", "fps.toml: a_b: the same table as a_b"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, data: bytes, line: str) -> None:
    (tmp_path / "fps.toml").write_bytes(data)
    (found,) = problems(load(tmp_path))
    assert found.startswith(line)
    assert found.isprintable()
    assert len(found) < 150


def test_a_file_of_exactly_one_mebibyte_is_read(tmp_path: Path) -> None:
    (tmp_path / "fps.toml").write_bytes(b"#".ljust(1024 * 1024, b"x"))
    assert load(tmp_path).errors == ()


def test_a_directory_or_an_unreadable_path_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "fps.toml").mkdir()
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    assert problems(load(tmp_path, files=["loop.toml"])) == [
        "fps.toml: is a directory",
        "loop.toml: too many levels of symbolic links",
    ]


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fps.toml")
    assert problems(load(tmp_path)) == ["fps.toml: not a regular file"]


def test_a_pipe_that_is_named_is_read(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"[hello]\ngreeting = 'piped'\n")
    os.close(writing)
    config = load(tmp_path, files=[f"/dev/fd/{reading}", os.devnull])
    os.close(reading)
    assert problems(config) == []
    assert config.table("hello") == {"greeting": "piped"}


def test_shared_directories_are_the_platforms_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second", "user"):
        file(tmp_path / name / "fps-lite", "fps.toml", f"[hello]\ngreeting = '{name}'")
    monkeypatch.setenv("XDG_CONFIG_DIRS", f"{tmp_path / 'first'}:{tmp_path / 'second'}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    config = load(tmp_path / "here", shared_directories=None)
    assert [value for _, value in config.history("hello", "greeting")] == [
        "user", "first", "second",
    ]  # fmt: skip


def test_unknown_tables_are_errors_but_not_in_shared_directories(tmp_path: Path) -> None:
    file(tmp_path / "user", "fps.toml", "[stranger]\n[helo]")
    file(tmp_path, "fps.toml", "port = 1\n[helo]\n[hello]\n[fps]\n['a\"b']")
    config = load(
        tmp_path,
        shared_directories=[tmp_path / "user"],
        environ={"FPS_LITE__HELO__X": "1"},
        options=[Option("--zzz.x", ("zzz", "x"), "1")],
    )
    assert [str(error) for error in config.unknown_tables(["hello"])] == [
        "fps.toml:1:1: port: unknown key: keys belong in a table, such as [fps]",
        'fps.toml:2:2: helo: unknown table (did you mean "hello"?)',
        'fps.toml:5:2: "a\\"b": unknown table',
        'FPS_LITE__HELO__X: helo: unknown table (did you mean "hello"?)',
        "--zzz.x: zzz: unknown table",
    ]


# Variables and options --------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "FPS_LITE__HELLO__MY_COUNT", "fps_lite__hello__my_count", "FPS_LITE__Hello__My-Count",
        "FPS-LITE__HELLO__MY-COUNT",
    ],
)  # fmt: skip
@pytest.mark.parametrize("below", ["", "[hello]\nmy-count = 1"])
def test_spelling_does_not_matter_in_variables(tmp_path: Path, name: str, below: str) -> None:
    file(tmp_path, "fps.toml", below)
    config = load(tmp_path, environ={name: "3"})
    decoded = config.decode("hello", HelloConfig)
    assert decoded.errors == ()
    assert decoded.value == HelloConfig(my_count=3)
    assert config.where("hello", "my-count") == name
    assert len(config.history("hello", "my-count")) == (2 if below else 1)
    assert len(config.table("hello")) == 1


@pytest.mark.parametrize("key", ["my-count", "my_count", "MY-COUNT"])
def test_spelling_does_not_matter_in_options(tmp_path: Path, key: str) -> None:
    decoded = load(tmp_path, options=options(**{key: "3"})).decode("hello", HelloConfig)
    assert decoded.value == HelloConfig(my_count=3)


def test_spelling_matters_in_files(tmp_path: Path) -> None:
    file(tmp_path, "fps.toml", "[hello]\nmy_count = 1")
    config = load(tmp_path, environ={"FPS_LITE__HELLO__MY_COUNT": "3"})
    decoded = config.decode("hello", HelloConfig)
    assert [str(error) for error in decoded.errors] == [
        'fps.toml:2:1: hello.my_count: unknown key (did you mean "my-count"?)'
    ]
    assert decoded.value == HelloConfig(my_count=3)


def test_keys_without_a_declared_name_are_spelled_as_lower_layers_do(tmp_path: Path) -> None:
    file(tmp_path, "fps.toml", "[hello.words]\nMy-Word = 'a'\nother = 'b'")
    config = load(tmp_path, environ={"FPS_LITE__HELLO__WORDS__MY_WORD": "x"})
    decoded = config.decode("hello", HelloConfig)
    assert decoded.value == HelloConfig(words={"My-Word": "x", "other": "b"})


def test_a_key_spelled_exactly_is_meant_before_others(tmp_path: Path) -> None:
    file(tmp_path, "fps.toml", "[hello.words]\nA-B = 'a'\na_b = 'b'")
    config = load(tmp_path, environ={"FPS_LITE__HELLO__WORDS__A_B": "x"})
    decoded = config.decode("hello", HelloConfig)
    assert decoded.value == HelloConfig(words={"A-B": "a", "a_b": "x"})


def test_double_underscores_and_dots_go_deeper(tmp_path: Path) -> None:
    file(tmp_path, "fps.toml", "[hello]\ndeep = { a = 1, b = 1 }")
    deep = Option("--hello.deep.b", ("hello", "deep", "b"), "3")
    config = load(tmp_path, environ={"FPS_LITE__HELLO__DEEP__A": "2"}, options=[deep])
    decoded = config.decode("hello", HelloConfig)
    assert decoded.value == HelloConfig(deep=Deep(a=2, b=3))
    assert config.where("hello", "deep", "a") == "FPS_LITE__HELLO__DEEP__A"


def test_text_of_a_table_merges_deep(tmp_path: Path) -> None:
    file(tmp_path, "fps.toml", "[hello]\ngreeting = 'low'\ndeep.a = 1")
    environ = {"FPS_LITE__HELLO": "{ deep = { b = 2 } }", "FPS_LITE__HELLO__MY_COUNT": "4"}
    config = load(tmp_path, environ=environ)
    decoded = config.decode("hello", HelloConfig)
    assert decoded.value == HelloConfig(greeting="low", my_count=4, deep=Deep(a=1, b=2))
    assert config.where("hello", "deep", "b") == "FPS_LITE__HELLO"


@pytest.mark.parametrize("name", ["FPS_LITE__", "FPS_LITE__HELLO__", "FPS_LITE____X"])
def test_a_malformed_variable_is_an_error(tmp_path: Path, name: str) -> None:
    (line,) = problems(load(tmp_path, environ={name: "1"}))
    assert line.startswith(f"{name}: ")


def test_a_variable_set_twice_or_of_odd_bytes_is_an_error(tmp_path: Path) -> None:
    environ = {"FPS_LITE__HELLO__X": "1", "fps_lite__hello__x": "2", "FPS_LITE__A__B": "\udcff"}
    assert problems(load(tmp_path, environ=environ)) == [
        "FPS_LITE__A__B: a.b: not UTF-8",
        "fps_lite__hello__x: the same variable as FPS_LITE__HELLO__X",
    ]


def test_other_variables_are_left_alone(tmp_path: Path) -> None:
    names = ["FPS_LITE_X", "FPS", "PATH", "FPS_LITE_HELLO", "FPS_LITE_HELLO_", "FPS_LITE_HELLOX_A"]
    config = load(tmp_path, environ=dict.fromkeys(names, "1"))
    assert (config.layers, config.errors) == ((), ())


@pytest.mark.parametrize(
    "name, meant",
    [
        ("FPS_LITE_HELLO_MY_COUNT", "FPS_LITE__HELLO__MY_COUNT"),
        ("FPS_LITE_FPS_PORT", "FPS_LITE__FPS__PORT"),
        ("fps_lite_hello__deep__a", "FPS_LITE__HELLO__DEEP__A"),
        ("FPS_LITE_BY_FILE_PREFIX", "FPS_LITE__BY_FILE__PREFIX"),
    ],
)
def test_a_variable_of_a_known_table_with_single_underscores_is_an_error(
    tmp_path: Path, name: str, meant: str
) -> None:
    file(tmp_path, "fps.toml", "[fps.plugins]\nby = 'x'\nby-file = 'x'")
    assert problems(load(tmp_path, environ={name: "secret"})) == [f"{name}: write {meant}"]


def test_a_key_too_deep_is_one_short_line(tmp_path: Path) -> None:
    path = ("hello",) * 2000
    option = Option("--" + ".".join(path), path, "1")
    lines = problems(
        load(tmp_path, options=[option], environ={"FPS_LITE__" + "__".join(path): "1"})
    )
    assert [line.partition("…")[2] for line in lines] == [": more than 100 names deep"] * 2
    assert max(map(len, lines)) < 100


def test_text_as_deep_as_allowed_below_a_key_as_deep_as_allowed_is_read(tmp_path: Path) -> None:
    path = ("hello", "words", *("a" * 98))
    config = load(tmp_path, options=[Option("--x", path, "[" * 98 + "]" * 98)])
    assert config.errors == ()
    (error,) = config.decode("hello", HelloConfig).errors
    assert str(error).startswith("--x: hello.words.a: expected str")


@pytest.mark.parametrize("values", [3, "hush", ["hush"]])
def test_configuration_that_is_no_mapping_is_an_error(values: Any) -> None:
    (line,) = problems(from_mapping(values, directory=Path()))
    assert line.startswith("config: expected a mapping of tables, got ")
    assert "hush" not in line


# Paths ----------------------------------------------------------------------------------


def test_a_path_is_relative_to_its_file_else_to_the_directory(tmp_path: Path) -> None:
    file(tmp_path / "etc", "x.toml", "[hello]\npaths = ['a', '/b']")
    config = load(tmp_path, files=["etc/x.toml"])
    decoded = config.decode("hello", HelloConfig)
    assert decoded.value == HelloConfig(paths=[tmp_path / "etc/a", Path("/b")])
    decoded = load(tmp_path, options=options(paths="a,b")).decode("hello", HelloConfig)
    assert decoded.value == HelloConfig(paths=[tmp_path / "a", tmp_path / "b"])
    mapping = from_mapping({"hello": {"paths": ["a", Path("c")]}}, directory=tmp_path)
    assert mapping.decode("hello", HelloConfig).value == HelloConfig(
        paths=[tmp_path / "a", Path("c")]
    )


# PluginConfig's own keys --------------------------------------------------------------------


def test_a_plugins_own_keys_are_read_without_its_struct(tmp_path: Path) -> None:
    file(tmp_path, "fps.toml", "[hello]\nenabled = false\ngreeting = 3\nother = {}")
    config = load(tmp_path, options=[*options(prefix="/x", on_failure="isolate", my_count="3")])
    decoded = config.decode("hello", PluginConfig, only_known=True)
    assert decoded.errors == ()
    assert decoded.value == PluginConfig(enabled=False, prefix="/x", on_failure="isolate")


def test_a_plugins_own_keys_are_checked(tmp_path: Path) -> None:
    file(tmp_path, "fps.toml", "[hello]\nenabled = 'no'\nx = 1")
    decoded = load(tmp_path).decode("hello", PluginConfig, only_known=True)
    assert [str(error) for error in decoded.errors] == [
        'fps.toml:2:11: hello.enabled: expected bool, got "no"'
    ]


def test_the_cores_table_decodes_with_all_its_parts(tmp_path: Path) -> None:
    file(tmp_path, "fps.toml", "[fps]\nbind = ['[::1]:80']\nhypercorn.keyfile = 'k'\n")
    config = load(tmp_path, options=[Option("--log-level", ("fps", "logging", "level"), "debug")])
    decoded = config.decode("fps", FPSConfig)
    assert decoded.errors == ()
    assert decoded.value is not None
    assert decoded.value.hypercorn.keyfile == tmp_path / "k"
    assert decoded.value.logging.level == "debug"


def test_two_reads_share_nothing(tmp_path: Path) -> None:
    file(tmp_path, "fps.toml", "[hello.words]\na = 'b'")
    first, second = load(tmp_path), load(tmp_path, options=options(words="{c = 'd'}"))
    read_words: Callable[[Config], Any] = lambda config: dict(config.table("hello")["words"])  # noqa: E731
    assert (read_words(first), read_words(second)) == ({"a": "b"}, {"a": "b", "c": "d"})
