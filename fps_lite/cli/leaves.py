"""The effective configuration, leaf by leaf, with the place of each value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import msgspec.inspect as ir

from fps_lite.config import effective
from fps_lite.config.kinds import bare, fields, holds_secret, kind_of
from fps_lite.config.wording import dotted
from fps_lite.secret import mask
from fps_lite.settings import FPSConfig, PluginConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msgspec.inspect import Field, Type

    from fps_lite.config import Config
    from fps_lite.plugins import Loaded

DEFAULT = "default"
History = list[tuple[str, Any]]


@dataclass(frozen=True)
class Leaf:
    """One value: where it came from, and what it overrode, the next higher first."""

    path: tuple[str, ...]
    value: Any
    origin: str
    overrides: tuple[tuple[str, Any], ...]


def models(loaded: Loaded) -> dict[str, type]:
    """Return what each table is decoded to: `[fps]`, and those of the plugins that have one."""
    tables: dict[str, type] = {"fps": FPSConfig}
    tables |= {one.name: one.model for one in loaded.enabled if not one.failure}
    return tables


class Unread(PluginConfig, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """The table of a plugin that is not imported: its own keys are not known."""


def readable(loaded: Loaded) -> dict[str, type]:
    """Return `models`, and for each other plugin what is known of its table."""
    return dict.fromkeys(loaded.plugins, Unread) | models(loaded)


def effective_leaves(loaded: Loaded) -> Iterator[Leaf]:
    """Yield the leaves of `[fps]` and of every plugin that takes part, secrets masked.

    A value that was refused is not there: its key has the default, and says so.
    """
    tables: dict[str, Any] = {"fps": loaded.config.decode("fps", FPSConfig).value}
    tables |= {one.name: one.config for one in loaded.enabled}
    problems = [line for error in loaded.errors for line in error.problems]
    reader = _Reader(loaded.config, loaded.secrets, tuple(problems))
    for name, value in tables.items():
        if value is not None:
            yield from reader.leaves((name,), value, kind_of(type(value)), [])


@dataclass(frozen=True)
class _Reader:
    config: Config
    secrets: frozenset[str]
    problems: tuple[str, ...]

    def leaves(
        self, path: tuple[str, ...], value: Any, kind: Type, default: History
    ) -> Iterator[Leaf]:
        """Yield the leaves of a value: tables are merged key by key, all else is one leaf."""
        known = fields(kind_of(type(value))) if isinstance(value, msgspec.Struct) else None
        if known is not None:
            for key, field in known.items():
                found = getattr(value, field.name)
                if found is not msgspec.UNSET:
                    yield from self.leaves((*path, key), found, field.type, _default(field))
        elif isinstance(value, dict) and value:
            table = bare(kind)
            inner = table.value_type if isinstance(table, ir.DictType) else kind
            for key, found in value.items():
                yield from self.leaves((*path, str(key)), found, inner, [])
        else:
            yield self.leaf(path, value, kind, default)

    def leaf(self, path: tuple[str, ...], value: Any, kind: Type, default: History) -> Leaf:
        given = [] if self.is_refused(path) else self.config.history(*path)
        history = [*given, *default] or [(DEFAULT, value)]
        # What a higher layer overrode is a secret still.
        hidden = holds_secret(kind)
        below = [(where, "***" if hidden else self.shown(one)) for where, one in history[1:]]
        return Leaf(path, self.shown(value), history[0][0], tuple(below))

    def is_refused(self, path: tuple[str, ...]) -> bool:
        where = f"{self.config.where(*path)}: {dotted(path)}: "
        return any(line.startswith(where) for line in self.problems)

    def shown(self, value: Any) -> Any:
        return _masked(effective(value), self.secrets)


def _masked(value: Any, secrets: frozenset[str]) -> Any:
    if isinstance(value, str):
        return mask(value, secrets)
    if isinstance(value, dict):
        return {mask(key, secrets): _masked(one, secrets) for key, one in value.items()}
    return [_masked(one, secrets) for one in value] if isinstance(value, list) else value


def _default(field: Field) -> History:
    if field.default is not msgspec.NODEFAULT:
        return [(DEFAULT, field.default)]
    if field.default_factory is not msgspec.NODEFAULT:
        return [(DEFAULT, field.default_factory())]
    return []
