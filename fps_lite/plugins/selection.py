"""Which of the plugins that are there take part, decided before any is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from fps_lite.config.wording import did_you_mean
from fps_lite.errors import ConfigError, FPSError, PluginError
from fps_lite.settings import PluginConfig

from .discovery import Found, normalized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from packaging.requirements import Requirement

    from fps_lite.config import Config
    from fps_lite.settings import Selection

    from .discovery import Discovery


Why = tuple[str, tuple[str | int, ...]]
"""Why a plugin does not take part (empty if it does), and the path of the key that says so."""


class Selected(Struct, frozen=True):
    """A plugin, its own keys, and why it does not take part (empty if it does)."""

    found: Found
    settings: PluginConfig
    disabled: str
    disabled_by: tuple[str | int, ...]
    """The path of the key that says so."""


def select(
    discovery: Discovery, config: Config, selection: Selection
) -> tuple[tuple[Selected, ...], tuple[FPSError, ...]]:
    """Decide for each plugin whether it takes part, and find faults in the lists."""
    selected: list[Selected] = []
    errors: list[FPSError] = [*_unknown_names(discovery, config, selection)]
    why_disabled = _why_disabled(selection)
    for name, found in discovery.found.items():
        decoded = config.decode(name, PluginConfig, only_known=True)
        settings = decoded.value or PluginConfig()
        errors += decoded.errors
        selected.append(Selected(found, settings, *why_disabled(name, settings)))
    by_name = {one.found.name: one for one in selected}
    errors += _unmet_requirements(by_name, config, selection.required_plugins)
    return tuple(selected), tuple(errors)


def _why_disabled(selection: Selection) -> Callable[[str, PluginConfig], Why]:
    """Return what says of a plugin why it does not take part."""
    disabled = list(map(normalized, selection.disabled_plugins))
    first = {name: at for at, name in reversed([*enumerate(disabled)])}
    enabled = frozenset(map(normalized, selection.enabled_plugins))

    def why(name: str, settings: PluginConfig) -> Why:
        if name in first:
            return "in fps.disabled_plugins", ("fps", "disabled_plugins", first[name])
        if enabled and name not in enabled:
            return "not in fps.enabled_plugins", ("fps", "enabled_plugins")
        if not settings.enabled:
            return f"{name}.enabled is false", (name, "enabled")
        return "", ()

    return why


def _unknown_names(
    discovery: Discovery, config: Config, selection: Selection
) -> Iterator[ConfigError]:
    for key in ("enabled_plugins", "disabled_plugins"):
        names: Sequence[str] = getattr(selection, key)
        for index, written in enumerate(names):
            if normalized(written) not in discovery.found:
                where = config.where("fps", key, index)
                hint = did_you_mean(normalized(written), discovery.found)
                yield ConfigError(f'{where}: fps.{key}[{index}]: no plugin "{written}"{hint}')


def _unmet_requirements(
    selected: Mapping[str, Selected], config: Config, required: Sequence[str]
) -> Iterator[ConfigError | PluginError]:
    for index, written in enumerate(required):
        place = f"{config.where('fps', 'required_plugins', index)}: fps.required_plugins[{index}]"
        requirement = _requirement(written)
        if requirement is None:
            yield ConfigError(f'{place}: expected a name and a version range, got "{written}"')
            continue
        name = normalized(requirement.name).lower()
        problem = _unmet(selected.get(name), requirement)
        if problem:
            yield PluginError(f'{place}: plugin "{name}" {problem}')


def _requirement(written: str) -> Requirement | None:
    from packaging import requirements  # noqa: PLC0415 - slow, and most require no plugin

    try:
        return requirements.Requirement(written)
    except requirements.InvalidRequirement:
        return None


def _unmet(one: Selected | None, requirement: Requirement) -> str | None:
    if one is None:
        return "is required and not installed"
    if one.disabled:
        return f"is required and not enabled: {one.disabled}"
    version = one.found.version
    if not requirement.specifier.contains(version or "0", prereleases=True):
        return f"is required as {requirement.specifier}, installed is {version or 'no version'}"
    return None
