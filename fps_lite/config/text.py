"""Text from the environment and the command line, and how it becomes a declared type.

Such text stays a `Text` in the merged values, because only the struct knows whether
`10` is a number: `read_text` is asked once the type is known.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import msgspec.inspect as ir

from fps_lite.config.kinds import annotation, bare, is_secret, members

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 100

_YES_NO = {"1": True, "yes": True, "on": True, "0": False, "no": False, "off": False}
_RANKS: tuple[tuple[type[ir.Type], ...], ...] = (
    (ir.IntType,),
    (ir.FloatType,),
    (ir.BoolType,),
    (ir.LiteralType, ir.EnumType),
    (ir.DateTimeType, ir.DateType, ir.TimeType, ir.TimeDeltaType),
    (ir.UUIDType, ir.DecimalType),
    (ir.CollectionType, ir.TupleType),
    (ir.StructType, ir.DataclassType, ir.TypedDictType, ir.DictType),
    (ir.AnyType,),
    (ir.CustomType, ir.StrType, ir.BytesType, ir.ByteArrayType),
)


@dataclass(frozen=True)
class Text:
    """A value as a user typed it in a variable or an option."""

    text: str

    @cached_property
    def table(self) -> dict[str, Any] | None:
        """The table that the text is, if it is one (`{ a = 1 }`)."""
        value = toml_value(self.text) if self.text.lstrip().startswith("{") else None
        return value if isinstance(value, dict) else None


def is_deep(value: object) -> bool:
    """Tell whether tables and arrays nest so deep that recursion is not safe."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for one in level for inner in _children(one)]
        if not level:
            return False
    return True


def _children(value: object) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def toml_value(text: str) -> Any:
    """Return what `text` is as a TOML value, None if it is none."""
    try:
        found = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return None
    return found["value"] if len(found) == 1 and not is_deep(found) else None


def read_text(text: str, kind: ir.Type) -> Any:
    """Return `text` as a value for `kind`, in a union for the first member that it fits.

    Text that fits nothing comes back in the nearest shape, for the error to show.
    """
    kinds = sorted((bare(member) for member in members(kind)), key=_rank)
    nearest: list[Any] = []
    for reader in (_plainly, _loosely):
        for one in kinds:
            for value in reader(text, one):
                if _fits(value, one):
                    return value
                nearest.append(value)
    return next((value for value in nearest if not isinstance(value, str)), text)


def _rank(kind: ir.Type) -> int:
    ranks = (at for at, group in enumerate(_RANKS) if isinstance(kind, group))
    return next(ranks, len(_RANKS))


def _plainly(text: str, kind: ir.Type) -> Iterator[Any]:
    """Yield readings that no other type would want."""
    match kind:
        case ir.IntType():
            yield from _numbers(text, _int)
        case ir.FloatType():
            yield from _numbers(text, float)
        case ir.BoolType() if text.lower() in {"true", "false"}:
            yield text.lower() == "true"
        case ir.LiteralType():
            yield from (value for value in kind.values if str(value) == text)
        case ir.EnumType():
            yield from (one.value for one in kind.cls if str(one.value) == text)
        case ir.NoneType() if text.lower() in {"none", "null"}:
            yield None
        case ir.BoolType() | ir.NoneType():
            return
        case _:
            yield from _structured(text, kind)


def _structured(text: str, kind: ir.Type) -> Iterator[Any]:
    value = toml_value(text) if text.lstrip().startswith(("[", "{")) else None
    match kind:
        case ir.CollectionType() | ir.TupleType() | ir.NamedTupleType():
            wanted: type = list
        case ir.StructType() if kind.array_like:
            wanted = list
        case ir.StructType() | ir.DataclassType() | ir.TypedDictType() | ir.DictType():
            wanted = dict
        case ir.CustomType():
            refers = isinstance(value, dict) and set(value) in ({"env"}, {"file"})
            yield value if refers and is_secret(kind) else text
            return
        case ir.AnyType():
            found = toml_value(text)
            yield text if found is None else found
            return
        case _:
            yield text
            return
    if isinstance(value, wanted):
        yield value


def _loosely(text: str, kind: ir.Type) -> Iterator[Any]:
    """Yield readings that only count if nothing else wants the text."""
    match kind:
        case ir.BoolType() if text.lower() in _YES_NO:
            yield _YES_NO[text.lower()]
        case ir.CollectionType() if not isinstance(toml_value(text), list):
            yield [read_text(one, kind.item_type) for one in _parts(text)]
        case ir.TupleType():
            parts = _parts(text)
            if len(parts) == len(kind.item_types):
                yield [read_text(*one) for one in zip(parts, kind.item_types, strict=True)]
            else:
                yield parts
        case _:
            return


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if text.strip() else []


def _numbers(text: str, read: Any) -> Iterator[Any]:
    try:
        yield read(text)
    except ValueError:
        return


def _int(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        return int(text)


def _fits(value: object, kind: ir.Type) -> bool:
    try:
        msgspec.convert(value, annotation(kind), dec_hook=_accept, str_keys=True)
    except Exception:  # noqa: BLE001 - a struct's own check may raise anything
        return False
    return True


def _accept(kind: type, _value: object) -> Any:
    return kind("")
