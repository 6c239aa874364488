"""Variables and options → layers: one for each, its value a text that has no type yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from fps_lite.config.layers import Layer, Stack, fold, stacked
from fps_lite.config.text import Text
from fps_lite.config.toml import MAX_DEPTH
from fps_lite.config.wording import printable
from fps_lite.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_PREFIX = "fps_lite__"
_ALMOST = "fps_lite_"
_SHOWN = 60


class Option(Struct, frozen=True):
    """One thing given on the command line: `--port 9000` is ("--port", ("fps", "port"), "9000")."""

    flag: str
    path: tuple[str, ...]
    text: str


def read_environment(environ: Mapping[str, str]) -> Stack:
    """Return a layer for each `FPS_LITE__TABLE__KEY`, whole tables below their keys."""
    found = {name: fold(name).removeprefix(_PREFIX) for name in environ if _is_ours(name)}
    seen: dict[str, str] = {}
    stacks = []
    for name in sorted(found, key=lambda name: (found[name].split("__"), name)):
        twin = seen.setdefault(found[name], name)
        if twin == name:
            stacks.append(_text_layer(name, found[name].split("__"), Text(environ[name])))
        else:
            stacks.append(Stack(errors=(ConfigError(f"{name}: the same variable as {twin}"),)))
    return stacked(stacks)


def _is_ours(name: str) -> bool:
    return fold(name).startswith(_PREFIX)


def misspelt(environ: Mapping[str, str], tables: Iterable[str]) -> tuple[ConfigError, ...]:
    """Return an error for each `FPS_LITE_TABLE_KEY` whose table there is: `_` is to be `__`.

    Other names that begin like this may belong to other programs.
    """
    longest_first = sorted(tables, key=len, reverse=True)
    found = ((name, _meant(fold(name), longest_first)) for name in sorted(environ))
    return tuple(ConfigError(f"{printable(name)}: write {meant}") for name, meant in found if meant)


def _meant(name: str, tables: Iterable[str]) -> str:
    if not name.startswith(_ALMOST) or name.startswith(_PREFIX):
        return ""
    rest = name.removeprefix(_ALMOST)
    for table in tables:
        key = rest.removeprefix(f"{table}_").lstrip("_")
        if rest.startswith(f"{table}_") and key:
            return printable(f"{_PREFIX}{table}__{key}".upper())
    return ""


def read_options(options: Sequence[Option]) -> Stack:
    """Return a layer for each option, in the order given."""
    return stacked(
        _text_layer(one.flag, [fold(key) for key in one.path], Text(one.text)) for one in options
    )


def _text_layer(label: str, path: Sequence[str], text: Text) -> Stack:
    label = printable(label)
    if len(path) > MAX_DEPTH:
        return _refused(f"{label[:_SHOWN]}…: more than {MAX_DEPTH} names deep")
    if not all(path) or not path:
        return _refused(f"{label}: expected a table and a key, got no name")
    if not _is_utf8(text.text):
        return _refused(f"{label}: {'.'.join(path)}: not UTF-8")
    value: Any = text
    for key in reversed(path[1:]):
        value = {key: value}
    return Stack((Layer(label, {path[0]: value}, is_text=True),))


def _refused(problem: str) -> Stack:
    return Stack(errors=(ConfigError(problem),))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
