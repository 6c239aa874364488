"""A commented `fps.toml`: every key of the installed plugins with its default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from fps_lite.config import effective
from fps_lite.config.kinds import bare, fields, kind_of
from fps_lite.config.wording import describe, dotted

from .output import as_toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from msgspec.inspect import Field, Type

HEAD = """\
## The configuration of this server. A line with one # shows a default: take the # away,
## and that of the [table] above, and change the value. A key with ## has no default.
## `fps-lite check` finds mistakes, `fps-lite config --origin` shows where each value
## comes from.
"""


def starter(models: Mapping[str, type]) -> str:
    """Return the text of a file that changes nothing until it is edited."""
    tables = [line for name, model in models.items() for line in _table((name,), kind_of(model))]
    return "\n".join([HEAD.rstrip(), *tables]) + "\n"


def _table(path: tuple[str, ...], kind: Type, default: Any = None) -> Iterator[str]:
    known = fields(kind) or {}
    yield ""
    yield f"# [{dotted(path)}]"
    for key, field in known.items():
        if not _is_table(field):
            yield _key(dotted((key,)), describe(field.type), _default(field, default))
    for key, field in known.items():
        if _is_table(field):
            yield from _table((*path, key), bare(field.type), _default(field, default))


def _is_table(field: Field) -> bool:
    return fields(bare(field.type)) is not None


def _key(key: str, said: str, default: Any) -> str:
    if default is msgspec.NODEFAULT:
        return f"## {key} =  # {said}, required"
    if default in (msgspec.UNSET, None):
        return f"## {key} =  # {said}"
    return f"# {key} = {as_toml(effective(default))}  # {said}"


def _default(field: Field, table: Any) -> Any:
    """Return a field's default, as the default of the table around it has it."""
    if isinstance(table, msgspec.Struct):
        return getattr(table, field.name)
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default
