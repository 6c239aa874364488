"""In which order plugins come: dependencies first, then names."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from msgspec import Struct

from fps_lite.config.wording import did_you_mean
from fps_lite.errors import PluginError

from .discovery import RESERVED, normalized

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fps_lite.hooks import Dependencies

EVERY = "*"
Edges = dict[str, dict[str, str]]
"""Plugin to those that come before it, each with the word that says so."""


class Order(Struct, frozen=True):
    """The plugins' names in order, and who stands directly before whom."""

    names: tuple[str, ...]
    after: Mapping[str, frozenset[str]]
    requires: Mapping[str, frozenset[str]]
    errors: tuple[PluginError, ...] = ()

    def required_by(self, names: Iterable[str]) -> frozenset[str]:
        """Return `names` and everything that they require, at any distance."""
        reached, waiting = set(names), list(names)
        while waiting:
            found = self.requires.get(waiting.pop(), frozenset()) - reached
            reached |= found
            waiting += found
        return frozenset(reached)


def arrange(declared: Mapping[str, Dependencies], missing: Mapping[str, str]) -> Order:
    """Order the plugins by what they declared.

    `missing` says of plugins that are there but not enabled why they are not.
    """
    providers, errors = _providers(declared)
    edges, requires = _edges(declared, providers)
    errors += _unmet(declared, providers, missing)
    try:
        names = _sorted(edges)
        for name in sorted(declared):
            _place_star(name, declared[name], edges)
        names = _sorted(edges)
    except CycleError as error:
        names = tuple(sorted(declared))
        errors.append(PluginError(f"plugins cannot be ordered: {_cycle(error.args[1], edges)}"))
    return Order(
        names=names,
        after={name: frozenset(edges[name]) for name in declared},
        requires={name: frozenset(requires[name]) for name in declared},
        errors=tuple(errors),
    )


def _providers(declared: Mapping[str, Dependencies]) -> tuple[dict[str, str], list[PluginError]]:
    providers, errors = {name: name for name in declared}, []
    for name in sorted(declared):
        for service in dict.fromkeys(map(normalized, declared[name].provides)):
            owner = providers.setdefault(service, name)
            if service in RESERVED:
                errors.append(
                    PluginError(f'plugin "{name}" provides "{service}", which is reserved')
                )
            elif owner != name:
                errors.append(PluginError(f'both "{owner}" and "{name}" provide "{service}"'))
    return providers, errors


def _edges(
    declared: Mapping[str, Dependencies], providers: Mapping[str, str]
) -> tuple[Edges, dict[str, set[str]]]:
    edges: Edges = {name: {} for name in sorted(declared)}
    requires: dict[str, set[str]] = defaultdict(set)
    for name in edges:
        wanted = declared[name]
        for other in _present(wanted.after, providers):
            edges[name][other] = "after"
        for other in _present(wanted.before, providers):
            edges[other].setdefault(name, "before")
        for other in _present(wanted.requires, providers):
            edges[name][other] = "requires"
            requires[name].add(other)
    return edges, requires


def _present(names: Sequence[str], providers: Mapping[str, str]) -> list[str]:
    return [providers[name] for name in map(normalized, names) if name in providers]


def _unmet(
    declared: Mapping[str, Dependencies], providers: Mapping[str, str], missing: Mapping[str, str]
) -> list[PluginError]:
    return [
        PluginError(f'plugin "{name}" requires "{wanted}", {_why(wanted, providers, missing)}')
        for name in sorted(declared)
        for wanted in map(normalized, declared[name].requires)
        if wanted not in providers
    ]


def _why(wanted: str, providers: Mapping[str, str], missing: Mapping[str, str]) -> str:
    if wanted in missing:
        return f"which is not enabled: {missing[wanted]}"
    return f"which no enabled plugin provides{did_you_mean(wanted, [*providers, *missing])}"


def _place_star(name: str, wanted: Dependencies, edges: Edges) -> None:
    """Put `name` before or after all that are not otherwise ordered."""
    if EVERY in wanted.after:
        for other in _unordered(name, edges):
            edges[name][other] = "after"
    if EVERY in wanted.before:
        for other in _unordered(name, edges):
            edges[other][name] = "before"


def _unordered(name: str, edges: Edges) -> list[str]:
    earlier = _reached(name, edges)
    return [
        other
        for other in edges
        if other != name and other not in earlier and name not in _reached(other, edges)
    ]


def _reached(name: str, edges: Edges) -> set[str]:
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        for other in edges[waiting.pop()]:
            if other not in reached:
                reached.add(other)
                waiting.append(other)
    return reached


def _sorted(edges: Edges) -> tuple[str, ...]:
    sorter = TopologicalSorter(edges)
    sorter.prepare()
    ready: list[str] = []
    names: list[str] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready, name)
        names.append(heapq.heappop(ready))
        sorter.done(names[-1])
    return tuple(names)


def _cycle(cycle: list[str], edges: Edges) -> str:
    # graphlib lists each before the one that comes after it, and the first again at the end.
    ring = cycle[:0:-1]
    start = ring.index(min(ring))
    ring = ring[start:] + ring[:start]
    steps = zip(ring, [*ring[1:], ring[0]], strict=True)
    return ", ".join(_step(name, other, edges[name][other]) for name, other in steps)


def _step(name: str, other: str, word: str) -> str:
    if word == "requires":
        return f"{name} requires {other}"
    if word == "before":
        return f"{other} comes before {name}"
    return f"{name} comes after {other}"
