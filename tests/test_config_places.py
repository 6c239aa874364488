"""Every fault is reported at its own token: the place is known, because it is written here."""

from __future__ import annotations

import datetime as dt
import enum
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta, Struct

from fps_lite.config import Config, Decoded, Option, from_mapping, read
from fps_lite.secret import Secret  # noqa: TC001 - msgspec reads it
from fps_lite.settings import FPSConfig, PluginConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

MARK = "\0"
A_SECRET = 'a secret: a string, { env = "NAME" } or { file = "PATH" }'


KeyPath = tuple[Any, ...]


class Broken:
    """A value that is wrong: its token is marked where it is written."""

    def __init__(self, value: Any) -> None:
        self.value = value


class BrokenKey(str):
    """A key that is wrong: its token is marked where it is written."""

    __slots__ = ()


# A model, its valid values and what breaks each kind of leaf ------------------------------

Positive = Annotated[int, Meta(ge=0)]
LEAVES: dict[Any, tuple[Any, str, Any, str | None]] = {
    # type: (value in TOML, the same as text, broken in TOML, broken as text)
    int: (3, "3", "three", "three"),
    Positive: (7, "7", -3, "-3"),
    float: (1.5, "1.5", True, "much"),
    bool: (True, "yes", "yes", "maybe"),
    str: ("é=[1]#", "10", 10, None),
    int | None: (4, "4", "four", "four"),
    Literal["ja", "nein"]: ("ja", "nein", "oui", "oui"),
    dt.date: (dt.date(2024, 2, 29), "2024-02-29", "2024-02-30", "soon"),
    list[int]: ([1, 2], "1,2", [1, Broken("x"), 3], "1,x"),
    list[list[str]]: ([["a"], []], '[["a"]]', [["a"], ["b", Broken(1)]], '[["a"], [1]]'),
    dict[str, int]: ({"é é": 1}, "{a = 1}", {"é é": Broken("x")}, "{a = 'x'}"),
}
BROKEN_INSIDE = {list[int], list[list[str]], dict[str, int]}
KEYS = ["alpha", "beta_x", "gamma-y", "d e", "ünicode", "zeta.z"]
LAYERS = ["fps.toml", "hello.toml", "extra.toml", "env", "option"]


def make_model(draw: Any, depth: int = 0) -> tuple[Any, dict[str, Any]]:
    """Return a struct and, for each of its keys, the leaf's type or a nested such dict."""
    names = draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=4, unique=True))
    shape: dict[str, Any] = {}
    fields = []
    for number, name in enumerate(names):
        if depth < 2 and draw(st.integers(0, 2)) == 0:
            kind, shape[name] = make_model(draw, depth + 1)
            array = draw(st.booleans())
            fields.append((f"f{number}", list.__class_getitem__(kind) if array else kind))
            shape[name] = [shape[name]] if array else shape[name]
        else:
            kind = draw(st.sampled_from(list(LEAVES)))
            fields.append((f"f{number}", kind))
            shape[name] = kind
    rename = {f"f{number}": name for number, name in enumerate(names)}
    model = msgspec.defstruct(
        f"Model{depth}", fields, rename=rename, forbid_unknown_fields=True, frozen=True
    )
    return model, shape


def valid(draw: Any, shape: Any) -> Any:
    """Return a valid value of a shape."""
    if isinstance(shape, dict):
        return {key: valid(draw, inner) for key, inner in shape.items()}
    if isinstance(shape, list):
        return [valid(draw, shape[0]) for _ in range(draw(st.integers(1, 2)))]
    return LEAVES[shape][0]


def leaves(shape: Any, values: Any, path: KeyPath = ()) -> list[tuple[KeyPath, Any]]:
    """Return the path and type of each leaf."""
    if isinstance(shape, dict):
        pairs = [(key, inner, values[key]) for key, inner in shape.items()]
    elif isinstance(shape, list):
        pairs = [(at, shape[0], value) for at, value in enumerate(values)]
    else:
        return [(path, shape)]
    return [leaf for key, inner, value in pairs for leaf in leaves(inner, value, (*path, key))]


def broken(value: Any, path: KeyPath, how: Any) -> Any:
    """Return `value` with `how(container, key)` done to the container at the end of `path`."""
    key, *rest = path
    copied = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        copied[key] = broken(value[key], tuple(rest), how)
        return copied
    return how(copied, key)


# Writing TOML in every style ------------------------------------------------------------


class Writer:
    """Writes values as TOML in a style that `draw` chooses, and marks the broken token."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw

    def flip(self) -> bool:
        return bool(self.draw(st.booleans()))

    def key(self, key: str) -> str:
        mark = MARK if isinstance(key, BrokenKey) else ""
        is_bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
        return mark + (key if is_bare and self.flip() else f'"{key}"')

    def value(self, value: Any) -> str:
        if isinstance(value, Broken):
            return MARK + self.value(value.value)
        if isinstance(value, dict):
            pairs = [f"{self.key(key)} = {self.value(inner)}" for key, inner in value.items()]
            return "{ " + ", ".join(pairs) + " }"
        if isinstance(value, list):
            gap: str = self.draw(st.sampled_from(["", " ", "\n  ", " # é, [1]\n"]))
            return "[" + ",".join(gap + self.value(one) for one in value) + gap + "]"
        if isinstance(value, str):
            return f'"{value}"'
        return f"{value}".lower() if isinstance(value, bool) else f"{value}"

    def table(self, values: Mapping[str, Any], header: str, kind: str = "[{}]") -> list[str]:
        lines = [kind.format(header)]
        after: list[str] = []
        for key, value in values.items():
            if isinstance(value, dict) and self.flip():
                after += self.table(value, f"{header}.{self.key(key)}")
            elif isinstance(value, list) and isinstance(value[0], dict) and self.flip():
                path = f"{header}.{self.key(key)}"
                for one in value:
                    after += self.table(one, path, "[[{}]]")
            elif isinstance(value, dict) and value and self.flip():
                start = self.key(key)
                lines += [f" {start} . {self.key(k)}={self.value(v)}" for k, v in value.items()]
            else:
                lines.append(f"{self.key(key)} = {self.value(value)} # é")
        return lines + after


def written(path: Path, text: str) -> str | None:
    """Write a file without its mark; return the place of the mark."""
    at = text.find(MARK)
    path.write_text(text.replace(MARK, ""), "utf-8")
    if at < 0:
        return None
    before = text[:at]
    return f"{path.name}:{before.count(chr(10)) + 1}:{at - before.rfind(chr(10))}"


# The property ---------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_one_broken_token_in_any_layer_is_the_one_place_reported(data: st.DataObject) -> None:
    draw = data.draw
    model, shape = make_model(draw)
    tops = {key: draw(st.sampled_from(LAYERS[:3])) for key in shape}
    values = valid(draw, shape)
    path, kind = draw(st.sampled_from(leaves(shape, values)))
    texts = [
        (leaf, LEAVES[one][1], draw(st.sampled_from(["env", "option"])))
        for leaf, one in leaves(shape, values)
        if leaf != path and _has_text(leaf) and draw(st.booleans())
    ]
    break_key = draw(st.booleans())
    as_text = _has_text(path) and draw(st.booleans()) and (LEAVES[kind][3] or break_key)
    if as_text:
        source = draw(st.sampled_from(["env", "option"]))
        leaf = (*path[:-1], "nonsense") if break_key else path
        texts.append((leaf, LEAVES[kind][3] or "x", source))
    else:
        values = broken(values, path, _rename if break_key else _spoil(kind))
    with tempfile.TemporaryDirectory() as folder:
        found = [
            written(Path(folder, layer), "\n".join(_lines(draw, layer, tops, values)))
            for layer in LAYERS[:3]
        ]
        config = _read(Path(folder), texts)
        decoded = config.decode("hello", model)
    expected = _label(*texts[-1]) if as_text else next(filter(None, found))
    lines = [str(error) for error in (*config.errors, *decoded.errors)]
    wrong = [line for line in lines if ": missing, expected" not in line]
    assert len(wrong) == 1
    assert wrong[0].startswith(f"{expected}: hello.")
    assert len(lines) == (2 if break_key and not as_text else 1)


def _has_text(path: KeyPath) -> bool:
    return all(isinstance(key, str) and key.replace("_", "").replace("-", "").isascii()
               and " " not in key and "." not in key for key in path)  # fmt: skip


def _rename(container: Any, key: str) -> Any:
    return {(BrokenKey("nonsense") if one == key else one): v for one, v in container.items()}


def _spoil(kind: Any) -> Any:
    wrong = LEAVES[kind][2]

    def spoil(container: Any, key: Any) -> Any:
        container[key] = wrong if kind in BROKEN_INSIDE else Broken(wrong)
        return container

    return spoil


def _lines(draw: Any, layer: str, tops: dict[str, str], values: dict[str, Any]) -> list[str]:
    mine = {key: one for key, one in values.items() if tops.get(key, "extra.toml") == layer}
    return ["# é", *Writer(draw).table(mine, "hello")]


def _label(path: KeyPath, _text: str, source: str) -> str:
    if source == "env":
        return "__".join(("FPS_LITE", "HELLO", *(key.upper().replace("-", "_") for key in path)))
    return "--hello." + ".".join(path)


def _read(folder: Path, texts: list[tuple[KeyPath, str, str]]) -> Config:
    environ = {_label(*one): one[1] for one in texts if one[2] == "env"}
    options = [
        Option(_label(*one), ("hello", *one[0]), one[1]) for one in texts if one[2] == "option"
    ]
    return read(
        directory=folder,
        names=["hello"],
        files=["extra.toml"],
        environ=environ,
        options=options,
        shared_directories=(),
    )


# Single cases ---------------------------------------------------------------------------


class Item(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    size: Positive = 0


class Cat(Struct, frozen=True, forbid_unknown_fields=True, tag="cat"):
    lives: int = 9


class Dog(Struct, frozen=True, forbid_unknown_fields=True, tag="dog"):
    name: str


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Span(Struct, frozen=True, forbid_unknown_fields=True):
    low: int = 0
    high: int = 0

    def __post_init__(self) -> None:
        if self.low > self.high:
            message = f"low {self.low} is above\nhigh {self.high}"
            raise ValueError(message)


class Row(Struct, frozen=True, array_like=True):
    a: int
    b: int


class HelloConfig(PluginConfig, frozen=True):
    moved: ClassVar[dict[str, str]] = {"old": "hello.greeting"}
    greeting: str = "hello"
    count: Positive = 0
    items: list[Item] = msgspec.field(default_factory=list)
    pair: tuple[int, str] = (0, "")
    span: Span = msgspec.field(default_factory=Span)
    spans: list[Span] = msgspec.field(default_factory=list)
    pet: Cat | Dog | None = None
    colour: Colour = Colour.RED
    mixed: int | str | list[int] = 0
    by_name: dict[str, Item] = msgspec.field(default_factory=dict)
    some: Annotated[list[int], Meta(min_length=1)] = msgspec.field(default_factory=lambda: [1])
    rows: list[Row] = msgspec.field(default_factory=list)
    code: Annotated[str, Meta(pattern="^a")] = "a"
    token: Secret | None = None


def decode(tmp_path: Path, text: str, model: Any = HelloConfig) -> Decoded[Any]:
    """Decode `[hello]` of a `fps.toml`."""
    (tmp_path / "fps.toml").write_text(text, "utf-8")
    config = read(directory=tmp_path, environ={}, shared_directories=())
    assert config.errors == ()
    return config.decode("hello", model)


def lines(decoded: Decoded[Any]) -> list[str]:
    """Return the error lines."""
    return [str(error) for error in decoded.errors]


@pytest.mark.parametrize(
    "text, line",
    [
        ("greetng = 1", '2:1: hello.greetng: unknown key (did you mean "greeting"?)'),
        ("q = 1", "2:1: hello.q: unknown key"),
        ("old = 1", "2:1: hello.old: unknown key: set hello.greeting instead"),
        ("count = -3", "2:9: hello.count: expected int >= 0, got -3"),
        ('count = "http"', '2:9: hello.count: expected int >= 0, got "http"'),
        ("count = 1.0", "2:9: hello.count: expected int >= 0, got 1.0"),
        ("count = true", "2:9: hello.count: expected int >= 0, got true"),
        ("greeting = 1979-05-27", "2:12: hello.greeting: expected str, got 1979-05-27"),
        ("greeting = [1]", "2:12: hello.greeting: expected str, got array"),
        ("items = 3", "2:9: hello.items: expected array, got 3"),
        ('items = [{name="a"},{name=1}]', "2:27: hello.items[1].name: expected str, got 1"),
        ("items = [{ }]", "2:10: hello.items[0].name: missing, expected str"),
        ("[[hello.items]]", "2:1: hello.items[0].name: missing, expected str"),
        ('pair = [1, "a", 2]', "2:8: hello.pair: expected array, got length 3"),
        ('pair = ["a", "b"]', '2:9: hello.pair[0]: expected int, got "a"'),
        ("span = {low = 2}", "2:8: hello.span: low 2 is above high 0"),
        ("span = {low = 2, hih = 3}",
         '2:18: hello.span.hih: unknown key (did you mean "high"?)'),
        ("spans = [{}, {low = 2}]", "2:14: hello.spans[1]: low 2 is above high 0"),
        ('pet = {type = "cow"}', '2:15: hello.pet.type: expected "cat" or "dog", got "cow"'),
        ("pet = {}", '2:7: hello.pet.type: missing, expected "cat" or "dog"'),
        ("pet = 3", "2:7: hello.pet: expected table, got int"),
        ("pet = 'x'", "2:7: hello.pet: expected table, got str"),
        ('pet = {type = "dog", name = 3}', "2:29: hello.pet.name: expected str, got 3"),
        ('pet = {type = "cat", live = 3}',
         '2:22: hello.pet.live: unknown key (did you mean "lives"?)'),
        ('colour = "green"', '2:10: hello.colour: expected "red" or "blue", got "green"'),
        ("mixed = 1.5", "2:9: hello.mixed: expected int or str or array, got 1.5"),
        ("mixed = ['a']", '2:10: hello.mixed[0]: expected int, got "a"'),
        ("by_name.'a b'.name = 1", '2:22: hello.by_name."a b".name: expected str, got 1'),
        ("some = []", "2:8: hello.some: expected array of length >= 1, got length 0"),
        ('token = ["hush"]', f"2:9: hello.token: expected {A_SECRET}, got array"),
        ('on_failure = "x"', '2:14: hello.on_failure: expected "fatal" or "isolate", got "x"'),
        ('prefix = "lab"', '2:10: hello.prefix: expected str ("" or like "/x"), got "lab"'),
        ('code = "b"', '2:8: hello.code: expected str matching ^a, got "b"'),
        (f"count = 0x{'f' * 5000}", ""),
        ('"bad\\nkey" = 1', '2:1: hello."bad\\nkey": unknown key'),
    ],
)  # fmt: skip
def test_a_fault_is_shown_at_its_token(tmp_path: Path, text: str, line: str) -> None:
    found = lines(decode(tmp_path, f"[hello]\n{text}"))
    assert found == ([f"fps.toml:{line}"] if line else [])


def test_all_faults_are_reported_and_the_rest_is_kept(tmp_path: Path) -> None:
    text = '[hello]\ncount = -1\ngreeting = "hi"\nx = 1\nspan.low = "a"\nspan.hi = 2\nprefix = 1'
    decoded = decode(tmp_path, text)
    assert [line.split(" ")[0] for line in lines(decoded)] == [
        "fps.toml:2:9:", "fps.toml:4:1:", "fps.toml:5:12:", "fps.toml:6:6:", "fps.toml:7:10:",
    ]  # fmt: skip
    assert decoded.value == HelloConfig(greeting="hi")


def test_a_key_whose_value_cannot_be_built_has_its_default(tmp_path: Path) -> None:
    text = '[hello]\nitems = [{}]\ngreeting = "hi"\nby_name.x = {}\npet = {type = "dog"}'
    decoded = decode(tmp_path, text)
    assert len(decoded.errors) == 3
    assert decoded.value == HelloConfig(greeting="hi")


def test_a_missing_key_is_shown_at_its_table_or_nowhere(tmp_path: Path) -> None:
    class Needy(PluginConfig, frozen=True):
        name: str

    assert lines(decode(tmp_path, "\n [hello]", Needy)) == [
        "fps.toml:2:2: hello.name: missing, expected str"
    ]
    empty = decode(tmp_path, "", Needy)
    assert lines(empty) == ["configuration: hello.name: missing, expected str"]
    assert empty.value is None


class Strict(PluginConfig, frozen=True):
    name: str
    low: int = 0

    def __post_init__(self) -> None:
        if self.low:
            message = "too low"
            raise ValueError(message)


@pytest.mark.parametrize(
    "toml, option, place",
    [
        ("[hello]\n", "", "fps.toml:1:1"),
        ("[hello]\n", "low", "fps.toml:1:1"),
        ("", "low", "--hello.low"),
        ("", "", "configuration"),
    ],
)
@pytest.mark.parametrize("fault", ["hello.name: missing, expected str", "hello: too low"])
def test_a_fault_of_a_whole_table_is_shown_where_the_table_is_and_never_at_a_switch(
    tmp_path: Path, toml: str, option: str, place: str, fault: str
) -> None:
    (tmp_path / "fps.toml").write_text(toml)
    options = [Option(f"--hello.{option}", ("hello", option), "1")] if option else []
    config = read(directory=tmp_path, environ={}, options=options, shared_directories=())
    values = {"name": "x", "low": 1} if "low" in fault else {}
    config = config.with_values("--enable", {"hello": {"enabled": True, **values}})
    assert lines(config.decode("hello", Strict)) == [f"{place}: {fault}"]


def test_a_table_that_is_no_table_is_an_error(tmp_path: Path) -> None:
    assert lines(decode(tmp_path, "hello = 1")) == ["fps.toml:1:9: hello: expected table, got int"]
    (tmp_path / "fps.toml").write_text("fps = [1]")
    config = read(directory=tmp_path, environ={}, shared_directories=())
    assert lines(config.decode("fps", FPSConfig)) == [
        "fps.toml:1:7: fps: expected table, got array"
    ]


def test_any_exception_of_a_structs_own_check_is_reported_not_raised(tmp_path: Path) -> None:
    class Wild(PluginConfig, frozen=True):
        def __post_init__(self) -> None:
            raise KeyError("wild")

    assert lines(decode(tmp_path, "[hello]", Wild)) == ["fps.toml:1:1: hello: KeyError: 'wild'"]


def test_a_fault_inside_a_type_that_is_not_walked_is_not_lost(tmp_path: Path) -> None:
    decoded = decode(tmp_path, '[hello]\nrows = [[1, 2], [3, "x"]]')
    assert lines(decoded) == ["fps.toml:2:21: hello.rows[1][1]: expected int, got str"]


def test_a_struct_that_allows_unknown_keys_keeps_that_freedom(tmp_path: Path) -> None:
    class Loose(Struct):
        a: int = 0

    assert decode(tmp_path, "[hello]\nb = 1", Loose).value == Loose()
    assert lines(decode(tmp_path, "[hello]\nb = 1\na = 'x'", Loose)) == [
        'fps.toml:3:5: hello.a: expected int, got "x"'
    ]


def test_a_mapping_has_one_place() -> None:
    config = from_mapping({"hello": {"count": "x", "span": {"low": 3}}}, directory=Path())
    assert lines(config.decode("hello", HelloConfig)) == [
        'config: hello.count: expected int >= 0, got "x"',
        "config: hello.span: low 3 is above high 0",
    ]


def test_a_huge_number_is_an_error_that_can_be_printed(tmp_path: Path) -> None:
    decoded = decode(tmp_path, f"[hello]\ngreeting = 0x{'f' * 5000}")
    assert lines(decoded) == ["fps.toml:2:12: hello.greeting: expected str, got a huge int"]


def test_arrays_of_tables_and_crlf_have_places(tmp_path: Path) -> None:
    text = '[[hello.items]]\r\nname = "é"\r\n[[hello.items]]\r\nname = "b"\r\nsize = -1\r\n'
    assert lines(decode(tmp_path, text)) == [
        "fps.toml:5:8: hello.items[1].size: expected int >= 0, got -1"
    ]


def test_a_long_or_strange_value_stays_on_one_short_line(tmp_path: Path) -> None:
    value = "\\n\\u2028\\u001b[31m" + "x" * 500
    (line,) = lines(decode(tmp_path, f'[hello]\ncount = "{value}"'))
    assert line.isprintable()
    assert len(line) < 160
