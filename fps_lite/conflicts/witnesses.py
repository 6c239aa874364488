"""A request that shows it: two routes match it, and the earlier one is the first of all that do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fps_lite.routing import CompiledRouter

from .automata import shortest
from .claims import Request, common_methods

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.routing import BaseRoute

    from .automata import Automaton
    from .claims import Claim, Methods
    from .patterns import Pattern, Patterns

MOST_TRIES = 50
"""After that many requests that others answer, nothing is said."""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
"""Those to show where every method is meant, the first that will do."""


class Witnesses:
    """Finds requests from the paths, and asks the routes of the app whether it is so."""

    def __init__(
        self, routes: Iterable[BaseRoute], claims: Iterable[Claim], patterns: Patterns
    ) -> None:
        self._patterns = patterns
        self._claimed: dict[int, list[Pattern]] = {}
        """What each route claims, by its identity: routes can be equal."""
        for one in claims:
            self._claimed.setdefault(id(one.route), []).append(one.pattern)
        self._router = CompiledRouter(list(routes))

    def shared(self, one: Claim, other: Claim) -> Request | None:
        """Return a request that both take, whoever answers it."""
        path = self._patterns.common(one.pattern, other.pattern)
        if path is None or one.kind == "host":
            return None
        method = _shown(one, other, common_methods(one.methods, other.methods))[0]
        request = Request(method, path)
        is_so = one.takes(request) is not False and other.takes(request) is not False
        return request if is_so else None

    def lost(
        self, one: Claim, other: Claim, methods: Methods, own: Iterable[Claim]
    ) -> Request | None:
        """Return a request of `other`, of one of `methods`, that `one` answers.

        Without `one` it would reach `other`: none of `own` takes it before. Where somebody else
        takes it, another is looked for, outside of what that one claims.
        """
        shown = _shown(one, other, common_methods(one.methods, methods))
        each = (self._lost(one, other, method, own) for method in shown)
        return next((request for request in each if request), None)

    def _lost(self, one: Claim, other: Claim, method: str, own: Iterable[Claim]) -> Request | None:
        path = self._patterns.common(one.pattern, other.pattern)
        outside: list[Automaton] = []
        for _ in range(MOST_TRIES):
            if path is None:
                break
            request = Request(method, path)
            taking = self._taking(one, request, own)
            if taking is one.route:
                return request if other.takes(request) is not False else None
            taken = self._claimed.get(id(taking), [])
            outside += map(self._patterns.whole, taken)
            # Of a route of a kind of its own nobody can tell what else it takes.
            path = self._path([one, other], outside) if taken else None
        return None

    def _path(self, inside: Iterable[Claim], outside: Sequence[Automaton]) -> str | None:
        text = shortest([self._patterns.whole(each.pattern) for each in inside], outside)
        return None if text is None else f"/{text}"

    def _taking(self, one: Claim, request: Request, own: Iterable[Claim]) -> BaseRoute | None:
        """Return what answers, or which of `own` would if `one` did not."""
        answering = self._answering(request)
        if answering is not one.route:
            return answering
        return next((each.route for each in own if each.takes(request) is not False), answering)

    def _answering(self, request: Request) -> BaseRoute | None:
        try:
            return self._router.first(request.scope)
        except Exception:  # noqa: BLE001 - a convertor's, or of a route of a kind of its own
            return None


def _shown(one: Claim, other: Claim, methods: Methods) -> Sequence[str]:
    """Return the methods to show, the nicest first."""
    if "websocket" in (one.kind, other.kind):
        return ["websocket"]
    if methods is None:
        return METHODS
    return sorted(methods, key=lambda method: (method != "GET", method == "HEAD", method))
