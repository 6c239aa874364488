"""Values as written → values as declared: text is read, paths and secrets are resolved.

What cannot be resolved becomes a `Fault` in its place, which the checks that follow report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec.inspect as ir
from msgspec import Struct, field
from msgspec.structs import replace

from fps_lite.config.files import MAX_BYTES, read_bytes, reason_of
from fps_lite.config.kinds import ArrayKind, fields, is_path, is_secret, pick
from fps_lite.config.merge import Origins
from fps_lite.config.text import Text, problem_with, read_text
from fps_lite.config.wording import quoted
from fps_lite.secret import Secret

if TYPE_CHECKING:
    from fps_lite.config.positions import KeyPath


@dataclass(frozen=True)
class Fault:
    """A value that could not be resolved, and why."""

    what: str


class Resolver(Struct, frozen=True):
    """Resolves one table; remembers the text of each secret that it saw."""

    origins: Origins
    directory: Path
    environ: Mapping[str, str]
    secrets: set[str] = field(default_factory=set)

    def resolve(self, value: Any, kind: ir.Type, path: KeyPath) -> Any:
        """Return `value` as one that msgspec converts to `kind` strictly."""
        if isinstance(value, Text):
            found = read_text(value.text, kind)
            problem = problem_with(value, kind)
            if problem:
                return Fault(problem)
            value = found
        if isinstance(value, int | float):
            return value
        one = pick(kind, value)
        if one is None:
            return _plain(value)
        if is_secret(one):
            return self.secret(value, path)
        if is_path(one):
            return self.path(value, one, path)
        return self._inside(value, one, path)

    def _inside(self, value: Any, kind: ir.Type, path: KeyPath) -> Any:
        if isinstance(value, Mapping):
            kinds = _kinds_of(kind, value)
            return {
                key: self.resolve(inner, kinds[key], (*path, key)) if key in kinds else inner
                for key, inner in value.items()
            }
        if isinstance(value, list):
            items = _item_kinds(kind, len(value))
            return [
                self.resolve(inner, one, (*path, at)) if one else _plain(inner)
                for at, (inner, one) in enumerate(zip(value, items, strict=True))
            ]
        return value

    def path(self, value: Any, kind: ir.Type, path: KeyPath) -> Any:
        """Return a path that does not depend on the working directory."""
        if not isinstance(value, str) or not isinstance(kind, ir.CustomType):
            return value
        if "\0" in value:
            return Fault("expected path, got a text with a NUL character")
        return kind.cls((self.origins.base(path) or self.directory) / value)

    def secret(self, value: Any, path: KeyPath) -> Any:
        """Return the secret that a string, `{ env = … }` or `{ file = … }` stands for."""
        match value:
            case Secret():
                return self._known(value.reveal())
            case str():
                return self._known(value)
            case {"env": str(name)} if set(value) == {"env"}:
                return self._from_environ(name)
            case {"file": str(name)} if set(value) == {"file"}:
                return self._from_file(name, self.origins.base(path) or self.directory)
            case _:
                return value

    def _from_environ(self, name: str) -> Secret | Fault:
        text = self.environ.get(name)
        if text is None:
            return Fault(f"the environment variable {quoted(name)} is not set")
        return self._known(text)

    def _from_file(self, name: str, base: Path) -> Secret | Fault:
        try:
            data = read_bytes(base / name, pipes=True)
            text = data.decode()
        except UnicodeDecodeError:
            return Fault(f"the secret's file {quoted(name)} is not UTF-8")
        except (OSError, ValueError) as error:
            reason = reason_of(error) if isinstance(error, OSError) else ""
            return Fault(f"the secret's file {quoted(name)} cannot be read: {reason}")
        if len(data) > MAX_BYTES:
            return Fault(f"the secret's file {quoted(name)} is larger than 1 MiB")
        return self._known(text.removesuffix("\n").removesuffix("\r"))

    def _known(self, text: str) -> Secret:
        self.secrets.add(text)
        return Secret(text)

    def note_overridden(self, table: str, kind: ir.Type) -> None:
        """Remember the secrets of every layer: a lower one is masked like the winner."""
        for layer in self.origins.layers:
            alone = replace(self, origins=Origins((layer,)))
            alone.resolve(layer.values[table], kind, (table,))

    def hook(self, kind: Any, value: Any) -> Any:
        """Convert a path or a secret in a place that `resolve` does not reach."""
        custom = ir.CustomType(kind)
        found = value
        if is_path(custom):
            found = self.path(value, custom, ())
        elif is_secret(custom):
            found = self.secret(value, ())
        if isinstance(found, Fault):
            raise ValueError(found.what)  # noqa: TRY004 - msgspec makes it an error of the value
        return found


def _plain(value: Any) -> Any:
    """Return a value of unclear type with its text as it is."""
    if isinstance(value, Text):
        return value.text
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _kinds_of(kind: ir.Type, value: Mapping[str, Any]) -> dict[str, ir.Type]:
    """Return the kind of each value that a table of `kind` says something about."""
    if isinstance(kind, ir.DictType):
        return dict.fromkeys(value, kind.value_type)
    known = fields(kind) or {}
    unknown: ir.Type = ir.AnyType()
    return {key: known[key].type if key in known else unknown for key in value}


def _item_kinds(kind: ir.Type, length: int) -> list[ir.Type | None]:
    if isinstance(kind, ArrayKind):
        return [kind.item_type] * length
    if isinstance(kind, ir.TupleType) and len(kind.item_types) == length:
        return list(kind.item_types)
    return [None] * length
