"""Which plugins there are, before any of them is imported."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from importlib.metadata import Distribution, EntryPoint, entry_points
from inspect import isclass
from typing import TYPE_CHECKING

from msgspec import Struct, field

from fps_lite.errors import ConfigError, PluginError
from fps_lite.hooks import ALL_HOOKS, HookType

from .asking import RAISED, ask, reason
from .inspection import inspect_hooks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fps_lite.config import Config

RESERVED = ("fps", "pyproject")
_NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*)?")


class Source(Struct, frozen=True):
    """One object with hooks: what it is called, which hooks count, how to get it."""

    reference: str
    collected: frozenset[str]
    load: Callable[[], object]


class Found(Struct, frozen=True, dict=True):
    """A plugin that is there, not imported."""

    name: str
    sources: tuple[Source, ...]
    package: Distribution | None = None

    # Read when first asked for: each is a file to parse, and mostly nobody asks.

    @cached_property
    def distribution(self) -> str:
        """Return the name of the distribution that it comes from, "" if from none."""
        return self.package.name if self.package else ""

    @cached_property
    def version(self) -> str:
        """Return the version of that distribution."""
        return self.package.version if self.package else ""

    def __str__(self) -> str:
        package = f" ({self.distribution} {self.version})" if self.distribution else ""
        return f'plugin "{self.name}"{package}'


class Discovery(Struct, frozen=True):
    """All plugins that are there, by name, and what cannot be one."""

    found: Mapping[str, Found] = field(default_factory=dict)
    errors: tuple[ConfigError | PluginError, ...] = ()


def normalized(name: str) -> str:
    """Return `name` as plugins spell it: `-` is the same as `_`."""
    return name.replace("-", "_")


def discover() -> Discovery:
    """Find the installed plugins by their entry points, whatever the file system's order."""
    points: dict[str, list[EntryPoint]] = defaultdict(list)
    for point in sorted(_points(), key=lambda one: (one.name, one.group, one.value)):
        points[normalized(point.name)].append(point)
    found, errors = {}, []
    for name, group in sorted(points.items()):
        problem = _name_problem(name) or _clash(name, group)
        if problem:
            errors.append(PluginError(problem + f": {', '.join(_packages(group))}"))
        else:
            found[name] = _installed(name, group)
    return Discovery(found, tuple(errors))


def _points() -> Iterator[EntryPoint]:
    every = entry_points()
    for kind in HookType:
        yield from every.select(group=kind)


def _packages(points: Iterable[EntryPoint]) -> list[str]:
    return sorted({f"{point.dist.name} {point.dist.version}" for point in points if point.dist})


def _name_problem(name: str) -> str | None:
    if name in RESERVED:
        return f'"{name}" is reserved and cannot name a plugin'
    if not _NAME.fullmatch(name):
        return f'"{name}" cannot name a plugin: use lower-case letters, digits and single _'
    return None


def _clash(name: str, points: list[EntryPoint]) -> str | None:
    packages = {point.dist for point in points if point.dist}
    if len(packages) > 1 and len({one.name for one in packages}) > 1:
        return f'two distributions name a plugin "{name}"'
    if len({point.group for point in points}) < len(points):
        return f'plugin "{name}" is named twice in one group'
    return None


def _installed(name: str, points: list[EntryPoint]) -> Found:
    groups: dict[str, set[str]] = defaultdict(set)
    loaders: dict[str, EntryPoint] = {}
    for point in points:
        groups[point.value] |= HookType(point.group).collects
        loaders[point.value] = point
    return Found(
        name=name,
        sources=tuple(
            Source(value, frozenset(groups[value]), point.load) for value, point in loaders.items()
        ),
        package=points[0].dist,
    )


def with_configured(discovery: Discovery, config: Config, plugins: Mapping[str, str]) -> Discovery:
    """Add the plugins of `[fps.plugins]`: name to `module` or `module:object`."""
    found, errors = dict(discovery.found), list(discovery.errors)
    for written, reference in plugins.items():
        name, key = normalized(written), f"fps.plugins.{written}"
        problem = _name_problem(name)
        if name in found:
            problem = f"there is already a {found[name]}"
        if problem:
            errors.append(
                ConfigError(f"{config.where_key('fps', 'plugins', written)}: {key}: {problem}")
            )
        elif not _REFERENCE.fullmatch(reference):
            where = config.where("fps", "plugins", written)
            errors.append(ConfigError(f'{where}: {key}: expected "module" or "module:object"'))
        else:
            load = EntryPoint(name, reference, HookType.PLUGIN).load
            found[name] = Found(name, (Source(reference, ALL_HOOKS, load),))
    return Discovery(dict(sorted(found.items())), tuple(errors))


def from_objects(plugins: Mapping[str, object] | Sequence[object]) -> Discovery:
    """Take plugins that are passed as objects, named by their mapping's key or by themselves."""
    found: dict[str, Found] = {}
    errors: list[ConfigError | PluginError] = []
    if isinstance(plugins, Mapping):
        named = [(str(name), subject, "") for name, subject in plugins.items()]
    elif isinstance(plugins, str) or not isinstance(plugins, Iterable):
        what = "expected plugins in a list, or a mapping of name to plugin"
        return Discovery(errors=(PluginError(f"plugins: {what}, got {plugins!r}"),))
    else:
        named = [*map(_self_named, plugins)]
    for written, subject, fault in named:
        name = normalized(written)
        problem = fault or _name_problem(name)
        if name in found:
            problem = f'two plugins are named "{name}": pass a mapping of name to plugin'
        if problem:
            errors.append(PluginError(f"{_described(subject)}: {problem}"))
        else:
            source = Source(_described(subject), ALL_HOOKS, partial(_itself, subject))
            found[name] = Found(name, (source,))
    return Discovery(dict(sorted(found.items())), tuple(errors))


def _self_named(subject: object) -> tuple[str, object, str]:
    """Return the name that an object gives itself, the object, and why it gives none."""
    try:
        instance = subject() if isclass(subject) else subject
    except RAISED as error:
        return "", subject, f"cannot be made without arguments: {reason(error)}"
    inspection = inspect_hooks(instance, ALL_HOOKS)
    for hook in inspection.hooks:
        if hook.name == "plugin_name":
            named, problem = ask(hook)
            return str(named), instance, problem
    name = getattr(subject, "__name__", "").rpartition(".")[2].removeprefix("fps_")
    return name, instance, "" if name else "; ".join(inspection.problems)


def _itself(subject: object) -> object:
    return subject


def _described(subject: object) -> str:
    return getattr(subject, "__name__", None) or type(subject).__qualname__
