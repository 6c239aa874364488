"""A prefix goes before every kind of route, on copies, and names stay."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import (
    BaseRoute,
    Host,
    Match,
    Mount,
    NoMatchFound,
    Route,
    Router,
    WebSocketRoute,
)
from starlette.testclient import TestClient

from fps_lite.paths import prefixed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.datastructures import URLPath
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send
    from starlette.websockets import WebSocket


async def where(request: Request) -> Response:
    return PlainTextResponse(f"{request.url.path} {sorted(request.path_params.items())}")


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(websocket.url.path)
    await websocket.close()


class Custom(BaseRoute):
    """Answers one path, relative to wherever it is, as a route of one's own may."""

    def __init__(self, path: str, name: str = "") -> None:
        self.path, self.name = path, name

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        return (Match.FULL if path == self.path else Match.NONE), {}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        from starlette.datastructures import URLPath

        if name != self.name or path_params:
            raise NoMatchFound(name, path_params)
        return URLPath(self.path)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(f"custom {self.path}")(scope, receive, send)


def client(routes: Sequence[BaseRoute], base_url: str = "http://testserver") -> TestClient:
    return TestClient(Starlette(routes=routes), base_url, follow_redirects=False)


def test_a_route_is_answered_under_its_prefix_alone() -> None:
    moved = prefixed([Route("/a/{n:int}", where, methods=["POST"])], "/x/y")
    answer = client(moved).post("/x/y/a/3")
    assert answer.text == "/x/y/a/3 [('n', 3)]"
    assert client(moved).get("/x/y/a/3").status_code == 405
    assert client(moved).post("/a/3").status_code == 404
    assert client(moved).post("/x/y/a/b").status_code == 404


@pytest.mark.parametrize("path", ["/x", "/x/"])
def test_a_root_route_answers_with_and_without_a_slash(path: str) -> None:
    assert client(prefixed([Route("/", where)], "/x")).get(path).text == f"{path} []"
    with client(prefixed([WebSocketRoute("/", talk)], "/x")).websocket_connect(path) as websocket:
        assert websocket.receive_text() == path


def test_a_root_route_without_a_prefix_stays_one_route() -> None:
    (only,) = prefixed([Route("/", where)], "")
    assert isinstance(only, Route)
    assert only.path == "/"


def test_a_websocket_is_reached_under_its_prefix() -> None:
    moved = prefixed([WebSocketRoute("/talk", talk)], "/x")
    with client(moved).websocket_connect("/x/talk") as websocket:
        assert websocket.receive_text() == "/x/talk"


def test_a_class_endpoint_keeps_all_its_methods() -> None:
    class Page(HTTPEndpoint):
        async def get(self, request: Request) -> Response:
            return await where(request)

        async def delete(self, request: Request) -> Response:
            return await where(request)

    moved = client(prefixed([Route("/page", Page)], "/x"))
    assert moved.get("/x/page").text == moved.delete("/x/page").text == "/x/page []"


@pytest.mark.parametrize("path, inner", [("/m", "/x/m"), ("/", "/x"), ("", "/x")])
def test_a_mount_is_moved_and_its_app_sees_its_own_root(path: str, inner: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(f"{scope['root_path']} {scope['path']}")(scope, receive, send)

    moved = client(prefixed([Mount(path, app=app)], "/x"))
    assert moved.get(f"{inner}/a").text == f"{inner} {inner}/a"
    assert moved.get("/a").status_code == 404


def test_a_mount_keeps_its_middleware_and_its_routes() -> None:
    class Loud:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            scope["path_params"] = {**scope["path_params"], "loud": True}
            await self.app(scope, receive, send)

    mount = Mount("/m", routes=[Route("/a", where)], middleware=[Middleware(Loud)])
    (moved,) = prefixed([mount], "/x")
    assert isinstance(moved, Mount)
    assert [getattr(route, "path", "") for route in moved.routes] == ["/a"]
    assert client([moved]).get("/x/m/a").text == "/x/m/a [('loud', True)]"


def test_a_mount_with_parameters_keeps_them() -> None:
    moved = client(prefixed([Mount("/{tenant}", routes=[Route("/a", where)])], "/x"))
    assert moved.get("/x/acme/a").text == "/x/acme/a [('tenant', 'acme')]"


@pytest.mark.parametrize(
    "app",
    [
        Router([Route("/", where), Route("/a", where, name="a")]),
        Starlette(routes=[Route("/", where), Route("/a", where, name="a")]),
    ],
)
def test_a_host_gets_the_prefix_inside(app: Any) -> None:
    moved = prefixed([Host("api.example.org", app)], "/x")
    inside = client(moved, "http://api.example.org")
    assert inside.get("/x/a").text == "/x/a []"
    assert inside.get("/x/").text == "/x/ []"
    assert inside.get("/a").status_code == 404
    assert client(moved).get("/x/a").status_code == 404
    assert Router(moved).url_path_for("a") == "/x/a"


def test_a_root_route_inside_a_host_answers_without_a_slash_too() -> None:
    moved = prefixed([Host("api.example.org", Router([Route("/", where)]))], "/x")
    assert client(moved, "http://api.example.org").get("/x").text == "/x []"


def test_a_route_of_ones_own_is_wrapped() -> None:
    moved = prefixed([Custom("/own", "own")], "/x")
    assert client(moved).get("/x/own").text == "custom /own"
    assert client(moved).get("/own").status_code == 404
    assert Router(moved).url_path_for("own") == "/x/own"


def test_a_route_of_ones_own_is_left_alone_without_a_prefix() -> None:
    own = Custom("/own", "own")
    (same,) = prefixed([own], "")
    assert type(same) is Custom
    assert same is not own
    assert client([same]).get("/own").text == "custom /own"


def test_a_subclass_of_route_is_moved_as_one_and_stays_one() -> None:
    class Mine(Route):
        pass

    (moved,) = prefixed([Mine("/a", where)], "/x")
    assert type(moved) is Mine
    assert client([moved]).get("/x/a").status_code == 200


def all_kinds() -> list[BaseRoute]:
    return [
        Route("/", where, name="home"),
        Route("/a/{n:int}", where, name="a"),
        WebSocketRoute("/talk", talk, name="talk"),
        Mount("/m", routes=[Route("/b", where, name="b")], name="m"),
        Mount("/unnamed", routes=[Route("/c", where, name="c")]),
        Mount("/files", app=PlainTextResponse("files"), name="files"),
        Host("h.example.org", Router([Route("/d", where, name="d")]), name="h"),
        Custom("/own", "own"),
    ]


NAMES: list[tuple[str, dict[str, Any], str]] = [
    ("home", {}, "/"),
    ("a", {"n": 3}, "/a/3"),
    ("talk", {}, "/talk"),
    ("m:b", {}, "/m/b"),
    ("c", {}, "/unnamed/c"),
    ("files", {"path": "/a.css"}, "/files/a.css"),
    ("h:d", {}, "/d"),
    ("own", {}, "/own"),
]


@pytest.mark.parametrize("name, params, path", NAMES)
@pytest.mark.parametrize("prefix", ["", "/x", "/x/y"])
def test_names_do_not_change_and_urls_have_the_prefix(
    name: str, params: dict[str, Any], path: str, prefix: str
) -> None:
    url = Router(prefixed(all_kinds(), prefix)).url_path_for(name, **params)
    assert url == (prefix + path if (prefix, path) != (prefix or None, "/") else prefix)


def test_url_for_in_a_request_has_the_prefix() -> None:
    async def links(request: Request) -> Response:
        return PlainTextResponse(f"{request.url_for('home')} {request.url_for('a', n=3)}")

    moved = prefixed([*all_kinds(), Route("/links", links)], "/x")
    assert client(moved).get("/x/links").text == "http://testserver/x http://testserver/x/a/3"


def attributes(route: Any) -> dict[str, Any]:
    found = dict(vars(route))
    found.pop("app", None)
    return found


@pytest.mark.parametrize("prefix", ["", "/x"])
def test_the_originals_are_not_changed(prefix: str) -> None:
    originals = all_kinds()
    before = [copy.copy(attributes(route)) for route in originals]
    inner = [getattr(route, "app", None) for route in originals]
    moved = prefixed(originals, prefix)
    for route in moved:
        for name in list(vars(route)):
            setattr(route, name, None)
    assert [attributes(route) for route in originals] == before
    for route, app in zip(originals, inner, strict=True):
        assert getattr(route, "app", None) is app
    assert Router(originals).url_path_for("h:d") == "/d"


def test_the_routes_inside_a_host_are_not_changed() -> None:
    host = Host("h.example.org", Router([Route("/d", where)]))
    for prefix in ("/x", "/y"):
        moved = client(prefixed([host], prefix), "http://h.example.org")
        assert moved.get(f"{prefix}/d").text == f"{prefix}/d []"
    assert client([host], "http://h.example.org").get("/d").text == "/d []"


def test_prefixes_add_up() -> None:
    moved = client(prefixed(prefixed([Route("/", where), Route("/a", where)], "/y"), "/x"))
    assert [moved.get(path).status_code for path in ("/x/y", "/x/y/", "/x/y/a")] == [200] * 3


@pytest.mark.parametrize("prefix", ["x", "/", "/x/", "x/y"])
def test_what_is_no_prefix_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match='like "/x"'):
        prefixed([], prefix)


SEGMENTS = st.sampled_from(["a", "b", "7", "{p}", "{p:int}", "{p:path}", "a{p}", "{p}.js"])


@st.composite
def paths(draw: st.DrawFn) -> str:
    """Draw a path of Starlette's, with each parameter named once."""
    segments = draw(st.lists(SEGMENTS, max_size=3))
    named = [one.replace("{p", "{p" + str(place)) for place, one in enumerate(segments)]
    return "/" + "/".join(named) + (draw(SLASH) if named else "")


SLASH = st.sampled_from(["", "/"])
ROUTES = st.lists(st.tuples(paths(), st.sampled_from([["GET"], ["POST"], None])), max_size=4)
REQUESTS = st.lists(
    st.lists(st.sampled_from(["a", "b", "7", "ab", "c.js", ""]), max_size=4).map("/".join),
    min_size=1,
    max_size=6,
)


def route_of(path: str, methods: list[str] | None, number: int) -> BaseRoute:
    async def answer(request: Request) -> Response:
        return PlainTextResponse(f"{number} {sorted(request.path_params.items())}")

    return Route(path, answer, methods=methods or ["GET", "POST"])


def answered(routes: Sequence[BaseRoute], path: str) -> Iterator[tuple[int, str, str]]:
    for method in ("GET", "POST"):
        answer = client(routes).request(method, path)
        yield answer.status_code, answer.text, answer.headers.get("location", "")


@given(ROUTES, REQUESTS)
def test_a_prefix_answers_as_a_mount_does(
    drawn: list[tuple[str, list[str] | None]], requests: list[str]
) -> None:
    routes = [route_of(path, methods, place) for place, (path, methods) in enumerate(drawn)]
    here, mounted = prefixed(routes, "/x"), [Mount("/x", routes=routes)]
    for request in requests:
        # `/x` itself is the difference: a mount redirects it, a prefixed `/` answers it (and so
        # `/x//` is redirected to it).
        path = f"/x/{request}" if request.strip("/") else "/x/"
        assert list(answered(here, path)) == list(answered(mounted, path))


def test_a_wrapped_route_leaves_what_it_does_not_take_to_others() -> None:
    moved = client(prefixed([Custom("/own"), Route("/a", where)], "/x"))
    assert moved.get("/x/own").text == "custom /own"
    assert moved.get("/x/a").text == "/x/a []"
