"""A merged table → its struct, or all errors at once.

msgspec converts the table whole, and mostly that is all. Only text, paths, secrets and
faults need the slower walk along the types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from fps_lite.config.check import DROPPED, Check
from fps_lite.config.kinds import kind_of, may_hold_secret
from fps_lite.config.merge import Origins, merge_layers
from fps_lite.config.resolve import Resolver
from fps_lite.errors import ConfigError
from fps_lite.secret import secrets_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fps_lite.config.layers import Layer

T = TypeVar("T")


class Decoded(Struct, Generic[T], frozen=True):
    """A table as its struct, and what is wrong with it."""

    value: T | None
    """With errors: the faulty keys have their defaults; None if that cannot be built."""
    errors: tuple[ConfigError, ...]
    secrets: frozenset[str]
    """The text of each secret in any layer of the table."""


class _NotPlainError(Exception):
    """A path or a secret: the table needs its types to be walked."""


def decode_table(  # noqa: PLR0913 - one call, in one place, all by name
    table: str,
    model: type[T],
    *,
    merged: Any,
    layers: Sequence[Layer],
    directory: Path,
    environ: Mapping[str, str],
    only_known: bool,
) -> Decoded[T]:
    """Decode `merged`, the layers' values of one table, as `model`."""
    if not any(layer.is_text for layer in layers):
        value = _quick(_known(merged, model) if only_known else merged, model)
        if value is not None:
            # A model that only some keys are for is one of few; a whole table has its own, and to
            # look at what is there is quicker than to look at what may be.
            looks = not only_known or may_hold_secret(model)
            return Decoded(value, (), secrets_of(value) if looks else frozenset())
    kind = kind_of(model)
    found, spelled = merge_layers([layer.of(table) for layer in layers], {table: kind})
    origins = Origins(spelled)
    resolver = Resolver(origins, directory, environ)
    if len(layers) > 1 and may_hold_secret(model):
        resolver.note_overridden(table, kind)
    tree = _known(found.get(table, {}), model) if only_known else found.get(table, {})
    return _checked(resolver.resolve(tree, kind, (table,)), table, model, resolver)


def _quick(merged: Any, model: type[T]) -> T | None:
    try:
        return msgspec.convert(merged, model, dec_hook=_needs_walk, str_keys=True)
    except Exception:  # noqa: BLE001 - found again, with its place, by the walk
        return None


def _needs_walk(_kind: type, _value: object) -> Any:
    raise _NotPlainError


def _known(merged: Any, model: type) -> Any:
    if not isinstance(merged, Mapping):
        return merged
    names = getattr(model, "__struct_encode_fields__", ())
    return {key: value for key, value in merged.items() if key in names}


def _checked(tree: Any, table: str, model: type[T], resolver: Resolver) -> Decoded[T]:
    value, error = _convert(tree, model, resolver)
    faults: list[str] = []
    if error is not None:
        check = Check(resolver, faults)
        usable = check.value(tree, kind_of(model), (table,))
        value, _ = (None, None) if usable is DROPPED else _convert(usable, model, resolver)
        if not faults:
            check.refused(error, tree, kind_of(model), (table,))
    known = frozenset(resolver.secrets - {""}) | secrets_of(value)
    return Decoded(value, tuple(map(ConfigError, dict.fromkeys(faults))), known)


def _convert(tree: Any, model: type[T], resolver: Resolver) -> tuple[T | None, Exception | None]:
    try:
        return msgspec.convert(tree, model, dec_hook=resolver.hook, str_keys=True), None
    except Exception as error:  # noqa: BLE001 - a struct's own check may raise anything
        return None, error
