"""Layers → one tree of values, and for each value the layers that it came from.

Tables merge key by key at every depth; everything else is replaced; the higher layer wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec.inspect as ir
from msgspec import Struct

from fps_lite.config.kinds import bare, fields, is_table, members
from fps_lite.config.layers import Layer, fold, place_of
from fps_lite.config.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from fps_lite.config.positions import KeyPath

NOWHERE = "configuration"


def merge(lower: Any, higher: Any) -> Any:
    """Return both as one: tables merge, anything else of `higher` replaces `lower`."""
    low, high = _table(lower), _table(higher)
    if low is None or high is None:
        return higher
    merged = dict(low)
    for key, value in high.items():
        merged[key] = merge(merged[key], value) if key in merged else value
    return merged


def _table(value: Any) -> Mapping[str, Any] | None:
    """Return a value as a table; text may be one."""
    if isinstance(value, Text):
        return value.table
    return value if isinstance(value, Mapping) else None


def merge_layers(
    layers: Iterable[Layer], kinds: Mapping[str, ir.Type]
) -> tuple[dict[str, Any], tuple[Layer, ...]]:
    """Return the merged values, and the layers with text keys spelled as declared.

    `kinds` says what is known of the tables; otherwise a key is spelled as lower layers do.
    """
    merged: dict[str, Any] = {}
    spelled = []
    for layer in layers:
        one = _respell_layer(layer, merged, kinds) if layer.is_text else layer
        spelled.append(one)
        for name, table in one.values.items():
            merged[name] = merge(merged[name], table) if name in merged else table
    return merged, tuple(spelled)


def _respell_layer(layer: Layer, below: Mapping[str, Any], kinds: Mapping[str, ir.Type]) -> Layer:
    values = {
        name: _respell(value, (kinds[name],) if name in kinds else (), below.get(name))
        for name, value in layer.values.items()
    }
    return replace(layer, values=values)


def _respell(value: Any, kinds: tuple[ir.Type, ...], below: Any) -> Any:
    """Spell the keys of a text layer's table; text meant as a table becomes one."""
    if isinstance(value, Text):
        means_table = _is_table(kinds) or isinstance(below, Mapping)
        return value.table if means_table and value.table is not None else value
    under = _table(below) or {}
    spelled = {}
    for key, inner in value.items():
        name = _spelling(key, _declared(kinds)) or _spelling(key, list(under)) or key
        spelled[name] = _respell(inner, _kinds_at(kinds, name), under.get(name))
    return spelled


def _spelling(key: str, known: list[str]) -> str | None:
    """Return which of `known` is meant by `key`, an exact match before others."""
    return key if key in known else next((name for name in known if fold(name) == key), None)


def _declared(kinds: tuple[ir.Type, ...]) -> list[str]:
    return [name for kind in kinds for one in members(kind) for name in fields(one) or ()]


def _kinds_at(kinds: tuple[ir.Type, ...], key: str) -> tuple[ir.Type, ...]:
    return tuple(found for kind in kinds for one in members(kind) for found in _at(bare(one), key))


def _at(kind: ir.Type, key: str) -> Iterator[ir.Type]:
    known = fields(kind) or {}
    if key in known:
        yield known[key].type
    elif isinstance(kind, ir.DictType):
        yield kind.value_type


def _is_table(kinds: tuple[ir.Type, ...]) -> bool:
    return any(is_table(one) for kind in kinds for one in members(kind))


class Origins(Struct, frozen=True):
    """Layers, lowest first, asked where the value at a path came from."""

    layers: tuple[Layer, ...]
    loose: bool = False
    """Keys of text layers are not spelled as declared: match any spelling."""

    def find(self, path: KeyPath) -> Iterator[tuple[Layer, Any]]:
        """Yield the layers that have a value at `path` with that value, the winner first."""
        for layer in reversed(self.layers):
            found, value, replaces = _reach(layer, path, loose=self.loose and layer.is_text)
            if found:
                yield layer, value
            elif replaces:
                return

    def where(self, path: KeyPath, *, key: bool = False) -> str:
        """Return the place of the value at `path`, or of its key; else what encloses it."""
        for end in range(len(path), 0, -1):
            for layer in self._speaking(path[:end]):
                return place_of(layer, path[:end], key=key)
        return NOWHERE

    def base(self, path: KeyPath) -> Path | None:
        """Return the directory of the file that a value stands in, None if in none."""
        return next((layer.base for layer, _ in self.find(path)), None)

    def _speaking(self, path: KeyPath) -> list[Layer]:
        """Return the winner at `path`; for a table its files first, and never a switch."""
        found = list(self.find(path))
        if not found or not isinstance(found[0][1], Mapping):
            return [layer for layer, _ in found[:1]]
        tables = [layer for layer, value in found if isinstance(value, Mapping)]
        files = [layer for layer in tables if layer.source]
        return [*files, *(layer for layer in tables if not layer.is_switch)]


def _reach(layer: Layer, path: KeyPath, *, loose: bool) -> tuple[bool, Any, bool]:
    """Return whether a layer has `path`, its value, and, if not, whether it replaces it.

    An array or a plain value in the way replaces everything that lower layers have there.
    """
    value: Any = layer.values
    in_array = False
    for step in path:
        value = value.table if isinstance(value, Text) and value.table is not None else value
        if isinstance(value, Mapping):
            key = step if step in value or not loose else _spelled_in(value, step)
            if key not in value:
                return False, None, in_array
            value = value[key]
        elif isinstance(value, list | tuple) and isinstance(step, int) and step < len(value):
            value, in_array = value[step], True
        else:
            return False, None, True
    return True, value, False


def _spelled_in(table: Mapping[str, Any], step: str | int) -> str | int:
    return next((key for key in table if fold(key) == fold(str(step))), step)
