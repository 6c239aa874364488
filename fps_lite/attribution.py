"""Whose route answers a request, and how its path is written: for the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute, Mount

from .mounting.routes import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Scope

INNER = "fps_lite.inner"
"""In a host's scope: the one that the routes see, where that is another one."""


class Attribution:
    """The routes of one app, with their plugins, wherever in a mount they are.

    Read when it is first asked for: a factory has made its app by then. Nothing is done for
    it in a request.
    """

    def __init__(self, owned: Iterable[tuple[str, BaseRoute]]) -> None:
        self._owned = tuple(owned)
        self._known: dict[int, tuple[object, str, str]] = {}

    def of(self, scope: Scope) -> tuple[str, str]:
        """Return plugin and path, as `/a/{name}`, of the route in `scope`; "" if not known."""
        scope = scope.get(INNER, scope)
        route = scope.get("route")
        if route is None:
            return scope.get(OWNER, ""), ""
        if not self._known:
            for owner, one in self._owned:
                self._note(one, owner, "")
        _, owner, path = self._known.get(id(route), (route, scope.get(OWNER, ""), ""))
        return owner, path or scope.get("root_path", "") + _path_of(route)

    def _note(self, route: Any, owner: str, before: str, above: tuple[object, ...] = ()) -> None:
        path = before + _path_of(route)
        known = self._known.get(id(route))
        # One object in two mounts has two paths: that of the request is told from its scope.
        is_one = known is None or known[2] == path
        whose = owner if known is None or known[1] == owner else ""
        # Kept, as another object may get the id of one that is gone.
        self._known[id(route)] = (route, whose, (path or "/") if is_one else "")
        if route in above:
            return
        inner = getattr(route, "routes", None) or ([route.route] if _is_around(route) else [])
        for one in inner:
            self._note(one, owner, path if isinstance(route, Mount) else before, (*above, route))


def _is_around(route: object) -> bool:
    return isinstance(getattr(route, "route", None), BaseRoute)


def _path_of(route: Any) -> str:
    path = getattr(route, "path", "")
    return path if isinstance(path, str) else ""
