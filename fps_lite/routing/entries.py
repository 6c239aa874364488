"""A route as the index knows it: where it stands, and what is known of its `matches`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute, request_response

from .segments import Conversion, Param, Shape, pattern_of, segments_of, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

NARROWING = "only_under"
"""The attribute by which a class says where a `matches` of its own can match at all."""
_WRAPPER = request_response(lambda _: Response()).__code__
_SCOPE_TYPES: dict[type, str | None] = {Route: "http", WebSocketRoute: "websocket", Mount: None}


@dataclass(frozen=True, slots=True)
class Entry:
    """One route of a list, or of the router in a mount of that list."""

    # What each request looks at comes first, and lies together in memory.
    route: Any
    app: Any = None
    """What the route handed requests on to when it was read."""
    function: Any = None
    """The coroutine function in that, if Starlette made it of a function and of nothing else."""
    mounts: tuple[Any, ...] = ()
    """The routers that it is in, the outermost first."""
    prefix: str | None = None
    """The part of the path that mounts take; None if parameters are in it, or if none does."""
    is_mount: bool = False
    asks: bool = True
    """Whether only the route itself can tell what it matches."""
    params: tuple[Param, ...] = ()
    conversions: tuple[Conversion, ...] = ()
    methods: Collection[str] | None = None
    depth: int | None = None
    """How many segments mounts take; None if it is in none and is none."""
    number: int = 0
    """Its place in the order: the first that matches answers."""
    segments: tuple[str | None, ...] | None = None
    """What its path begins with, a parameter as None; without any it may match any path."""
    ends: bool = True
    """Whether it may match a path that ends with the segments."""
    goes_on: bool = True
    """Whether it may match a path that goes on after them."""
    scope_type: str | None = None
    """The one type of scope that it matches; None where there may be several."""
    inner: Any = None
    """The router that it leads to, if it is a mount of nothing but routes."""

    @property
    def candidate(self) -> Any:
        """Return what stands for the route where Starlette's own code decides."""
        return self.inner or self.route

    def flattened(self) -> Iterator[Entry]:
        """Yield what is in the mount as seen from outside, and after it the mount."""
        for one in self.inner.entries if self.inner else ():
            yield from map(self._outside, one.flattened())
        yield self

    def _outside(self, one: Entry) -> Entry:
        """Return an entry of the router in this mount, as it stands in the mount's own list."""
        depth, segments = self.depth or 0, self.segments or ()
        mine, its = ({name for _, name, _ in entry.params} for entry in (self, one))
        deeper = "" if one.depth is None else one.prefix
        return replace(
            one,
            segments=segments + (one.segments or ()),
            params=self.params + tuple((depth + at, name, take) for at, name, take in one.params),
            conversions=self.conversions + one.conversions,
            # The value of a name is that of the route, and the mount has converted its own.
            asks=one.asks or not mine.isdisjoint(its),
            ends=one.ends and one.segments is not None,
            depth=depth + (one.depth or 0),
            prefix=None if self.prefix is None or deeper is None else self.prefix + deeper,
            mounts=(self.inner, *one.mounts),
        )


def entry_of(route: Any, inner_of: Callable[[Mount], Any]) -> Entry:
    """Return the entry of a route; `inner_of` finds the router in a mount."""
    kind = _kind_of(route)
    shape = _shape_of(route, is_mount=kind is Mount) if kind else None
    if kind is None or shape is None:
        return Entry(route, segments=_narrowed(route))
    known = partial(Entry, route=route, segments=shape.segments, scope_type=_SCOPE_TYPES[kind])
    if not shape.is_whole:
        return known(ends=False)
    asks = not _is_stock(route, "handle", kind)
    known = partial(known, params=shape.params, conversions=shape.conversions, asks=asks)
    if kind is not Mount:
        methods = route.methods if kind is Route else None
        function = _function_in(route.app)
        return known(goes_on=False, methods=methods, app=route.app, function=function)
    inner = None if asks else inner_of(route)
    return known(
        ends=False,
        asks=asks or inner is not None,
        is_mount=True,
        depth=len(shape.segments),
        prefix=None if shape.params else route.path,
        inner=inner,
    )


def _function_in(app: Any) -> Any:
    """Return the coroutine function in what `request_response` made of an endpoint."""
    # Its type is asked, too: a proxy around it, as wrapt makes them, shows the same code.
    is_plain = type(app) is FunctionType and app.__code__ is _WRAPPER
    return app.__closure__[0].cell_contents if is_plain else None


def _kind_of(route: object) -> type | None:
    """Return whose `matches` the route has, if it is one of those known."""
    for kind in _SCOPE_TYPES:
        if isinstance(route, kind) and _is_stock(route, "matches", kind):
            return kind
    return None


def _is_stock(route: object, name: str, kind: type) -> bool:
    """Tell whether a method is the one of `kind`, overridden neither by a class nor on it."""
    method = getattr(route, name)
    is_own = getattr(method, "__self__", None) is route
    return is_own and method.__func__ is getattr(kind, name)


def _shape_of(route: Any, *, is_mount: bool) -> Shape | None:
    """Return the shape of the route's path, if its regex is what Starlette makes of that."""
    whole = route.path + "/{path:path}" if is_mount else route.path
    try:
        expected = pattern_of(whole, route.param_convertors)
        shape = shape_of(route.path, route.param_convertors)
    except (KeyError, AttributeError):
        return None
    is_expected = route.path_regex.pattern == expected
    return shape if is_expected and route.path_regex.flags == re.UNICODE else None


def _narrowed(route: object) -> tuple[str | None, ...] | None:
    """Return where a route of a kind of its own can match, if its class says so.

    Said by a class, it holds for the `matches` of that class and of those above it.
    """
    if getattr(getattr(route, "matches", None), "__self__", None) is not route:
        return None
    for kind in type(route).__mro__:
        if NARROWING in vars(kind):
            return _literal(getattr(route, NARROWING))
        if "matches" in vars(kind):
            return None
    return None


def _literal(path: str) -> tuple[str | None, ...] | None:
    literal, brace, _ = path.partition("{")
    whole = literal.rpartition("/")[0] if brace else literal.rstrip("/")
    return tuple(segments_of(whole)) or None
