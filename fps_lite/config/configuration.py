"""All configuration as one frozen value: `read` makes it, `decode` gives its tables types."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from fps_lite.config.decode import Decoded, decode_table
from fps_lite.config.layers import (
    RESERVED,
    Layer,
    Stack,
    place_of,
    plugins_named,
    read_core_file,
    read_files,
    read_plugin_files,
    shared_folders,
)
from fps_lite.config.merge import Origins, merge_layers
from fps_lite.config.text import Text
from fps_lite.config.toml import DEEP, is_deep
from fps_lite.config.variables import Option, misspelt, read_environment, read_options
from fps_lite.config.wording import did_you_mean, dotted, sort_of
from fps_lite.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")


class Config(Struct, frozen=True, dict=True):
    """The layers, lowest first, and what their sources had wrong."""

    layers: tuple[Layer, ...]
    directory: Path
    errors: tuple[ConfigError, ...] = ()

    @cached_property
    def _merged(self) -> tuple[dict[str, Any], tuple[Layer, ...]]:
        return merge_layers(self.layers, {})

    @cached_property
    def _layers_of(self) -> dict[str, tuple[Layer, ...]]:
        found: dict[str, list[Layer]] = {}
        for layer in self.layers:
            for name in layer.values:
                found.setdefault(name, []).append(layer)
        return {name: tuple(layers) for name, layers in found.items()}

    @property
    def _origins(self) -> Origins:
        return Origins(self._merged[1], loose=True)

    @property
    def values(self) -> Mapping[str, Any]:
        """Return the merged values; text from variables and options is not yet typed."""
        return self._merged[0]

    def names(self) -> frozenset[str]:
        """Return the names of the top-level tables."""
        return frozenset(self.values)

    def table(self, name: str) -> Mapping[str, Any]:
        """Return a merged table, an empty one if there is none."""
        found = self.values.get(name)
        return found if isinstance(found, Mapping) else {}

    def with_values(self, source: str, values: Mapping[str, Any]) -> Config:
        """Return this configuration under a switch's layer, whose origin shows as `source`."""
        return replace(self, layers=(*self.layers, Layer(source, values, is_switch=True)))

    def where(self, *path: str | int) -> str:
        """Return the place of a value (`fps.toml:12:9`, a variable, an option).

        Without one: the place of the table around it, at last `configuration`.
        """
        return self._origins.where(path)

    def where_key(self, *path: str | int) -> str:
        """Return the place of a key, as `where` does for its value."""
        return self._origins.where(path, key=True)

    def history(self, *path: str | int) -> tuple[tuple[str, Any], ...]:
        """Return each place that gives a value and the value, the winner first.

        The values are as written, secrets too: mask them with `Decoded.secrets`.
        """
        return tuple(
            (place_of(layer, path, key=False), value.text if isinstance(value, Text) else value)
            for layer, value in self._origins.find(path)
        )

    def is_set(self, *path: str | int) -> bool:
        """Tell whether any layer gives a value."""
        return any(True for _ in self._origins.find(path))

    def unknown_tables(self, known: Iterable[str]) -> tuple[ConfigError, ...]:
        """Return an error for each table that is not `[fps]` nor in `known`.

        Shared directories may configure plugins that this installation lacks.
        """
        names = {"fps", *known}
        return tuple(
            ConfigError(_unknown_table(layer, name, names))
            for layer in self.layers
            if not layer.shared
            for name in layer.values
            if name not in names
        )

    def decode(
        self,
        table: str,
        model: type[T],
        *,
        only_known: bool = False,
        environ: Mapping[str, str] | None = None,
    ) -> Decoded[T]:
        """Return a table as `model`, with all of its errors.

        `only_known` skips keys that the model lacks. TypeError if msgspec cannot use `model`.
        """
        return decode_table(
            table,
            model,
            merged=self.values.get(table, {}),
            layers=self._layers_of.get(table, ()),
            directory=self.directory,
            environ=os.environ if environ is None else environ,
            only_known=only_known,
        )


def _unknown_table(layer: Layer, name: str, known: Iterable[str]) -> str:
    where = f"{place_of(layer, (name,), key=True)}: {dotted((name,))}"
    value = layer.values[name]
    if not isinstance(value, Mapping | Text):
        return f"{where}: unknown key: keys belong in a table, such as [fps]"
    return f"{where}: unknown table{did_you_mean(name, sorted(known))}"


def read(  # noqa: PLR0913 - each is a source, given by name
    *,
    directory: Path,
    environ: Mapping[str, str],
    names: Iterable[str] = (),
    files: Sequence[Path | str] = (),
    options: Sequence[Option] = (),
    shared_directories: Sequence[Path] | None = None,
) -> Config:
    """Read all layers above the defaults; what cannot be read is in `Config.errors`.

    `names` are the plugins whose `<plugin>.toml` counts, besides those that `[fps.plugins]`
    names; `files` is each `--config`; `shared_directories` are lowest first.
    """
    here = directory.absolute()
    shared = shared_folders() if shared_directories is None else tuple(shared_directories)
    core = [read_core_file(folder, here, shared=True) for folder in shared]
    local = read_core_file(here, here)
    above = _explicit(here, environ, files, options)
    given = plugins_named(layer for one in (*core, local, above) for layer in one.layers)
    plugins = sorted({name.replace("-", "_") for name in (*names, *given)} - RESERVED)
    found = Stack()
    for folder, one in zip(shared, core, strict=True):
        found = found + one + read_plugin_files(folder, here, plugins, shared=True)
    found = found + local + read_plugin_files(here, here, plugins) + above
    return Config(found.layers, here, found.errors + misspelt(environ, {"fps", *plugins}))


def _explicit(
    here: Path,
    environ: Mapping[str, str],
    files: Sequence[Path | str],
    options: Sequence[Option],
) -> Stack:
    """Return the layers above the working directory's own files."""
    listed = environ.get("FPS_CONFIG_FILE", "").split(os.pathsep)
    paths = [Path(one) for one in (*filter(None, listed), *files)]
    return read_files(paths, here) + read_environment(environ) + read_options(options)


def from_mapping(values: Mapping[str, Any], *, directory: Path) -> Config:
    """Return a configuration whose only layer is `values`; its origin shows as `config`."""
    here = directory.absolute()
    problem = _problem_with(values)
    if problem:
        return Config((), here, (ConfigError(f"config: {problem}"),))
    tables = {str(name).replace("-", "_"): _plain(table) for name, table in values.items()}
    return Config((Layer("config", tables),), here)


def _problem_with(values: object) -> str:
    if not isinstance(values, Mapping):
        return f"expected a mapping of tables, got {sort_of(values)}"
    return DEEP if is_deep(values) else ""


def _plain(value: Any) -> Any:
    """Return `value` with each mapping in it as a dict."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
