"""Routes to resident apps: what a foreign app is shown, and what is seen of it outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Match, Mount

from fps_lite.errors import PluginError
from fps_lite.gate import unavailable
from fps_lite.whose import PLUGIN

from .residents import Resident
from .shapes import check_app, check_factory, imported, path_problem, wsgi_middleware
from .slashes import leads_back, reads, reads_html, with_slash
from .websockets import answer_websocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

OWNER = "fps_lite.plugin"
"""In the scope: the plugin whose mounted app answers."""
SEEN_OUTSIDE = ("route", "endpoint", "path_params", OWNER)
NOT_RUNNING = "Service Unavailable: a mounted app is not running"
NOBODY_RUNS = (
    "Service Unavailable: nobody runs this mount(). It must be among the routes that "
    "a plugin's hook returns, not among those of an app that is mounted."
)


def mount(  # noqa: PLR0913 - each is a fact about the app
    path: str,
    app: Callable[..., Any] | str | None = None,
    *,
    factory: Callable[..., Any] | str | None = None,
    name: str | None = None,
    strip_prefix: bool = False,
    lifespan: bool = True,
    wsgi: bool = False,
) -> ForeignMount:
    """Return a route that mounts an app of any kind at `path`, with its lifespan.

    `app` or `factory` may be a string, `module:object`. `factory(prefix)` is called at start
    with the public prefix, and returns an app or an async context manager that yields one.
    `strip_prefix` shows the app its paths without the prefix; `lifespan=False` leaves its
    lifespan alone; `wsgi` takes a WSGI app, answered in up to 40 threads. Raises `PluginError`
    for what is no app.
    """
    if (app is None) == (factory is None):
        raise TypeError("mount takes an app or a factory")
    if problem := path_problem(path):
        raise PluginError(f"mount: {problem}")
    given = app if factory is None else factory
    found: Any = imported(given) if isinstance(given, str) else given
    kind = type(given).__name__
    shown = f'"{given}"' if isinstance(given, str) else f'what mount("{path}") got, a "{kind}",'
    if factory is None:
        check_app(found, wsgi=wsgi, name=shown)
    else:
        check_factory(found, name=shown)
    if wsgi:
        wsgi_middleware()
    app, maker = (found, None) if factory is None else (None, found)
    resident = Resident(app, maker, lifespan=lifespan, wsgi=wsgi)
    # A WSGI app is shown both parts, and the stripped path could not be told from a whole one.
    lodging = Foreign(resident, strip_prefix=strip_prefix and not wsgi)
    return ForeignMount(path, lodging, name=name)


def closed(path: str, why: str, *, name: str | None = None) -> ForeignMount:
    """Return a mount for what cannot be had: it answers 503, or is refused with `why`.

    It is refused unless it is `isolated`, or its plugin is; set `where` to its place and key.
    """
    route = ForeignMount(path, Foreign(Resident(), strip_prefix=False), name=name)
    route.failure = why
    return route


class Lodging:
    """An ASGI app that passes requests on while a resident runs, with its state in them."""

    def __init__(self, resident: Resident, owner: str = "") -> None:
        self.resident = resident
        self.owner = owner

    @property
    def routes(self) -> list[BaseRoute]:
        """Return the resident's routes: `url_for` looks into them."""
        return self.resident.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 503."""
        app = self.resident.answer
        if app is None:
            why = NOT_RUNNING if self.resident.adopted else NOBODY_RUNS
            await unavailable(scope, receive, send, why=why)
            return
        scope["state"] = {**scope.get("state", {}), **self.resident.state}
        scope[OWNER] = self.owner
        before = PLUGIN.set(self.owner)
        try:
            if scope["type"] == "websocket":
                await answer_websocket(self.inside(app), scope, receive, send)
            else:
                await self.inside(app)(scope, receive, send)
        finally:
            PLUGIN.reset(before)

    def inside(self, app: ASGIApp) -> ASGIApp:
        """Return what stands between this and the running app: nothing."""
        return app


class Housed(Lodging):
    """A plain mount's lodging: it keeps Starlette's scope, and the mount's own middleware."""

    def __init__(self, resident: Resident, stack: ASGIApp, owner: str) -> None:
        super().__init__(resident, owner)
        self.stack = stack

    def inside(self, _: ASGIApp) -> ASGIApp:
        """Return the app behind the mount's middleware."""
        return self.stack


class Foreign(Lodging):
    """A lodging that shows its resident a world of its own: prefix and router."""

    def __init__(self, resident: Resident, *, strip_prefix: bool, owner: str = "") -> None:
        super().__init__(resident, owner)
        self.strip_prefix = strip_prefix
        self.leads_back = False
        """The app has led from the path with the slash to the bare one: it gets that as it is."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on as the app is to see it."""
        inner = self._shown(scope)
        try:
            await super().__call__(inner, receive, self._noticing(send, inner))
        finally:
            # Metrics and traces outside name a request by the route that answered it.
            scope.update({key: inner[key] for key in SEEN_OUTSIDE if key in inner})

    def _shown(self, scope: Scope) -> Scope:
        root = scope.get("root_path", "")
        # With the outer router in its scope, the app's own `url_for` would ask that one.
        inner = {key: value for key, value in scope.items() if key != "router"}
        inner["app_root_path"] = root
        path, raw = scope["path"], scope.get("raw_path")
        if path == root and not self.leads_back:
            path, raw = path + "/", raw and raw + b"/"
        if self.strip_prefix and path.startswith(root):
            path, raw = path[len(root) :], raw and _without(raw, root)
        return {**inner, "path": path, **({"raw_path": raw} if raw else {})}

    def _noticing(self, send: Send, inner: Scope) -> Send:
        """Return a `send` that notices when the app leads back to the bare path."""
        root = inner["root_path"]
        if not root or self.leads_back or inner["path"] != root + "/" or not reads(inner):
            return send

        async def noticed(message: Message) -> None:
            self.leads_back = self.leads_back or leads_back(message, inner)
            await send(message)

        return noticed


def _without(raw: bytes, root: str) -> bytes:
    """Return a raw path without what stands for `root` in it, however that is encoded."""
    end, expected = 0, root.encode(errors="surrogateescape")
    for _ in expected:
        end += 3 if raw[end : end + 1] == b"%" else 1
    return raw[end:] if unquote_to_bytes(raw[:end]) == expected else raw


class ForeignMount(Mount):
    """A `Mount` that answers `/x` like `/x/`, and leads there only those who read HTML.

    Relative links of a page need the slash; clients of an interface dislike the detour.
    """

    app: Foreign
    written = ""
    """What is mounted and where that is written, if not in code."""
    place = ""
    """Where it is configured, as `file:line:column`."""
    where = ""
    """The place and the key of it, before what is wrong there."""
    failure = ""
    """Why nothing answers: the mount is closed, and the others go on."""
    isolated = False
    """Whether the app may fail alone, even if its plugin may not."""

    def __init__(self, path: str, app: Foreign, name: str | None = None) -> None:
        super().__init__(path, app, name=name)

    @property
    def only_under(self) -> str:
        """Return the path under which alone it can match: what the router asks of its kind."""
        return self.path

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match what a `Mount` matches, and the bare path."""
        match, child = super().matches(scope)
        if match is Match.NONE and self.path and scope["type"] in ("http", "websocket"):
            return super().matches({**scope, "path": scope["path"] + "/"})
        return match, child

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or lead a browser from the bare path to the one with a slash."""
        is_bare = scope["path"] == scope["root_path"] != ""
        lodging: Any = self._base_app  # in `app` a guard may stand before it
        if is_bare and not lodging.leads_back and reads_html(scope):
            await RedirectResponse(with_slash(scope), 307)(scope, receive, send)
        else:
            await super().handle(scope, receive, send)
