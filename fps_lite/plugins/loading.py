"""Import the plugins that take part, collect their hooks and decode their config."""

from __future__ import annotations

from dataclasses import dataclass, field
from inspect import isclass
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from fps_lite.effects import unwatched
from fps_lite.errors import FPSError, PluginError
from fps_lite.hooks import Dependencies
from fps_lite.secret import mask
from fps_lite.settings import FPSConfig, PluginConfig, Selection

from .asking import RAISED, complaint, reason
from .declarations import check_name, dependencies_of, model_of
from .discovery import Discovery, Found, with_configured
from .inspection import Hook, inspect_hooks
from .order import Order, arrange
from .selection import Selected, select

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fps_lite.config import Config
    from fps_lite.effects.watching import Watch


class Plugin(Struct, frozen=True):
    """A plugin as far as it came: disabled, failed, or with hooks and config."""

    found: Found
    settings: PluginConfig
    disabled: str = ""
    """Why it does not take part."""
    disabled_by: tuple[str | int, ...] = ()
    """The path of the key that says so."""
    failure: str = ""
    """Why it cannot be used."""
    hooks: tuple[Hook, ...] = ()
    model: type[PluginConfig] = PluginConfig
    config: PluginConfig | None = None
    declared: Dependencies = Dependencies()

    @property
    def name(self) -> str:
        """Return the plugin's name."""
        return self.found.name

    @property
    def isolated(self) -> bool:
        """Return whether its failure is its own: the others go on."""
        return self.settings.on_failure == "isolate"

    def implementations(self, hook: str) -> tuple[Hook, ...]:
        """Return its implementations of `hook`, in the order written."""
        return tuple(one for one in self.hooks if one.name == hook)


@dataclass(frozen=True)
class Loaded:
    """All plugins, those that take part in order, and every fault so far."""

    config: Config
    settings: FPSConfig
    plugins: Mapping[str, Plugin]
    order: Order
    errors: tuple[FPSError, ...]
    secrets: frozenset[str] = field(repr=False)

    @property
    def enabled(self) -> tuple[Plugin, ...]:
        """Return the plugins that take part, failed ones too, in dependency order."""
        return tuple(self.plugins[name] for name in self.order.names)

    def config_of(self, kind: type, name: str | None = None) -> Any:
        """Return the config of the one enabled plugin whose config is a `kind`."""
        found = {
            plugin.name: plugin.config
            for plugin in self.enabled
            if isinstance(plugin.config, kind) and name in (None, plugin.name)
        }
        if len(found) == 1:
            return next(iter(found.values()))
        names = ", ".join(f'"{one}"' for one in found)
        what = f"several plugins have one: {names}" if found else "no enabled plugin has one"
        message = f"config_of({kind.__name__}): {what}"
        raise PluginError(message)


def load(
    config: Config,
    discovery: Discovery,
    groups: Iterable[str] | None = None,
    *,
    watch: Watch = unwatched,
) -> Loaded:
    """Load the plugins that take part, going on after each fault.

    `groups` limits what is imported to objects that have a hook of these names. `watch` is
    entered around the code of each plugin.
    """
    wanted = None if groups is None else frozenset(groups)
    decoded = config.decode("fps", FPSConfig)
    settings = decoded.value or FPSConfig()
    discovery = with_configured(discovery, config, settings.plugins)
    selected, errors = select(discovery, config, settings)
    faults = [*config.errors, *decoded.errors, *discovery.errors, *errors]
    faults += config.unknown_tables(["fps", *discovery.found])
    plugins = [Plugin(one.found, one.settings, one.disabled, one.disabled_by) for one in selected]
    secrets = decoded.secrets
    if not config.errors and not (decoded.errors and _selection_faults(config)):
        steps = [_watched(one, config, wanted, watch) for one in selected]
        plugins = [plugin for plugin, _, _ in steps]
        faults += [fault for _, found, _ in steps for fault in found]
        secrets = secrets.union(*(found for _, _, found in steps))
    order = _ordered(plugins)
    return Loaded(
        config=config,
        settings=settings,
        plugins={plugin.name: plugin for plugin in plugins},
        order=order,
        errors=(*faults, *order.errors),
        secrets=secrets,
    )


def _selection_faults(config: Config) -> bool:
    """Tell whether the lists of plugins are faulty: a plugin meant to be off is not imported."""
    return bool(config.decode("fps", Selection, only_known=True).errors)


def _ordered(plugins: list[Plugin]) -> Order:
    declared = {one.name: one.declared for one in plugins if not one.disabled}
    return arrange(declared, {one.name: one.disabled for one in plugins if one.disabled})


Step = tuple[Plugin, list[FPSError], frozenset[str]]


def _watched(
    selected: Selected, config: Config, wanted: frozenset[str] | None, watch: Watch
) -> Step:
    with watch(selected.found):
        return _loaded(selected, config, wanted)


def _loaded(selected: Selected, config: Config, wanted: frozenset[str] | None) -> Step:
    plugin = Plugin(selected.found, selected.settings, selected.disabled, selected.disabled_by)
    if plugin.disabled:
        return plugin, [], frozenset()
    secrets: frozenset[str] = frozenset()
    try:
        hooks = _hooks(selected.found, wanted)
        check_name(selected.found, hooks)
        plugin = replace(plugin, hooks=hooks, model=model_of(hooks))
        decoded = config.decode(plugin.name, plugin.model)
        plugin = replace(plugin, config=decoded.value)
        secrets = decoded.secrets
        if decoded.errors or decoded.value is None:
            return plugin, list(decoded.errors), secrets
        return replace(plugin, declared=dependencies_of(hooks, decoded.value)), [], secrets
    except PluginError as error:
        return _failed(plugin, [mask(problem, secrets) for problem in error.problems], secrets)


def _failed(plugin: Plugin, problems: list[str], secrets: frozenset[str]) -> Step:
    failed = replace(plugin, failure="; ".join(problems), hooks=())
    if plugin.isolated:
        return failed, [], secrets
    return failed, [PluginError(f"{plugin.found}: {problem}") for problem in problems], secrets


def _hooks(found: Found, wanted: frozenset[str] | None) -> tuple[Hook, ...]:
    """Import the plugin's objects; raise `PluginError` with all that is wrong with their hooks."""
    hooks: list[Hook] = []
    problems: list[str] = []
    objects: dict[int, tuple[object, str, frozenset[str]]] = {}
    for source in found.sources:
        if wanted is not None and not source.collected & wanted:
            continue
        try:
            subject = source.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a plugin may raise anything at import
            problems.append(f"cannot import {source.reference}: {complaint(error)}")
            continue
        # One object may be named in several groups; its hooks are those of all of them.
        _, reference, collected = objects.get(id(subject), (None, source.reference, frozenset()))
        objects[id(subject)] = (subject, reference, collected | source.collected)
    for subject, reference, collected in objects.values():
        inspection, problem = _inspected(subject, collected)
        hooks += inspection
        problems += [f"{reference}: {one}" for one in problem]
    if problems:
        raise PluginError(*problems)
    return tuple(hooks)


def _inspected(
    subject: object, collected: frozenset[str]
) -> tuple[tuple[Hook, ...], tuple[str, ...]]:
    try:
        instance = subject() if isclass(subject) else subject
    except RAISED as error:
        return (), (f"cannot be made without arguments: {reason(error)}",)
    inspection = inspect_hooks(instance, collected)
    return inspection.hooks, inspection.problems
