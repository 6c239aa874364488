"""Everywhere configuration comes from, as layers, lowest first."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from fps_lite.config.files import parse, read_source
from fps_lite.config.positions import KeyPath, Token, positions
from fps_lite.config.text import Text
from fps_lite.config.wording import printable
from fps_lite.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

RESERVED = frozenset({"fps", "pyproject"})


@dataclass(frozen=True)
class Source:
    """A TOML text; its lines and columns are worked out when first asked for."""

    text: str = field(repr=False)

    @cached_property
    def tokens(self) -> Mapping[KeyPath, Token]:
        """Return the place of each key and value."""
        return positions(self.text)


@dataclass(frozen=True)
class Layer:
    """Values from one source, and what is needed to say where each of them stands.

    A text layer is one variable or option: its keys are in lower case with `_`, and match
    any spelling.
    """

    label: str
    values: Mapping[str, Any] = field(repr=False)  # secrets are among them, as written
    source: Source | None = None
    """Layers of one file share it."""
    base: Path | None = None
    """The directory of the file; None: paths are relative to the working directory."""
    shared: bool = False
    """From the system's or the user's configuration directory."""
    is_text: bool = False
    is_switch: bool = False
    """Made by fps-lite for a switch such as `--enable`: says nothing of the tables it is in."""

    def of(self, table: str) -> Layer:
        """Return this layer with one of its tables alone."""
        return replace(self, values={table: self.values[table]})


class Stack(Struct, frozen=True):
    """Layers, lowest first, and what was wrong with the sources that are not among them."""

    layers: tuple[Layer, ...] = ()
    errors: tuple[ConfigError, ...] = ()

    def __add__(self, higher: Stack) -> Stack:
        return Stack(self.layers + higher.layers, self.errors + higher.errors)


def fold(key: str) -> str:
    """Return a key as variables and options spell it."""
    return key.lower().replace("-", "_")


def label_of(path: Path, directory: Path) -> str:
    """Return how a file is shown: relative if it is inside `directory`, else absolute."""
    normal = Path(os.path.normpath(path))
    inside = normal.is_relative_to(directory)
    return printable(str(normal.relative_to(directory) if inside else normal))


def read_file(path: Path, directory: Path, *, required: bool, shared: bool = False) -> Stack:
    """Return a TOML file's layer; a missing one is an error only if `required`."""
    label = label_of(path, directory)
    try:
        source = read_source(path, label, pipes=required)
        values = parse(source, label)
    except FileNotFoundError:
        missing = ConfigError(f"{label}: no such file")
        return Stack(errors=(missing,) if required else ())
    except ConfigError as error:
        return Stack(errors=(error,))
    tables, errors = _named_as_plugins(values, label)
    layer = Layer(label, tables, source=Source(source), base=path.parent, shared=shared)
    return Stack((layer,), errors)


def _named_as_plugins(
    values: Mapping[str, Any], label: str
) -> tuple[dict[str, Any], tuple[ConfigError, ...]]:
    """Spell tables as plugins are named: `-` in a name is `_`."""
    tables: dict[str, Any] = {}
    twice = []
    for key, value in values.items():
        name = key.replace("-", "_")
        if name in tables:
            twice.append(ConfigError(f"{label}: {printable(key)}: the same table as {name}"))
        tables[name] = value
    return tables, tuple(twice)


def read_files(paths: Iterable[Path], directory: Path) -> Stack:
    """Return the layers of files that must be there."""
    return stacked(read_file(directory / path, directory, required=True) for path in paths)


def read_core_file(folder: Path, directory: Path, *, shared: bool = False) -> Stack:
    """Return the layer of `fps.toml` in `folder`, if there is one."""
    return read_file(folder / "fps.toml", directory, required=False, shared=shared)


def read_plugin_files(
    folder: Path, directory: Path, names: Iterable[str], *, shared: bool = False
) -> Stack:
    """Return the layers of `<plugin>.toml` in `folder`, each held to its one table."""
    is_there = _listed(folder)
    return stacked(
        _only_its_table(name, read_file(folder / file, directory, required=False, shared=shared))
        for name in names
        for file in dict.fromkeys((f"{name}.toml", f"{name.replace('_', '-')}.toml"))
        if is_there(file.lower())
    )


def _listed(folder: Path) -> Callable[[str], bool]:
    """Return what tells whether a file may be in `folder`: to ask for each plugin's takes long."""
    try:
        # In lower case, as some file systems do not tell `a.toml` from `A.toml`.
        return frozenset(map(str.lower, os.listdir(folder))).__contains__  # noqa: PTH208 - quick
    except OSError:  # those that are there can be read all the same
        return lambda _: True


def _only_its_table(name: str, found: Stack) -> Stack:
    if not found.layers:
        return found
    (layer,) = found.layers
    strays = tuple(
        ConfigError(f"{place_of(layer, (key,), key=True)}: {printable(key)}: {layer.label} "
                    f"may hold the table [{name}] and nothing else")
        for key in layer.values
        if key != name
    )  # fmt: skip
    kept = {key: value for key, value in layer.values.items() if key == name}
    return Stack((replace(layer, values=kept),), found.errors + strays)


def stacked(stacks: Iterable[Stack]) -> Stack:
    """Return stacks, lowest first, as one."""
    found = list(stacks)
    layers = tuple(layer for stack in found for layer in stack.layers)
    return Stack(layers, tuple(error for stack in found for error in stack.errors))


def plugins_named(layers: Iterable[Layer]) -> frozenset[str]:
    """Return the names that `[fps.plugins]` gives to plugins, in any layer."""
    return frozenset(
        name.replace("-", "_") for layer in layers for name in _plugins_table(layer.values)
    )


def _plugins_table(values: Mapping[str, Any]) -> Iterator[str]:
    value: Any = values
    for key in ("fps", "plugins"):
        value = value.get(key) if isinstance(value, Mapping) else None
        value = value.table if isinstance(value, Text) else value
    yield from value if isinstance(value, Mapping) else ()


def shared_folders() -> tuple[Path, ...]:
    """Return the system's, then the user's configuration directories, lowest first."""
    from platformdirs import PlatformDirs  # noqa: PLC0415 - not needed for a mapping

    dirs = PlatformDirs("fps-lite", appauthor=False, multipath=True)
    system = [Path(one) for one in dirs.site_config_dir.split(os.pathsep)]
    found = dict.fromkeys((*reversed(system), dirs.user_config_path))
    return tuple(folder for folder in found if os.access(folder, os.X_OK))


def place_of(layer: Layer, path: KeyPath, *, key: bool) -> str:
    """Return where a layer has the value at `path`, or its key: `fps.toml:12:9`."""
    token = layer.source.tokens.get(path) if layer.source else None
    if token is None:
        return layer.label
    line, column = token.key if key else token.value
    return f"{layer.label}:{line}:{column}"
