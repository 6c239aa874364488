"""A table that msgspec refused → every fault in it, each with its own place.

msgspec stops at the first fault and knows no places, so the values are walked along their
types; each step returns what is usable of the value, or `DROPPED`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import msgspec.inspect as ir
from msgspec import Struct, field

from fps_lite.config.kinds import (
    ArrayKind,
    annotation,
    bare,
    fields,
    holds_secret,
    is_table,
    members,
    pick,
    tags,
)
from fps_lite.config.resolve import Fault, Resolver
from fps_lite.config.wording import describe, did_you_mean, dotted, printable, show, sort_of
from fps_lite.secret import mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fps_lite.config.positions import KeyPath

DROPPED = Fault("")

_AT = re.compile(r" - at `(?:key in )?\$(.*)`$", re.DOTALL)
_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+)\]")


class Check(Struct, frozen=True):
    """Walks resolved values along their kinds and collects one line for each fault."""

    resolver: Resolver
    faults: list[str] = field(default_factory=list)

    def value(self, value: Any, kind: ir.Type, path: KeyPath) -> Any:
        """Return what is usable of `value`, which is to be a `kind`."""
        if isinstance(value, Fault):
            return self._fault(path, value.what)
        one = pick(kind, value)
        if isinstance(value, Mapping):
            return self._table(value, kind, one, path)
        items = _items(one, value)
        if one is not None and items is not None:
            return self._array(value, items, one, path)
        return self._whole(value, kind, path)

    def _table(
        self, value: Mapping[str, Any], kind: ir.Type, one: ir.Type | None, path: KeyPath
    ) -> Any:
        known = None if one is None else fields(one)
        if one is not None and known is not None:
            return self._struct(value, one, known, path)
        if isinstance(one, ir.DictType):
            return self._dict(value, one, path)
        choice = tags(kind) if one is None else None
        if choice is not None:
            return self._untold(value, *choice, path)
        return self._whole(value, kind, path)

    def _struct(
        self, value: Mapping[str, Any], kind: ir.Type, known: Mapping[str, ir.Field], path: KeyPath
    ) -> Any:
        before = len(self.faults)
        usable = {}
        for key, inner in value.items():
            if key not in known:
                found = self._extra(key, inner, kind, known, path)
            else:
                found = self.value(inner, known[key].type, (*path, key))
            if not isinstance(found, Fault):
                usable[key] = found
        required = [name for name, one in known.items() if one.required]
        for name in required:
            if name not in value:
                expected = describe(known[name].type)
                self._fault((*path, name), f"missing, expected {expected}", at=path)
        if any(name not in usable for name in required):
            return DROPPED
        return usable if len(self.faults) > before else self._whole(usable, kind, path)

    def _extra(
        self, key: str, value: Any, kind: ir.Type, known: Iterable[str], path: KeyPath
    ) -> Any:
        """Return the value of a key that is no field: a tag, or one that may be ignored."""
        if not isinstance(kind, ir.StructType) or not kind.forbid_unknown_fields:
            return value
        if key == kind.tag_field:
            return value
        moved: Mapping[str, str] = getattr(kind.cls, "moved", {})
        if key in moved:
            return self._fault((*path, key), f"unknown key: set {moved[key]} instead", key=True)
        refused: Mapping[str, str] = getattr(kind.cls, "refused", {})
        if key in refused:
            return self._fault((*path, key), f"unknown key: {refused[key]}", key=True)
        return self._fault((*path, key), f"unknown key{did_you_mean(key, known)}", key=True)

    def _dict(self, value: Mapping[str, Any], kind: ir.DictType, path: KeyPath) -> Any:
        before = len(self.faults)
        found = {}
        for key, inner in value.items():
            self._key(key, kind.key_type, (*path, key))
            found[key] = self.value(inner, kind.value_type, (*path, key))
        return DROPPED if len(self.faults) > before else self._whole(found, kind, path)

    def _key(self, key: str, kind: ir.Type, path: KeyPath) -> None:
        shape = dict.__class_getitem__((annotation(kind), None))
        try:
            msgspec.convert({key: None}, shape, str_keys=True)
        except Exception:  # noqa: BLE001 - an enum's own lookup may raise anything
            self._fault(path, f"expected a key like {describe(kind)}", key=True)

    def _array(
        self, value: list[Any], items: Iterable[ir.Type], kind: ir.Type, path: KeyPath
    ) -> Any:
        before = len(self.faults)
        pairs = enumerate(zip(value, items, strict=True))
        found = [self.value(inner, one, (*path, at)) for at, (inner, one) in pairs]
        return DROPPED if len(self.faults) > before else self._whole(found, kind, path)

    def _untold(
        self, value: Mapping[str, Any], tag: str, choices: Sequence[str | int], path: KeyPath
    ) -> Fault:
        """Report a table whose tag does not say which of several structs it is."""
        wanted = " or ".join(map(show, choices))
        if tag not in value:
            return self._fault((*path, tag), f"missing, expected {wanted}", at=path)
        return self._fault((*path, tag), f"expected {wanted}, got {self._show(value[tag])}")

    def _whole(self, value: Any, kind: ir.Type, path: KeyPath) -> Any:
        """Return `value` if msgspec takes it for `kind`."""
        hook = self.resolver.hook
        try:
            msgspec.convert(value, annotation(kind), dec_hook=hook, str_keys=True)
        except Exception as error:  # noqa: BLE001 - a struct's own check may raise anything
            return self.refused(error, value, kind, path)
        return value

    def refused(self, error: Exception, value: Any, kind: ir.Type, path: KeyPath) -> Fault:
        """Report what msgspec, or a struct's own check, said of a value without other faults."""
        said, deeper = _located(str(error))
        if not isinstance(error, msgspec.ValidationError):
            return self._fault(path, f"{type(error).__name__}: {said}")
        if deeper and said.startswith("Expected `"):
            return self._fault((*path, *deeper), "e" + said[1:].replace("`", ""))
        if deeper or _is_own_check(value, pick(kind, value)):
            return self._fault((*path, *deeper), said)
        # Text that is to be a table may be one with secrets in it and a typo.
        is_hidden = holds_secret(kind) or any(map(is_table, members(kind)))
        got = sort_of(value) if is_hidden else self._show(value)
        if isinstance(value, Mapping | list) and got in describe(kind):
            got = f"length {len(value)}"
        return self._fault(path, f"expected {_expected(kind)}, got {got}")

    def _fault(
        self, path: KeyPath, what: str, *, at: KeyPath | None = None, key: bool = False
    ) -> Fault:
        """Note what is wrong with `path`, shown where `at`, else `path`, stands."""
        where = self.resolver.origins.where(path if at is None else at, key=key)
        # Masked before a line break is lost, and again as it is shown.
        said = printable(" ".join(self._masked(what).split()))
        steps = [self._masked(one) if isinstance(one, str) else one for one in path]
        self.faults.append(self._masked(f"{where}: {dotted(tuple(steps))}: {said}"))
        return DROPPED

    def _show(self, value: object) -> str:
        """Show a value; masked before it is shortened."""
        return show(self._masked(value) if isinstance(value, str) else value)

    def _masked(self, text: str) -> str:
        return mask(text, self.resolver.secrets)


def _items(kind: ir.Type | None, value: object) -> list[ir.Type] | None:
    """Return the kind of each element, None if `value` is no array of `kind`'s shape."""
    if not isinstance(value, list):
        return None
    if isinstance(kind, ArrayKind):
        return [kind.item_type] * len(value)
    if isinstance(kind, ir.TupleType) and len(kind.item_types) == len(value):
        return list(kind.item_types)
    return None


def _is_own_check(value: object, kind: ir.Type | None) -> bool:
    """Tell whether a refusal can only come from a struct's `__post_init__`."""
    return isinstance(value, Mapping) and kind is not None and fields(kind) is not None


def _expected(kind: ir.Type) -> str:
    """Word a kind without null: nobody can write that in TOML."""
    inner = bare(kind)
    if not isinstance(inner, ir.UnionType):
        return describe(kind)
    some = [one for one in inner.types if not isinstance(bare(one), ir.NoneType)]
    return " or ".join(dict.fromkeys(map(describe, some)))


def _located(said: str) -> tuple[str, KeyPath]:
    """Split msgspec's message into what it says and the path below the value."""
    found = _AT.search(said)
    if not found:
        return said, ()
    path: list[str | int] = []
    at = 0
    while step := _STEP.match(found[1], at):
        path.append(step[1] or int(step[2]))
        at = step.end()
    return said[: found.start()], tuple(path)
