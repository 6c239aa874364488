"""Text from the environment and the command line, and how it becomes a declared type.

Such text stays a `Text` in the merged values, because only the struct knows whether
`10` is a number: `read_text` is asked once the type is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import msgspec.inspect as ir

from fps_lite.config.kinds import ArrayKind, annotation, bare, is_secret, is_table, members
from fps_lite.config.toml import TomlError, read_value, toml_value

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def problem_with(text: Text, kind: ir.Type) -> str:
    """Say why `text` cannot be a `kind`, if that is in how it is written."""
    sign = _opening(kind)
    if not sign or not text.text.lstrip().startswith(sign):
        return ""
    try:
        read_value(text.text)
    except TomlError as error:
        return error.what
    return ""


def _opening(kind: ir.Type) -> str:
    """Return what text for tables or for arrays of tables begins with, "" for other kinds."""
    some = [one for one in map(bare, members(kind)) if not isinstance(one, ir.NoneType)]
    if all(map(is_table, some)):
        return "{"
    nested = all(isinstance(one, ArrayKind) and _opening(one.item_type) for one in some)
    return "[" if nested else ""


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
            # A table that is no reference is refused as one: its text may be half a secret.
            yield value if isinstance(value, dict) and is_secret(kind) else text
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
