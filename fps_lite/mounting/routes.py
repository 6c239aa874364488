"""Routes to resident apps: what a foreign app is shown, and what is seen of it outside."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeGuard
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Match, Mount, Router

from fps_lite.errors import PluginError
from fps_lite.gate import unavailable

from .residents import Resident, imported, wsgi_middleware

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SEEN_OUTSIDE = ("route", "endpoint", "path_params")
POLICY_VIOLATION = 1008  # a websocket close code


def mount(  # noqa: PLR0913 - each is a fact about the app
    path: str,
    app: ASGIApp | str | None = None,
    *,
    factory: Callable[[str], Any] | str | None = None,
    name: str | None = None,
    strip_prefix: bool = False,
    lifespan: bool = True,
    wsgi: bool = False,
) -> ForeignMount:
    """Return a route that mounts an app of any kind at `path`, with its lifespan.

    `app` or `factory` may be a string, `module:object`. `factory(prefix)` is called at start
    with the public prefix, and returns an app or an async context manager that yields one.
    `strip_prefix` shows the app its paths without the prefix; `lifespan=False` leaves its
    lifespan alone; `wsgi` takes a WSGI app.
    """
    if (app is None) == (factory is None):
        raise TypeError("mount takes an app or a factory")
    given: Any = imported(app) if isinstance(app, str) else app
    maker: Any = imported(factory) if isinstance(factory, str) else factory
    if not callable(given or maker):
        raise PluginError(f"{given or maker!r} is no app")
    if wsgi:
        wsgi_middleware()
    resident = Resident(given, maker, lifespan=lifespan, wsgi=wsgi)
    return ForeignMount(path, Foreign(resident, strip_prefix=strip_prefix), name=name)


class Lodging:
    """An ASGI app that passes requests to a resident while it runs, with its state."""

    def __init__(self, resident: Resident) -> None:
        self.resident = resident

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 503."""
        if self.resident.answer is None:
            why = "Service Unavailable: a mounted app is not running"
            await unavailable(scope, receive, send, why=why)
            return
        scope["state"] = {**scope.get("state", {}), **self.resident.state}
        await self.resident.answer(scope, receive, send)


class Foreign(Lodging):
    """A lodging that shows its resident a world of its own: prefix, router, kind of answer."""

    def __init__(self, resident: Resident, *, strip_prefix: bool) -> None:
        super().__init__(resident)
        self.strip_prefix = strip_prefix

    @property
    def routes(self) -> list[BaseRoute]:
        """Return the resident's routes: `url_for` looks into them."""
        return self.resident.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on as the app is to see it."""
        inner = self._shown(scope)
        if scope["type"] == "websocket":
            send = _as_websocket(send, scope)
        try:
            await super().__call__(inner, receive, send)
        finally:
            # Metrics and traces outside name a request by the route that answered it.
            scope.update({key: inner[key] for key in SEEN_OUTSIDE if key in inner})

    def _shown(self, scope: Scope) -> Scope:
        root = scope.get("root_path", "")
        # With the outer router in its scope, the app's own `url_for` would ask that one.
        inner = {key: value for key, value in scope.items() if key != "router"}
        inner["app_root_path"] = root
        path, raw = scope["path"], scope.get("raw_path") or b""
        if path == root:
            path, raw = path + "/", raw + b"/"
        if self.strip_prefix and path.startswith(root):
            path, raw = path[len(root) :], raw.removeprefix(quote(root).encode())
        inner["path"] = path
        if scope.get("raw_path"):
            inner["raw_path"] = raw
        return inner


class ForeignMount(Mount):
    """A `Mount` that answers `/x` like `/x/`, and leads there only those who read HTML.

    Relative links of a page need the slash; clients of an interface dislike the detour.
    """

    app: Foreign

    def __init__(self, path: str, app: Foreign, name: str | None = None) -> None:
        super().__init__(path, app, name=name)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match what a `Mount` matches, and the bare path."""
        match, child = super().matches(scope)
        if match is Match.NONE and self.path and scope["type"] in ("http", "websocket"):
            return super().matches({**scope, "path": scope["path"] + "/"})
        return match, child

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or lead a browser from the bare path to the one with a slash."""
        if scope["path"] == scope["root_path"] != "" and _reads_html(scope):
            query = scope["query_string"].decode("latin-1")
            where = f"{scope['path']}/" + (f"?{query}" if query else "")
            await RedirectResponse(where, 307)(scope, receive, send)
        else:
            await super().handle(scope, receive, send)


def _reads_html(scope: Scope) -> bool:
    reads = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
    return reads and "text/html" in Headers(scope=scope).get("accept", "")


def _as_websocket(send: Send, scope: Scope) -> Send:
    """Return a `send` that answers a websocket as one: some apps answer it like HTTP."""
    can_deny = "websocket.http.response" in (scope.get("extensions") or {})

    async def translated(message: Message) -> None:
        if not message["type"].startswith("http."):
            await send(message)
        elif can_deny:
            await send({**message, "type": f"websocket.{message['type']}"})
        elif message["type"] == "http.response.start":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": ""})

    return translated


class Residents:
    """The apps mounted in one composition, each once; fills the routes of one plugin with them."""

    def __init__(self) -> None:
        self._known: dict[int, Resident] = {}
        self._mounted: list[tuple[Resident, str, str]] = []

    def places(self) -> dict[Resident, list[tuple[str, str]]]:
        """Return each resident with the plugins and the paths that it is mounted by and at."""
        places: dict[Resident, list[tuple[str, str]]] = {}
        for resident, owner, path in self._mounted:
            places.setdefault(resident, []).append((owner, path))
        return places

    def settle(self, route: BaseRoute, owner: str, above: str = "") -> BaseRoute:
        """Return a copy of `route` in which mounted apps live."""
        if not isinstance(route, Mount):
            return route
        path = above + route.path
        settled = copy.copy(route)
        if isinstance(route, ForeignMount):
            resident = self._resident(route.app.resident, owner, path)
            settled.app = Foreign(resident, strip_prefix=route.app.strip_prefix)
            settled._base_app = settled.app  # noqa: SLF001 - where Mount looks for routes
            return settled
        base = route._base_app  # noqa: SLF001 - the app behind the mount's own middleware
        settled._base_app = self._base(base, owner, path)  # noqa: SLF001
        settled.app = _behind(route.app, base, settled._base_app)  # noqa: SLF001
        return settled

    def _base(self, base: ASGIApp, owner: str, path: str) -> Any:
        if is_only_routes(base):
            inner = copy.copy(base)
            inner.routes = [self.settle(one, owner, path) for one in base.routes]
            inner.middleware_stack = _behind(base.middleware_stack, base.app, inner.app)
            return inner
        return _Housed(self._resident(Resident(base), owner, path))

    def _resident(self, resident: Resident, owner: str, path: str) -> Resident:
        key = id(resident.app if resident.factory is None else resident)
        known = self._known.setdefault(key, resident.fresh())
        self._mounted.append((known, owner, path))
        return known


class _Housed(Lodging):
    """A plain mount's app: it keeps the scope that Starlette gives it, and its routes."""

    @property
    def routes(self) -> list[BaseRoute]:
        return self.resident.routes


def is_only_routes(app: object) -> TypeGuard[Router]:
    """Tell whether `app` is what `Mount(routes=…)` makes: it has no lifespan of its own."""
    return type(app) is Router and isinstance(app.lifespan_context, type(Router().lifespan_context))


def _behind(app: Any, old: Any, new: Any) -> Any:
    """Return `app` with `new` instead of `old` behind its middleware, on copies.

    Middleware keeps what it wraps in `app`; where some does not, `old` stays.
    """
    if app == old:
        return new
    inner = getattr(app, "app", None)
    if inner is None:
        return app
    copied = copy.copy(app)
    copied.app = _behind(inner, old, new)
    return copied
