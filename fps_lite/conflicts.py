"""Refuse two owners of one thing: path, exception, route name.

Routes are tried in order and the first that matches answers, so what counts is what an
earlier route of another plugin takes away from a later one. Within one plugin the first
wins, as its author wrote it.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.routing import (
    PARAM_REGEX,
    BaseRoute,
    Host,
    Mount,
    Route,
    WebSocketRoute,
    compile_path,
    get_name,
)

from .contributions import handled
from .errors import PluginError
from .mounting import ForeignMount
from .paths import PrefixedRoute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .contributions import Collected

TAIL = "{:path}"
"""The rest of the path, slashes included: how a Mount and a `{name:path}` end."""
_CONVERTORS = re.compile(r"{:(\w+)}")
_WITHOUT_SLASH = {"str", "int", "float", "uuid"}  # others, too, may match one, or nothing at all


@dataclass(frozen=True)
class Claim:
    """What one route takes: its kind of request, its methods, the shape of its path."""

    owner: str
    route: BaseRoute
    kind: str
    methods: frozenset[str] | None
    """None is every method."""
    shape: tuple[str, ...]
    """The path's segments; a parameter is written as `{:convertor}`, its name left out."""

    def __str__(self) -> str:
        shown = (self.methods or frozenset()) - {"HEAD"} or self.methods or ()
        methods = "".join(f"{method} " for method in sorted(shown))
        return f'{methods}{path_of(self.route)} of "{self.owner}" ({described(self.route)})'


def ordered_routes(collected: Collected) -> list[tuple[str, BaseRoute]]:
    """Return all routes with their owners, in the order in which they are tried.

    A mount at the root takes everything, so it comes last of all.
    """
    owned = [(one.name, route) for one in collected.contributions for route in one.routes]
    return sorted(owned, key=lambda pair: is_root_mount(pair[1]))


def is_root_mount(route: BaseRoute) -> bool:
    """Tell whether `route` is a mount that takes every path."""
    return isinstance(route, Mount) and route.path == ""


def find_conflicts(collected: Collected) -> tuple[PluginError, ...]:
    """Return every conflict between two plugins, each as one line."""
    claims = [
        claim for owner, route in ordered_routes(collected) for claim in _claims(owner, route)
    ]
    lines = [*_path_conflicts(claims), *_name_conflicts(claims), *_handler_conflicts(collected)]
    return tuple(map(PluginError, lines))


def _claims(owner: str, route: BaseRoute) -> Iterator[Claim]:
    if isinstance(route, Mount):
        yield Claim(owner, route, "", None, (*_shape(route.path), TAIL))
        if isinstance(route, ForeignMount) and route.path:
            yield Claim(owner, route, "", None, _shape(route.path))
    elif isinstance(route, Route):
        methods = frozenset(route.methods) if route.methods else None
        yield Claim(owner, route, "http", methods, _shape(route.path))
    elif isinstance(route, WebSocketRoute):
        yield Claim(owner, route, "websocket", None, _shape(route.path))
    elif isinstance(route, Host):
        yield Claim(owner, route, "host", None, (route.host.lower(),))


def _shape(path: str) -> tuple[str, ...]:
    nameless = PARAM_REGEX.sub(lambda found: "{" + (found[2] or ":str") + "}", path)
    return tuple(nameless.split("/")[1:])


def _path_conflicts(claims: list[Claim]) -> Iterator[str]:
    same: dict[tuple[str, ...], list[Claim]] = defaultdict(list)
    patterns: dict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        doubled = [one for one in same[claim.shape] if _rivals(one, claim)]
        for one in doubled:
            yield f"{one} and {claim} claim the same requests"
        earlier = (
            patterns["{"] + patterns[_bucket(claim)] if _bucket(claim) != "{" else patterns["{"]
        )
        hiding = next((one for one in earlier if one not in doubled and _hides(one, claim)), None)
        if hiding is not None and not doubled:
            yield f"{claim} is never reached: {hiding} comes before it"
        same[claim.shape].append(claim)
        if any("{" in segment for segment in claim.shape):
            patterns[_bucket(claim)].append(claim)


def _bucket(claim: Claim) -> str:
    first = claim.shape[0] if claim.shape else ""
    return "{" if "{" in first else first


def _rivals(one: Claim, other: Claim) -> bool:
    """Tell whether two claims of one shape want the same requests."""
    if one.owner == other.owner or (one.kind and other.kind and one.kind != other.kind):
        return False
    return one.methods is None or other.methods is None or bool(one.methods & other.methods)


def _hides(one: Claim, other: Claim) -> bool:
    """Tell whether `one`, tried before, takes every request of `other`."""
    if one.owner == other.owner or one.kind not in ("", other.kind) or other.kind == "host":
        return False
    if one.methods is not None and (other.methods is None or not other.methods <= one.methods):
        return False
    return _covers(one.shape, other.shape)


def _covers(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    if one and one[-1] == TAIL:
        head = one[:-1]
        return len(other) >= len(one) and all(map(_segment_covers, head, other))
    return len(one) == len(other) and all(map(_segment_covers, one, other))


def _segment_covers(one: str, other: str) -> bool:
    if one == other:
        return True
    if "{" not in one:
        return False
    if "{" not in other:
        return _regex(one).fullmatch(other) is not None
    return one == "{:str}" and set(_CONVERTORS.findall(other)) <= _WITHOUT_SLASH


@functools.cache
def _regex(segment: str) -> re.Pattern[str]:
    counter = iter(range(segment.count("{")))
    named = re.sub(r"{:", lambda _: f"{{p{next(counter)}:", segment)
    pattern, _, _ = compile_path("/" + named)
    return re.compile(pattern.pattern.removeprefix("^/").removesuffix("$"))


def _name_conflicts(claims: list[Claim]) -> Iterator[str]:
    named: dict[str, Claim] = {}
    for claim in claims:
        name = _given_name(claim.route)
        first = named.setdefault(name, claim) if name else claim
        if first.owner != claim.owner:
            yield f'route name "{name}" is given twice: by {first} and by {claim}'


def _given_name(route: Any) -> str:
    """Return a route's name if its author gave one: the default is the endpoint's."""
    name = getattr(route, "name", None) or ""
    endpoint = getattr(route, "endpoint", None)
    return "" if endpoint is not None and name == get_name(endpoint) else name


def _handler_conflicts(collected: Collected) -> Iterator[str]:
    owners: dict[int | type[Exception], str] = {}
    for contribution in collected.contributions:
        for key in contribution.handlers:
            # Starlette has one place for both.
            owner = owners.setdefault(500 if key is Exception else key, contribution.name)
            if owner != contribution.name:
                yield (
                    f"exceptions {handled(key)} have two handlers: "
                    f'by "{owner}" and by "{contribution.name}"'
                )


def path_of(route: BaseRoute) -> str:
    """Return the path of a route as a person would write it."""
    if isinstance(route, Mount):
        return route.path + "/"
    if isinstance(route, Host):
        return f"//{route.host}/"
    return getattr(route, "path", "?")


def described(route: BaseRoute) -> str:
    """Return what answers a route, and where that is written."""
    route = route.route if isinstance(route, PrefixedRoute) else route
    target = getattr(route, "endpoint", None) or getattr(route, "_base_app", None)
    if isinstance(route, ForeignMount):
        if route.written:
            return route.written
        target = route.app.resident.app or route.app.resident.factory
    target = target or getattr(route, "app", None) or route
    while isinstance(target, functools.partial):
        target = target.func
    target = inspect.unwrap(target)
    subject = target if inspect.isroutine(target) or inspect.isclass(target) else type(target)
    try:
        file = inspect.getsourcefile(subject)
        line = inspect.getsourcelines(subject)[1]
    except (OSError, TypeError):
        return f"{subject.__module__}.{subject.__qualname__}"
    return f"{subject.__module__}.{subject.__qualname__}, {_short(file or '')}:{line}"


def _short(file: str) -> str:
    relative = os.path.relpath(file)
    return file if relative.startswith("..") else relative
