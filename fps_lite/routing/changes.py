"""Lists of routes that changed since they were read.

Starlette reads `router.routes` anew for each request, so whoever appends to it, inserts or
replaces is heard at once.
"""

from __future__ import annotations

from operator import is_
from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


def _counted(name: str) -> Callable[..., Any]:
    change = getattr(list, name)

    def counted(self: Routes, *args: Any, **kwargs: Any) -> Any:
        self.changes += 1
        return change(self, *args, **kwargs)

    counted.__name__, counted.__doc__ = name, change.__doc__
    return counted


class Routes(list[BaseRoute]):
    """A list of routes that counts its changes, so that one look tells whether it has any."""

    __slots__ = ("changes",)

    def __init__(self, routes: Iterable[BaseRoute] = ()) -> None:
        super().__init__(routes)
        self.changes = 0

    append = _counted("append")
    clear = _counted("clear")
    extend = _counted("extend")
    insert = _counted("insert")
    pop = _counted("pop")
    remove = _counted("remove")
    reverse = _counted("reverse")
    sort = _counted("sort")
    __delitem__ = _counted("__delitem__")
    __iadd__ = _counted("__iadd__")
    __imul__ = _counted("__imul__")
    __setitem__ = _counted("__setitem__")


class Snapshot:
    """What a list of routes held when it was read."""

    __slots__ = ("changes", "seen", "watched")

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self.seen = tuple(routes)
        self.watched = routes if isinstance(routes, Routes) else None
        self.changes = self.watched.changes if self.watched is not None else 0

    def is_current(self, routes: Sequence[BaseRoute]) -> bool:
        """Tell whether `routes` holds the same objects in the same order.

        Not `==`: two routes are equal for Starlette if their paths, endpoints and methods are.
        """
        if routes is self.watched:
            return self.changes == self.watched.changes
        return len(routes) == len(self.seen) and all(map(is_, routes, self.seen))
