"""What msgspec knows about a declared type: its members, fields and bounds.

A *kind* is a node of `msgspec.inspect`: unlike an annotation it has its generics,
aliases, forward references and renamed fields worked out.
"""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

import msgspec
import msgspec.inspect as ir

from fps_lite.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

TableKind = ir.StructType | ir.DataclassType | ir.TypedDictType
ArrayKind = ir.ListType | ir.SetType | ir.FrozenSetType | ir.VarTupleType

_SCALARS: dict[type[ir.Type], Any] = {
    ir.AnyType: Any,
    ir.BoolType: bool,
    ir.ByteArrayType: bytearray,
    ir.BytesType: bytes,
    ir.DateTimeType: dt.datetime,
    ir.DateType: dt.date,
    ir.DecimalType: decimal.Decimal,
    ir.FloatType: float,
    ir.IntType: int,
    ir.NoneType: None,
    ir.StrType: str,
    ir.TimeDeltaType: dt.timedelta,
    ir.TimeType: dt.time,
    ir.UUIDType: uuid.UUID,
}
_ARRAYS: dict[type[ir.Type], Any] = {
    ir.ListType: list,
    ir.SetType: set,
    ir.FrozenSetType: frozenset,
}
_CONSTRAINTS = (
    "ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length", "pattern", "tz",
)  # fmt: skip


def kind_of(model: type) -> ir.Type:
    """Return the kind of `model`; TypeError if msgspec cannot use it."""
    return _kind_of(model)


@cache
def _kind_of(model: Hashable) -> ir.Type:
    return ir.type_info(model)


def bare(kind: ir.Type) -> ir.Type:
    """Return `kind` without its descriptions."""
    while isinstance(kind, ir.Metadata):
        kind = kind.type
    return kind


def members(kind: ir.Type) -> tuple[ir.Type, ...]:
    """Return what a union may be; any other kind is its own only member."""
    inner = bare(kind)
    if isinstance(inner, ir.UnionType):
        return tuple(one for member in inner.types for one in members(member))
    return (kind,)


def fields(kind: ir.Type) -> dict[str, ir.Field] | None:
    """Return the keys that a table of `kind` may have, None if it has no fixed ones."""
    kind = bare(kind)
    if isinstance(kind, ir.StructType) and kind.array_like:
        return None
    if isinstance(kind, TableKind):
        return {field.encode_name: field for field in kind.fields}
    return None


def is_table(kind: ir.Type) -> bool:
    """Tell whether `kind` is a table, with fixed keys or any."""
    return fields(kind) is not None or isinstance(bare(kind), ir.DictType)


def is_path(kind: ir.Type) -> bool:
    """Tell whether `kind` is a `pathlib` path."""
    kind = bare(kind)
    return isinstance(kind, ir.CustomType) and _is_class(kind.cls, PurePath)


def is_secret(kind: ir.Type) -> bool:
    """Tell whether `kind` is a `Secret`."""
    kind = bare(kind)
    return isinstance(kind, ir.CustomType) and _is_class(kind.cls, Secret)


def _is_class(found: object, wanted: type) -> bool:
    return isinstance(found, type) and issubclass(found, wanted)


def holds_secret(kind: ir.Type) -> bool:
    """Tell whether a `Secret` may be anywhere inside `kind`."""
    return any(map(is_secret, _walk(kind, set())))


def may_hold_secret(model: type) -> bool:
    """Tell whether a `Secret` may be anywhere inside a struct; quick when asked again."""
    return _may_hold_secret(model)


@cache
def _may_hold_secret(model: Hashable) -> bool:
    return holds_secret(_kind_of(model))


def _walk(kind: ir.Type, seen: set[int]) -> Iterator[ir.Type]:
    kind = bare(kind)
    if id(kind) in seen:
        return
    seen.add(id(kind))
    yield kind
    for inner in _inside(kind):
        yield from _walk(inner, seen)


def _inside(kind: ir.Type) -> list[ir.Type]:
    match kind:
        case ir.UnionType():
            return list(kind.types)
        case ir.CollectionType():
            return [kind.item_type]
        case ir.TupleType():
            return list(kind.item_types)
        case ir.DictType():
            return [kind.key_type, kind.value_type]
        case _:
            return [field.type for field in getattr(kind, "fields", ())]


def pick(kind: ir.Type, value: object) -> ir.Type | None:
    """Return the one member of a union that `value` must mean to be, None if unclear."""
    kinds = [bare(one) for one in members(kind)]
    some = [one for one in kinds if not isinstance(one, ir.NoneType)]
    if len(some) == 1 and (value is not None or len(kinds) == 1):
        return some[0]
    if isinstance(value, dict):
        return _pick_table(some, value)
    if isinstance(value, list):
        arrays = [one for one in some if isinstance(one, ArrayKind | ir.TupleType)]
        return arrays[0] if len(arrays) == 1 else None
    return None


def _pick_table(kinds: list[ir.Type], value: dict[str, Any]) -> ir.Type | None:
    tables = [one for one in kinds if isinstance(one, TableKind | ir.DictType) or is_secret(one)]
    if len(tables) == 1:
        return tables[0]
    tagged = (one for one in tables if isinstance(one, ir.StructType) and one.tag_field)
    return next((one for one in tagged if value.get(one.tag_field or "") == one.tag), None)


def tags(kind: ir.Type) -> tuple[str, tuple[str | int, ...]] | None:
    """Return the tag's key and its values if `kind` is a union of tagged structs."""
    structs = [one for one in map(bare, members(kind)) if isinstance(one, ir.StructType)]
    tagged = [one for one in structs if one.tag_field is not None and one.tag is not None]
    if len(tagged) < 2:  # noqa: PLR2004 - a single struct needs no tag to be told apart
        return None
    return str(tagged[0].tag_field), tuple(one.tag for one in tagged if one.tag is not None)


def annotation(kind: ir.Type) -> Any:
    """Return an annotation that means `kind`, for `msgspec.convert`."""
    kind = bare(kind)
    if hasattr(kind, "cls"):
        return kind.cls
    base = _annotation_without_bounds(kind)
    bounds = {name: getattr(kind, name, None) for name in _CONSTRAINTS}
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    return Annotated[base, msgspec.Meta(**given)] if given else base


def _annotation_without_bounds(kind: ir.Type) -> Any:  # noqa: PLR0911 - a case for each kind
    match kind:
        case ir.UnionType():
            return Union[tuple(map(annotation, kind.types))]  # noqa: UP007 - made at run time
        case ir.LiteralType():
            return Literal[tuple(kind.values)]
        case ir.VarTupleType():
            return tuple.__class_getitem__((annotation(kind.item_type), ...))
        case ir.CollectionType():
            return _ARRAYS[type(kind)][annotation(kind.item_type)]
        case ir.TupleType():
            return tuple.__class_getitem__(tuple(map(annotation, kind.item_types)))
        case ir.DictType():
            return dict.__class_getitem__((annotation(kind.key_type), annotation(kind.value_type)))
        case _:
            return _SCALARS.get(type(kind), Any)
