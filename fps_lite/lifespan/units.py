"""What one plugin's lifespan is: its place in the order, how it is entered, what it yields."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from msgspec import Struct

from fps_lite.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Iterable

Entered: TypeAlias = AbstractAsyncContextManager[Any] | AsyncIterator[Any] | None

RESERVED = "fps"  # the key under which fps-lite's own services are


class Unit(Struct, frozen=True):
    """One plugin's lifespan.

    `enter` is called in the unit's own task, with the services that it may see, and returns an
    async context manager, a bare async generator, or None: nothing to run. What that yields is
    None or a mapping of services, under the unit's own name and the names in `provides`.
    """

    name: str
    enter: Callable[[Mapping[str, Any]], Entered]
    after: frozenset[str] = frozenset()  # started before it, stopped after it; it sees theirs
    requires: frozenset[str] = frozenset()  # if one of these is down, so is it
    provides: frozenset[str] = frozenset()
    on_failure: Literal["fatal", "isolate"] = "fatal"
    title: str = ""  # what messages call it, if it is not the plugin of its name

    def __str__(self) -> str:
        return self.title or f'plugin "{self.name}"'

    @property
    def isolated(self) -> bool:
        """Whether a failure of it is its own alone."""
        return self.on_failure == "isolate"

    @property
    def earlier(self) -> frozenset[str]:
        """The names of all that are started before it."""
        return self.after | self.requires


def in_order(units: Iterable[Unit]) -> tuple[Unit, ...]:
    """Return the units, each after those that are started before it; ValueError if they cannot."""
    units = tuple(units)
    named = {unit.name: unit for unit in units}
    if len(named) < len(units):
        names = [unit.name for unit in units]
        raise ValueError("two units of one name: " + ", ".join(sorted(names)))
    try:
        order = TopologicalSorter({unit.name: unit.earlier for unit in units}).static_order()
        return tuple(named[name] for name in order if name in named)
    except CycleError as error:
        raise ValueError("a cycle of units: " + " after ".join(error.args[1][::-1])) from None


def manager(entered: object) -> AbstractAsyncContextManager[Any]:
    """Return what to enter of what `enter` returned, or raise an error that says what to write."""
    if entered is None:
        return nullcontext()
    if isinstance(entered, AbstractAsyncContextManager):
        return entered
    if isinstance(entered, AsyncGenerator):
        return asynccontextmanager(lambda: entered)()
    if inspect.iscoroutine(entered):
        entered.close()  # else Python warns that nobody awaited it
    message = (
        f'its lifespan is a "{type(entered).__name__}": write an "async def" that yields once, '
        "or return an async context manager"
    )
    raise StartupError(message)


class Services(dict[str, Any]):
    """The services that a unit sees, and for those that it misses, why."""

    def __init__(self, *earlier: Unit) -> None:
        super().__init__()
        self._providers = {name: one for one in earlier for name in one.provides}

    def __missing__(self, key: str) -> Any:
        if key in self._providers:
            raise MissingServiceError(key, self._providers[key])
        raise KeyError(key)


class MissingServiceError(KeyError):
    """A service that another unit promises in `provides` and has not yielded."""

    def __str__(self) -> str:
        key, provider = self.args
        return f'"{key}": {provider} provides it and did not yield it'


def refusal(unit: Unit, yielded: object, owners: Mapping[str, str]) -> str:
    """Return why `yielded` is not the services of `unit`, or ""; `owners` maps key to unit."""
    if yielded is None:
        return ""
    if not isinstance(yielded, Mapping):
        kind = type(yielded).__name__
        return f'it yields a "{kind}": yield nothing, or a mapping like {{"{unit.name}": …}}'
    for key in yielded:
        if key == RESERVED:
            return f'it yields "{key}", which is reserved'
        if key != unit.name and key not in unit.provides:
            return f'it yields "{key}", which is neither its name nor one that it provides'
        if key in owners:
            return f'it yields "{key}", which plugin "{owners[key]}" yields already'
    return ""
