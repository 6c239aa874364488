"""The compiled router and the fast path answer as Starlette does."""

from __future__ import annotations

import asyncio
import importlib
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Match, Mount, Route, Router
from starlette.testclient import TestClient

import fps_lite.routing
from fps_lite import create_app, hookimpl, mount
from fps_lite.paths import PrefixedRoute
from fps_lite.routing import CompiledRouter, FastPath, Routes, router, understood
from tests.routing_fuzz import fuzz

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.types import Message, Receive, Scope, Send

    from tests.routing_fuzz import Report

PACKAGE = Path(fps_lite.routing.__file__).parent
SEED = 20261124

MUTANTS = {
    "the order of candidates": ("index", "found.sort(key=_NUMBER)", "pass"),
    "methods": ("index", "not entry.methods or method in entry.methods", "True"),
    "methods that no static path has": ("index", "method in one.methods or ()", "method in ()"),
    "which digits are digits": ("segments", "segment.isascii() and ", ""),
    "one name twice": ("entries", "one.asks or not mine.isdisjoint(its)", "one.asks"),
    "handle of a kind of its own": ("entries", 'not _is_stock(route, "handle", kind)', "False"),
    "newlines": ("router", 'if "\\n" in path or segments.pop(0)', "if segments.pop(0)"),
    "a root path that is not in the path": ("router", "if len(path) == len(", "if 0 == len("),
    "parameters given before": ("router", '{**scope["path_params"], **params}', "params"),
    "the app of a mount": ("router", "self.mount.app is router\n            and ", ""),
    "the path that it would redirect to": ("index", 'segments.append("")', "pass"),
    "app_root_path": ("router", "scope.setdefault(", "scope.__setitem__("),
    "a list that changed in place": ("changes", " and all(map(is_, routes, self.seen))", ""),
    "equal routes": ("changes", "all(map(is_, routes, self.seen))", "self.seen == (*routes,)"),
    "a response that has started": ("fastpath", "if started:", "if False:"),
    "a response that the endpoint starts": ("fastpath", "if begun:", "if False:"),
    "what runs after the response": ("fastpath", "await answer.background()", "pass"),
}  # fmt: skip


@pytest.mark.timeout(180)
def test_random_requests_to_random_trees_find_no_difference() -> None:
    report = fuzz(SEED, 20_000)
    assert not report.differences, report.differences[0]
    assert min(report.cases.values()) > 0, report.cases


RARE = ("one name twice",)
"""Mistakes that only many requests find."""


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=[pytest.mark.slow] if one in RARE else []) for one in MUTANTS],
)
def test_random_requests_find_a_mistake_in(name: str, mutant: Any) -> None:
    report: Report = fuzz(SEED, 60_000, mutant(*MUTANTS[name]))
    assert report.differences, f"{report.requests} requests did not find it"


@pytest.fixture
def mutant(tmp_path: Path) -> Iterator[Any]:
    """Return what imports a copy of the package with one line written otherwise."""

    def changed(module: str, line: str, mistake: str) -> Any:
        copy = tmp_path / "mutant"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        source = (copy / f"{module}.py").read_text(encoding="utf-8")
        assert line in source
        (copy / f"{module}.py").write_text(source.replace(line, mistake), encoding="utf-8")
        return importlib.import_module("mutant")

    sys.path.insert(0, str(tmp_path))
    yield changed
    sys.path.remove(str(tmp_path))
    for name in [one for one in sys.modules if one.partition(".")[0] == "mutant"]:
        del sys.modules[name]


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{request.url.path} {request.path_params}")


async def ask(app: Any, path: str, method: str = "GET") -> str:
    """Return what the app answers: its status and body."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
    await app(scope, receive, send)
    return f"{sent[0]['status']} {sent[1]['body'].decode()}"


class Asked(Route):
    """Counts how often it is asked."""

    only_under = "/asked"
    times = 0

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        self.times += 1
        return super().matches(scope)


@pytest.mark.parametrize("mounted", [False, True])
def test_what_is_asked_does_not_grow_with_the_routes(
    monkeypatch: pytest.MonkeyPatch, *, mounted: bool
) -> None:
    asked: list[str] = []
    original = Route.matches

    def counted(self: Route, scope: Scope) -> tuple[Match, Scope]:
        asked.append(self.path)
        return original(self, scope)

    routes: list[Any] = [
        Route(f"/{n}/{{x:int}}/{kind}", hello) for n in range(500) for kind in "ab"
    ]
    if mounted:
        routes = [Mount("/in", routes=routes)]
    prefix = "/in" if mounted else ""
    app = CompiledRouter(routes)
    assert asyncio.run(ask(app, f"{prefix}/499/7/b")) == f"200 {prefix}/499/7/b {{'x': 7}}"
    monkeypatch.setattr(Route, "matches", counted)
    for path, status in (("/499/7/b/", 307), ("/499/7/c", 404), ("/nowhere", 404)):
        assert asyncio.run(ask(app, prefix + path)).startswith(str(status))
    assert asyncio.run(ask(app, f"{prefix}/499/7/b", "PUT")).startswith("405")
    assert len(asked) <= 6


def test_a_route_that_says_where_it_matches_is_asked_there_alone() -> None:
    asked = Asked("/asked/{rest:path}", hello)
    app = CompiledRouter([asked, Route("/other", hello), Route("/asked/too", hello)])
    assert asyncio.run(ask(app, "/other")).startswith("200")
    assert asked.times == 0
    assert asyncio.run(ask(app, "/asked/too")) == "200 /asked/too {'rest': 'too'}"
    assert asked.times == 1


def test_what_a_class_says_does_not_hold_for_the_matches_of_a_subclass() -> None:
    class Everywhere(Asked):
        def matches(self, _: Scope) -> tuple[Match, Scope]:
            return Match.FULL, {"path_params": {"by": "subclass"}}

    app = CompiledRouter([Everywhere("/asked", hello), Route("/other", hello)])
    assert asyncio.run(ask(app, "/other")) == "200 /other {'by': 'subclass'}"


def test_a_router_that_is_mounted_in_itself_has_an_end() -> None:
    inner = Router([Route("/leaf", hello)])
    inner.routes.append(Mount("/again", app=inner))
    app = CompiledRouter([Mount("/in", app=inner)])
    app.routes.append(Mount("/all", app=app))
    assert asyncio.run(ask(app, "/all/in/again/again/leaf")).startswith(
        "200 /all/in/again/again/leaf"
    )
    assert asyncio.run(ask(app, "/all/in/again/twig")).startswith("404")


@pytest.mark.parametrize("name", ["append", "insert", "extend", "__setitem__", "__iadd__", "sort"])
def test_each_change_of_a_list_is_heard(name: str) -> None:
    new = Route("/new", hello)
    routes = Routes([Route("/old", hello)])
    arguments: dict[str, tuple[Any, ...]] = {
        "append": (new,),
        "insert": (0, new),
        "extend": ([new],),
        "__setitem__": (0, new),
        "__iadd__": ([new],),
        "sort": (),
    }
    getattr(routes, name)(*arguments[name], **({"key": id} if name == "sort" else {}))
    assert routes.changes == 1


def test_starlette_of_another_kind_does_its_routing_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scan(_: Router, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("faster")(scope, receive, send)

    assert understood.is_understood()
    assert understood.is_understood_app()
    monkeypatch.setattr(Router, "app", scan)
    assert not understood.is_understood_app()
    assert asyncio.run(ask(CompiledRouter([Route("/", hello)]), "/")) == "200 faster"


@pytest.mark.parametrize("debug", [False, True])
def test_an_app_with_a_middleware_or_in_debug_goes_the_long_way(*, debug: bool) -> None:
    seen: list[str] = []

    class Seeing:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope["path"])
            await self.app(scope, receive, send)

    app = Starlette(debug=debug, middleware=[] if debug else [Middleware(Seeing)])
    app.router = CompiledRouter([Route("/", hello), Route("/broken", broken)])
    client = TestClient(FastPath(app), raise_server_exceptions=False)
    assert client.get("/").text == "/ {}"
    assert ("Traceback" in client.get("/broken").text) == debug
    assert bool(seen) != debug


async def broken(_: Request) -> PlainTextResponse:
    raise ValueError("broken")


class Odd(BaseRoute):
    """A route of a kind of its own, which answers nothing."""

    def matches(self, _: Scope) -> tuple[Match, Scope]:
        return Match.NONE, {}


async def app_in(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(f"{scope['path']} in {scope['root_path']}")(scope, receive, send)


def composed(*routes: BaseRoute, config: dict[str, Any] | None = None) -> Any:
    plugin = SimpleNamespace(routes=hookimpl(lambda: list(routes)))
    return create_app(config or {}, plugins={"p": plugin})


@pytest.mark.parametrize("fast", [True, False])
def test_composed_app_has_the_router_and_the_fast_path_unless_it_is_off(*, fast: bool) -> None:
    routes = [Route("/a/{name}", hello), mount("/x", app_in, lifespan=False)]
    app = composed(*routes, config={"fps": {"fast_path": fast}})
    assert type(app.router) is CompiledRouter
    assert isinstance(app._answer, FastPath) is fast
    with TestClient(app) as client:
        assert client.get("/a/b").text == "/a/b {'name': 'b'}"
        assert client.get("/x").text == "/x/ in /x"
        assert client.get("/x/y").text == "/x/y in /x"
        assert client.get("/nowhere").status_code == 404


def test_composed_app_hears_of_routes_that_come_later() -> None:
    inner = Mount("/in", routes=[Route("/a", hello)])
    app = composed(inner)
    with TestClient(app) as client:
        for routes, path in ((app.routes, "/late"), (app.routes[0].routes, "/in/late")):
            assert client.get(path).status_code == 404
            routes.append(Route("/late", hello))
            assert client.get(path).status_code == 200


def test_first_request_of_a_composed_app_waits_for_no_index(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = composed(Route("/a", hello))
    with TestClient(app) as client:
        monkeypatch.setattr(router, "Index", None)
        assert client.get("/a").status_code == 200
        app.routes.append(Route("/b", hello))
        with pytest.raises(TypeError):
            client.get("/b")


def test_lists_in_mounts_of_a_composed_app_count_their_changes() -> None:
    app = composed(Mount("/in", routes=[Mount("/deeper", routes=[Route("/a", hello)])]))
    outer = app.routes[0]
    assert type(outer.routes) is type(outer.routes[0].routes) is Routes


@pytest.mark.parametrize("on_failure", ["fatal", "isolate"])
def test_a_prefix_says_where_a_route_of_a_kind_of_its_own_can_match(
    monkeypatch: pytest.MonkeyPatch, on_failure: str
) -> None:
    asked: list[str] = []
    original = PrefixedRoute.matches

    def counted(self: PrefixedRoute, scope: Scope) -> tuple[Match, Scope]:
        asked.append(scope["path"])
        return original(self, scope)

    monkeypatch.setattr(PrefixedRoute, "matches", counted)
    config = {"p": {"prefix": "/p", "on_failure": on_failure}}
    app = composed(Odd(), Route("/a", hello), config=config)
    app.routes.append(Route("/elsewhere", hello))
    with TestClient(app) as client:
        assert client.get("/elsewhere").status_code == 200
        assert client.get("/p/a").status_code == 200
    assert asked == ["/p/a"]


def test_router_without_an_app_around_it_closes_unknown_websockets() -> None:
    sent: list[str] = []

    async def send(message: Message) -> None:
        sent.append(message["type"])

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    for kind in (Router, CompiledRouter):
        scope = {"type": "websocket", "path": "/", "headers": []}
        asyncio.run(kind([Route("/", hello)])(scope, receive, send))
    assert sent == ["websocket.close", "websocket.close"]


class Proxy:
    """What stands around a function as wrapt's proxies do: it shows the function's own code."""

    def __init__(self, around: Any) -> None:
        self.around = around
        self.__code__, self.__closure__ = around.__code__, around.__closure__

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("denied", 401)(scope, receive, send)


def fast(routes: list[BaseRoute], **options: Any) -> TestClient:
    app = Starlette(routes=routes, **options)
    app.router = CompiledRouter(app.routes)
    return TestClient(FastPath(app), raise_server_exceptions=False)


async def plain(_: Any) -> PlainTextResponse:
    return PlainTextResponse("secret")


def test_proxy_that_looks_like_what_it_wraps_is_not_gone_around() -> None:
    route = Route("/", plain)
    route.app = Proxy(route.app)
    assert fast([route]).get("/").status_code == 401
    assert not understood.uses(Proxy(plain), set(plain.__code__.co_names))


def test_response_whose_head_cannot_be_made_is_an_error_like_any_other() -> None:
    class Unmade(PlainTextResponse):
        def __init__(self) -> None:
            self.body, self.background = b"", None

    async def unmade(_: Any) -> Unmade:
        return Unmade()

    async def told(_: Any, __: Exception) -> PlainTextResponse:
        return PlainTextResponse("told", 500)

    answer = fast([Route("/", unmade)], exception_handlers={500: told}).get("/")
    assert (answer.status_code, answer.text) == (500, "told")


def test_patch_of_starlettes_own_call_hears_of_each_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[str] = []
    call = Starlette.__call__

    async def patched(self: Starlette, scope: Any, receive: Any, send: Any) -> None:
        heard.append(scope["path"])
        await call(self, scope, receive, send)

    monkeypatch.setattr(Starlette, "__call__", patched)
    client = fast([Route("/", plain)])
    assert [client.get(path).status_code for path in ("/", "/nowhere")] == [200, 404]
    assert heard == ["/", "/nowhere"]
