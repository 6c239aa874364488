"""Structs → one JSON Schema for editors; and a decoded struct → plain values for output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import msgspec.inspect as ir

from fps_lite.config.kinds import (
    TableKind,
    annotation,
    bare,
    fields,
    is_path,
    is_secret,
    kind_of,
    tags,
)
from fps_lite.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SECRET = {
    "anyOf": [
        {"type": "string"},
        *(
            {
                "type": "object",
                "properties": {key: {"type": "string"}},
                "required": [key],
                "additionalProperties": False,
            }
            for key in ("env", "file")
        ),
    ],
}
_SIZES = {"min_length": ("minItems", "minProperties"), "max_length": ("maxItems", "maxProperties")}


def schema(models: Mapping[str, type]) -> dict[str, Any]:
    """Return one JSON Schema (2020-12) for the tables that `models` names."""
    shared: dict[str, Any] = {}
    tables = {
        name: _Writer(name, shared).of(kind_of(model)) for name, model in sorted(models.items())
    }
    return {
        "$schema": _DIALECT,
        "type": "object",
        "properties": tables,
        "additionalProperties": False,
        "$defs": shared,
    }


class _Writer:
    """Writes the schema of one table; its structs are named under the table's name."""

    def __init__(self, table: str, shared: dict[str, Any]) -> None:
        self.table = table
        self.shared = shared
        self.names: dict[int, str] = {}

    def of(self, kind: ir.Type) -> dict[str, Any]:
        if isinstance(kind, ir.Metadata):
            return self.of(kind.type) | (kind.extra_json_schema or {})
        if is_secret(kind):
            return dict(_SECRET)
        if is_path(kind):
            return {"type": "string"}
        if isinstance(kind, TableKind) and fields(kind) is not None:
            return self.reference(kind)
        return self.container(kind)

    def container(self, kind: ir.Type) -> dict[str, Any]:  # noqa: PLR0911 - a case for each
        match kind:
            case ir.UnionType():
                choice = tags(kind)
                told = {} if choice is None else {"required": [choice[0]]}
                return {"anyOf": [self.of(one) | _if_tagged(one, told) for one in kind.types]}
            case ir.DictType():
                found = {"type": "object", "additionalProperties": self.of(kind.value_type)}
                return found | _sizes(kind, 1)
            case ir.TupleType():
                items = [self.of(one) for one in kind.item_types]
                size = {"minItems": len(items), "maxItems": len(items)}
                return {"type": "array", "prefixItems": items, **size}
            case ir.EnumType():
                return {"enum": [one.value for one in kind.cls]}
            case ir.ListType() | ir.SetType() | ir.FrozenSetType() | ir.VarTupleType():
                return {"type": "array", "items": self.of(kind.item_type)} | _sizes(kind, 0)
            case ir.StructType() | ir.NamedTupleType():
                return {"type": "array"}
            case ir.CustomType():
                return {}
            case _:
                return msgspec.json.schema(annotation(kind))

    def reference(self, kind: TableKind) -> dict[str, Any]:
        """Return a reference to a struct's schema, written once for each table."""
        name = self.names.get(id(kind))
        if name is None:
            name = self.free_name(f"{self.table}.{getattr(kind.cls, '__name__', 'table')}")
            self.names[id(kind)] = name
            self.shared[name] = {}
            self.shared[name] = self.struct(kind)
        return {"$ref": f"#/$defs/{name}"}

    def free_name(self, wanted: str) -> str:
        name, number = wanted, 2
        while name in self.shared:
            name, number = f"{wanted}{number}", number + 1
        return name

    def struct(self, kind: TableKind) -> dict[str, Any]:
        known = fields(kind) or {}
        found: dict[str, Any] = {"title": getattr(kind.cls, "__name__", ""), "type": "object"}
        found["properties"] = {name: self.field(one) for name, one in known.items()}
        found["required"] = [name for name, one in known.items() if one.required]
        if isinstance(kind, ir.StructType):
            if kind.tag_field is not None:
                found["properties"][kind.tag_field] = {"const": kind.tag}
            if kind.forbid_unknown_fields:
                found["additionalProperties"] = False
        return found

    def field(self, one: ir.Field) -> dict[str, Any]:
        return self.of(one.type) | _default(one)


def _default(one: ir.Field) -> dict[str, Any]:
    """Return a field's default if JSON can express it."""
    value = one.default
    if value is msgspec.NODEFAULT:
        if one.default_factory not in (list, dict, set):
            return {}
        value = one.default_factory()
    try:
        plain = msgspec.to_builtins(value, str_keys=True)
        json.dumps(plain, allow_nan=False)
    except (TypeError, ValueError):
        return {}
    return {"default": plain}


def _if_tagged(kind: ir.Type, told: dict[str, Any]) -> dict[str, Any]:
    inner = bare(kind)
    return told if isinstance(inner, ir.StructType) and inner.tag_field else {}


def _sizes(kind: ir.Type, column: int) -> dict[str, Any]:
    found = {names[column]: getattr(kind, name, None) for name, names in _SIZES.items()}
    return {name: size for name, size in found.items() if size is not None}


def effective(value: Any) -> Any:
    """Return a struct as a plain dict for output: secrets as `***`, unset keys left out."""
    if isinstance(value, msgspec.Struct):
        return _struct(value)
    if isinstance(value, dict):
        return {str(key): effective(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [effective(inner) for inner in value]
    return str(value) if isinstance(value, Secret) else msgspec.to_builtins(value, enc_hook=str)


def _struct(value: msgspec.Struct) -> dict[str, Any]:
    config = value.__struct_config__
    named = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
    found = {key: getattr(value, name) for key, name in named}
    tag = {} if config.tag_field is None else {config.tag_field: config.tag}
    return tag | {key: effective(one) for key, one in found.items() if one is not msgspec.UNSET}
