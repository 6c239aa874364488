"""How errors word a declared type, a value and a key: on one line, all printable."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING, Any

import msgspec.inspect as ir

from fps_lite.config.kinds import bare, is_path, is_secret

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fps_lite.config.positions import KeyPath

_NAMES: dict[type[ir.Type], str] = {
    ir.AnyType: "any value",
    ir.BoolType: "bool",
    ir.ByteArrayType: "base64",
    ir.BytesType: "base64",
    ir.DateTimeType: "datetime",
    ir.DateType: "date",
    ir.DecimalType: "decimal",
    ir.FloatType: "float",
    ir.IntType: "int",
    ir.NoneType: "null",
    ir.StrType: "str",
    ir.TimeDeltaType: "duration",
    ir.TimeType: "time",
    ir.UUIDType: "UUID",
}
_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "multiple_of": "multiple of"}
_LENGTHS = {"min_length": ">=", "max_length": "<="}
_SHOWN = 60
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def describe(kind: ir.Type) -> str:  # noqa: PLR0911 - a case for each kind
    """Return what a value of `kind` looks like: `int >= 0`, `"a" or "b"`, `table`."""
    inner = bare(kind)
    match inner:
        case ir.UnionType():
            return " or ".join(dict.fromkeys(map(describe, inner.types)))
        case ir.LiteralType():
            return _choice(list(inner.values))
        case ir.EnumType():
            return _choice([one.value for one in inner.cls])
        case ir.CustomType() if is_secret(inner):
            return 'a secret: a string, { env = "NAME" } or { file = "PATH" }'
        case ir.CustomType():
            return "path" if is_path(inner) else getattr(inner.cls, "__name__", "value")
        case ir.CollectionType() | ir.TupleType() | ir.NamedTupleType():
            return "array" + _bounds(inner)
        case ir.StructType() if inner.array_like:
            return "array"
        case ir.DictType() | ir.StructType() | ir.DataclassType() | ir.TypedDictType():
            return "table" + _bounds(inner)
        case _:
            return _NAMES.get(type(inner), "value") + _bounds(inner) + _shape(kind)


def _choice(values: list[Any]) -> str:
    shown = [show(value) for value in values]
    return " or ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _bounds(kind: ir.Type) -> str:
    bounds, lengths = _said(kind, _BOUNDS), _said(kind, _LENGTHS)
    return bounds + (f" of length{lengths}" if lengths else "")


def _said(kind: ir.Type, signs: dict[str, str]) -> str:
    given = [(sign, getattr(kind, name, None)) for name, sign in signs.items()]
    return " and".join(f" {sign} {bound}" for sign, bound in given if bound is not None)


def _shape(kind: ir.Type) -> str:
    """Say a pattern in its author's words, else as it is."""
    pattern = getattr(bare(kind), "pattern", None)
    if pattern is None:
        return ""
    said = kind.extra_json_schema if isinstance(kind, ir.Metadata) else None
    text = (said or {}).get("description")
    return f" ({text})" if text else f" matching {pattern}"


def show(value: object) -> str:  # noqa: PLR0911 - a case for each type
    """Return a short, printable, one-line picture of a value, as in TOML."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int():
            # Python refuses to print numbers of thousands of digits.
            return str(value) if value.bit_length() < 256 else "a huge int"  # noqa: PLR2004
        case str():
            return quoted(value)
        case float():
            return repr(value)
        case dt.date() | dt.time():
            return value.isoformat()
        case _:
            return sort_of(value)


def sort_of(value: object) -> str:
    """Return the name of a value's type, as TOML calls it."""
    for kinds, name in (((dict,), "table"), ((list, tuple), "array"), ((type(None),), "null")):
        if isinstance(value, kinds):
            return name
    return type(value).__name__


def quoted(text: str) -> str:
    """Return `text` in quotes on one line, shortened, all of it printable."""
    short = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return printable(json.dumps(short, ensure_ascii=False))


def printable(text: str) -> str:
    """Return `text` with line breaks and other control characters written out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def dotted(path: KeyPath) -> str:
    """Return a key path as shown: `hello.items[2].name`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += "." * bool(text) + (step if _BARE.fullmatch(step) else quoted(step))
    return text


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean "greeting"?)` if a name of `known` is near, else nothing."""
    from difflib import get_close_matches  # noqa: PLC0415 - only for mistakes

    close = get_close_matches(name, list(known), n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""
