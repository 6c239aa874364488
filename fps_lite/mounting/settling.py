"""The apps mounted in one composition: each found once, wherever it is mounted."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Host, Mount, Router

from fps_lite.errors import PluginError
from fps_lite.routing import Routes

from .residents import Resident
from .routes import Foreign, ForeignMount, Housed
from .shapes import ASGI, WSGI, is_only_class, takes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp


HIDDEN = "the middleware at {} hides what is mounted behind it: it must keep what it wraps in `app`"
STRAY = (
    "the app mounted at {} has a mount() among its own routes, at {}: nobody runs that; "
    'return it from the hook "routes" instead'
)


@dataclass(frozen=True)
class Place:
    """Where an app is mounted, and by which plugin."""

    owner: str
    path: str
    host: str = ""
    isolated: bool = False
    """Whether the app may fail alone here."""
    written: str = ""
    """Where that is written, if not in code, to follow the path."""

    def __str__(self) -> str:
        return f"{self.host and f'//{self.host}'}{self.path or '/'}"


class Residents:
    """The apps mounted in one composition, each once; fills copies of routes with them."""

    def __init__(self) -> None:
        self.places: dict[Resident, list[Place]] = {}
        self._known: dict[int, Resident] = {}

    def settle(self, route: BaseRoute, owner: str) -> BaseRoute:
        """Return a copy of a plugin's route in which mounted apps live.

        Raises `PluginError` for a mounted app that could not.
        """
        try:
            return self._settled(route, Place(owner, ""))
        except PluginError as error:
            where = getattr(route, "where", "") or f'plugin "{owner}"'
            raise PluginError(f"{where}: {error}") from None

    def _settled(self, route: BaseRoute, above: Place) -> BaseRoute:
        if isinstance(route, Host):
            settled_host = copy.copy(route)
            settled_host.app, _ = self._housed(route.app, route.app, _inside(above, route))
            return settled_host
        if not isinstance(route, Mount):
            return route
        settled, place = copy.copy(route), _inside(above, route)
        if isinstance(route, ForeignMount):
            resident = self._resident(route.app.resident, place)
            strips = route.app.strip_prefix
            settled.app = Foreign(resident, strip_prefix=strips, owner=place.owner)
            settled._base_app = settled.app  # noqa: SLF001 - where Mount looks for routes
            return settled
        base = route._base_app  # noqa: SLF001 - the app behind the mount's own middleware
        settled.app, settled._base_app = self._housed(route.app, base, place)  # noqa: SLF001
        return settled

    def _housed(self, stack: ASGIApp, base: ASGIApp, place: Place) -> tuple[Any, Any]:
        """Return `stack`, the middleware around `base`, and `base`: what they mount is alive."""
        if not is_only_routes(base):
            return Housed(self._resident(Resident(base), place), stack, place.owner), base
        inner = copy.copy(base)
        before = self._mounts()
        # A list that counts its changes: the router asks for them in each request.
        inner.routes = Routes(self._settled(one, place) for one in base.routes)
        own = _behind(base.middleware_stack, base.app, inner.app)
        settled = _behind(stack, base, inner)
        if own is not None and settled is not None:
            inner.middleware_stack = own
            return settled, inner
        if self._mounts() > before:
            raise PluginError(HIDDEN.format(place))
        return stack, base

    def _mounts(self) -> int:
        return sum(map(len, self.places.values()))

    def _resident(self, resident: Resident, place: Place) -> Resident:
        _refuse_no_app(resident, place)
        for stray in _strays(resident.app):
            raise PluginError(STRAY.format(place, stray))
        key = id(resident if resident.app is None else resident.app)
        known = self._known.setdefault(key, resident.fresh())
        known.lifespan = known.lifespan or resident.lifespan
        self.places.setdefault(known, []).append(place)
        return known


def _inside(above: Place, route: Mount | Host) -> Place:
    if isinstance(route, Host):
        return replace(above, host=route.host)
    isolated = above.isolated or getattr(route, "isolated", False)
    place = getattr(route, "place", "")
    written = f" ({place})" if place else above.written
    return replace(above, path=above.path + route.path, isolated=isolated, written=written)


def is_only_routes(app: object) -> TypeGuard[Router]:
    """Tell whether `app` is what `Mount(routes=…)` makes: it has no lifespan of its own."""
    return type(app) is Router and isinstance(app.lifespan_context, type(Router().lifespan_context))


def _refuse_no_app(resident: Resident, place: Place) -> None:
    """Raise `PluginError` for no ASGI app in a plain `Mount`: each request would be an error."""
    app = resident.app
    if is_only_class(app, wsgi=resident.wsgi):
        raise PluginError(f"what is mounted at {place}, {app.__qualname__}, is a class and no app")
    if not resident.wsgi and callable(app) and takes(app, WSGI) and not takes(app, ASGI):
        what = f'what is mounted at {place}, a "{type(app).__name__}"'
        raise PluginError(f"{what}, is a WSGI app: use fps_lite.mount(…, wsgi=True)")


def _strays(app: object, seen: frozenset[int] = frozenset()) -> Iterator[str]:
    """Yield the paths of the mounts that `app` has of its own, and that no composition runs."""
    if isinstance(app, ForeignMount) and not app.app.resident.adopted:
        yield app.path
    elif not isinstance(app, ForeignMount) and id(app) not in seen:
        for inner in _inside_of(app):
            yield from _strays(inner, seen | {id(app)})


def _inside_of(app: object) -> list[Any]:
    if isinstance(app, Mount):
        return [app._base_app]  # noqa: SLF001
    if isinstance(app, Starlette | Router):
        return list(app.routes)
    # Middleware keeps what it wraps in `app`, and so does a Host; a property is not asked.
    wrapped = inspect.getattr_static(app, "app", None)
    return [] if wrapped is None else [wrapped]


def _behind(app: Any, old: Any, new: Any) -> Any:
    """Return `app` with `new` instead of `old` behind its middleware, on copies.

    Middleware keeps what it wraps in `app`; where some does not, return None.
    """
    if inspect.ismethod(app):
        return new if app == old else None
    if app is old:
        return new
    inner = getattr(app, "app", None)
    replaced = None if inner is None else _behind(inner, old, new)
    if replaced is None:
        return None
    copied = copy.copy(app)
    copied.app = replaced
    return copied
