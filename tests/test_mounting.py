"""A foreign app, mounted: what it is shown, what is seen of it, what is refused."""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Host, Mount, Route, Router, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from fps_lite import PluginError, StartupError, create_app, hookimpl, mount

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from starlette.websockets import WebSocket

    from tests.conftest import Site

Cli: TypeAlias = "Callable[..., subprocess.CompletedProcess[str]]"


async def seen(request: Request) -> Response:
    """Answer with what the app was shown."""
    keys = ("path", "root_path", "app_root_path", "path_params", "method")
    shown = {key: request.scope.get(key) for key in keys}
    return JSONResponse(
        {
            **shown,
            "raw_path": (request.scope.get("raw_path") or b"").decode(),
            "state": {key: value for key, value in request.scope["state"].items() if key != "fps"},
            "url_for": str(request.url_for("seen", name="n")),
        }
    )


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(websocket.scope["path"])
    await websocket.close()


ENTERED: TypeAlias = "list[str]"


def foreign(name: str = "foreign", entered: ENTERED | None = None) -> Starlette:
    """Return an app with a lifespan that yields state under `name`."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
        if entered is not None:
            entered.append(name)
        yield {name: True}

    methods = ["GET", "POST"]
    routes = [
        Route("/", seen, methods=methods),
        Route("/{name}", seen, name="seen", methods=methods),
        WebSocketRoute("/", echo),
        WebSocketRoute("/{name}", echo),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


class Plugin:
    """A plugin whose routes are given; it provides `db`."""

    def __init__(self, *routes: BaseRoute, middleware: tuple[Middleware, ...] = ()) -> None:
        self.given = list(routes)
        self.outer = list(middleware)

    @hookimpl
    def routes(self) -> list[BaseRoute]:
        return self.given

    @hookimpl
    def middleware(self) -> list[Middleware]:
        return self.outer


class Service(Plugin):
    @hookimpl
    async def lifespan(self) -> AsyncIterator[dict[str, Any]]:
        yield {"p": "service"}


def app_of(*routes: BaseRoute, **config: Any) -> Starlette:
    return create_app(config, plugins={"p": Plugin(*routes)})


def client_of(*routes: BaseRoute, **config: Any) -> TestClient:
    return TestClient(app_of(*routes, **config), "http://host", follow_redirects=False)


# Lifespan and state.


def test_own_state_is_in_own_requests_alone_and_the_plugins_in_all() -> None:
    plugin = Service(Mount("/a", foreign("a")), mount("/b", foreign("b")), Route("/", states))
    with TestClient(create_app({}, plugins={"p": plugin})) as client:
        assert client.get("/a/n").json()["state"] == {"p": "service", "a": True}
        assert client.get("/b/n").json()["state"] == {"p": "service", "b": True}
        assert client.get("/").json() == ["fps", "p"]


async def states(request: Request) -> Response:
    return JSONResponse(sorted(request.scope["state"]))


def wrapped_twice(app: ASGIApp) -> list[BaseRoute]:
    return [
        mount("/mount", app),
        Mount("/plain", app),
        Mount("/nested", routes=[Mount("/deep", routes=[Mount("/er", app)])]),
        Mount("/behind", app, middleware=[Middleware(Stamp), Middleware(Stamp)]),
        Mount("/both", routes=[Mount("/deep", app)], middleware=[Middleware(Stamp)]),
        Mount("/router", Router([Mount("/x", app)], middleware=[Middleware(Stamp)])),
        Host("sub.host", Router([Mount("/in", app)])),
        Host("own.host", app),
    ]


class Stamp:
    """Middleware as most is: it keeps what it wraps in `app`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"stamp", b"1"))
            await send(message)

        await self.app(scope, receive, stamped)


PLACES = {
    "http://host/mount/n": 0,
    "http://host/plain/n": 0,
    "http://host/nested/deep/er/n": 0,
    "http://host/behind/n": 2,
    "http://host/both/deep/n": 1,
    "http://host/router/x/n": 1,
    "http://sub.host/in/n": 0,
    "http://own.host/n": 0,
}


def test_app_is_alive_wherever_it_is_mounted_and_entered_once() -> None:
    entered: ENTERED = []
    with client_of(*wrapped_twice(foreign(entered=entered))) as client:
        for url, stamps in PLACES.items():
            answer = client.get(url)
            assert answer.json()["state"] == {"foreign": True}, url
            assert answer.headers.get_list("stamp") == ["1"] * stamps, url
    assert entered == ["foreign"]


def test_plugins_own_mounts_are_never_changed() -> None:
    routes = wrapped_twice(foreign())
    before = [contents(route) for route in routes]
    with client_of(*routes) as client:
        client.get("/both/deep/n")
    assert [contents(route) for route in routes] == before


def contents(value: Any, depth: int = 6) -> Any:
    """Return everything inside a route, to be compared by identity."""
    # A foreign app may do to itself what it likes.
    if not depth or not hasattr(value, "__dict__") or isinstance(value, Starlette):
        return id(value) if hasattr(value, "__dict__") else repr(value)
    inner = {key: contents(one, depth - 1) for key, one in vars(value).items()}
    listed = [contents(one, depth - 1) for one in vars(value).get("routes", ())]
    return {"": id(value), **inner, "routes": listed}


def opaque(app: ASGIApp) -> ASGIApp:
    """Wrap as a closure does: nobody can see what is inside."""

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return inner


def test_middleware_that_hides_a_mounted_app_is_refused_and_other_is_not() -> None:
    with client_of(
        Mount("/app", foreign(), middleware=[Middleware(opaque)]),
        Mount("/routes", routes=[Route("/", states)], middleware=[Middleware(opaque)]),
    ) as client:
        assert client.get("/app/n").json()["state"] == {"foreign": True}
        assert client.get("/routes/").json() == ["fps"]
    hidden_app = foreign()
    hidden = Mount("/a", routes=[mount("/b", hidden_app)], middleware=[Middleware(opaque)])
    with pytest.raises(PluginError, match='plugin "p": the middleware at /a hides what is'):
        app_of(Mount("/b", hidden_app), hidden)


def strays() -> list[BaseRoute]:
    """Return mounted apps that have a `mount()` where nobody would run it."""

    class Own(Router):
        pass

    stray = mount("/in", foreign())
    wrapped = GZipMiddleware(Starlette(routes=[stray]))
    return [
        Mount("/x", Starlette(routes=[stray])),
        Mount("/x", wrapped),
        mount("/x", wrapped),
        Mount("/x", Own([Mount("/deep", routes=[Host("a", Router([stray]))])])),
        Mount("/x", stray),
        Mount("", routes=[Mount("/x", Starlette(routes=[stray]))]),
    ]


@pytest.mark.parametrize("number", range(len(strays())))
def test_mount_among_a_foreign_apps_own_routes_is_refused(number: int) -> None:
    said = 'plugin "p": the app mounted at /x has a mount() among its own routes, at /in: nobody'
    with pytest.raises(PluginError, match=f"^{re.escape(said)}"):
        app_of(strays()[number])


def test_wsgi_app_in_a_plain_mount_is_refused() -> None:
    said = r'plugin "p": what is mounted at /x, a "function", is a WSGI app: use fps_lite\.mount'
    app: Any = wsgi
    with pytest.raises(PluginError, match=f"^{said}"):
        app_of(Mount("/x", app))


def test_mount_that_a_factory_hides_says_what_is_wrong() -> None:
    made = Starlette(routes=[mount("/in", foreign())])
    with client_of(mount("/x", factory=lambda _: made)) as client:
        answer = client.get("/x/in/n")
    assert answer.status_code == 503
    assert "must be among the routes that a plugin's hook returns" in answer.text


def test_composed_app_may_be_mounted_with_its_own_mounts() -> None:
    inner = app_of(mount("/in", foreign()))
    with client_of(mount("/x", inner)) as client:
        assert client.get("/x/in/n").json()["state"]["foreign"] is True


def test_app_that_contains_itself_is_no_endless_search() -> None:
    app = Starlette()
    app.routes.append(Mount("/again", app))
    with client_of(Mount("/x", app)) as client:
        assert client.get("/x/again/n").status_code == 404


def test_two_compositions_of_one_plugin_share_nothing() -> None:
    entered: ENTERED = []
    routes = [mount("/made", factory=lambda prefix: foreign(prefix, entered))]
    first, second = (client_of(*routes, fps={"root_path": root}) for root in ("/1", "/2"))
    with first:
        assert first.get("/made/n").json()["state"] == {"/1/made": True}
        with second:
            assert second.get("/made/n").json()["state"] == {"/2/made": True}
        assert second.get("/made/n").status_code == 503
        assert first.get("/made/n").json()["state"] == {"/1/made": True}
    assert entered == ["/1/made", "/2/made"]


def test_apps_inside_a_mounted_app_are_left_to_it() -> None:
    entered: ENTERED = []
    outer = Starlette(routes=[Mount("/inner", foreign("inner", entered))])
    with client_of(Mount("/outer", outer), mount("/again", Mount("", outer))) as client:
        assert client.get("/outer/inner/n").json()["state"] == {}
    assert entered == []


def test_app_that_two_plugins_mount_outlives_one_of_them() -> None:
    entered: ENTERED = []
    app = foreign(entered=entered)

    class Broken(Plugin):
        @hookimpl
        async def lifespan(self) -> AsyncIterator[None]:
            if self.given:
                raise ValueError("broken")
            yield

    plugins = {"a": Broken(mount("/a", app)), "b": Plugin(mount("/b", app))}
    composed = create_app({"a": {"on_failure": "isolate"}}, plugins=plugins)
    with TestClient(composed) as client:
        assert client.get("/a/n").status_code == 503
        assert client.get("/b/n").json()["state"] == {"foreign": True}
    assert entered == ["foreign"]


def test_app_of_a_plugin_that_is_down_is_not_started() -> None:
    entered: ENTERED = []

    class Broken(Plugin):
        @hookimpl
        async def lifespan(self) -> AsyncIterator[None]:
            if self.given:
                raise ValueError("broken")
            yield

    plugins = {"p": Broken(mount("/a", foreign(entered=entered)))}
    with TestClient(create_app({"p": {"on_failure": "isolate"}}, plugins=plugins)) as client:
        assert client.get("/a").status_code == 503
    assert entered == []


def test_two_apps_at_one_path_of_one_plugin_both_live_and_the_first_answers() -> None:
    with client_of(mount("/x", foreign("first")), Mount("/x", foreign("second"))) as client:
        assert client.get("/x/n").json()["state"] == {"first": True}


# The prefix.


def shown(client: TestClient, path: str) -> Any:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    "path, asgi, stripped",
    [
        ("/x", "/x/", "/"),
        ("/x/", "/x/", "/"),
        ("/x/n", "/x/n", "/n"),
        ("/x/n%2Fm%20o", None, None),
        ("/x/%C3%A9", "/x/é", "/é"),
    ],
)
def test_app_is_shown_the_asgi_path_or_the_stripped_one(
    path: str, asgi: str | None, stripped: str | None
) -> None:
    async def raw(scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse([scope["path"], scope["root_path"], scope["raw_path"].decode()])(
            scope, receive, send
        )

    with client_of(mount("/x", raw), mount("/s/x", raw, strip_prefix=True)) as client:
        with_slash = path + "/" if path == "/x" else path
        expected = asgi or "/x/n/m o"
        assert shown(client, path) == [expected, "/x", with_slash]
        expected = stripped or "/n/m o"
        assert shown(client, "/s" + path) == [expected, "/s/x", with_slash[2:]]


@pytest.mark.parametrize("prefix", ["/é", "/a b", "/~u", "/a/b", "/ü/%"])
def test_prefix_may_hold_any_character(prefix: str) -> None:
    async def raw(scope: Scope, receive: Receive, send: Send) -> None:
        both = [scope["path"], scope["raw_path"].decode("ascii")]
        await JSONResponse(both)(scope, receive, send)

    routes = [mount(prefix, raw), mount("/s" + prefix, raw, strip_prefix=True)]
    encoded = quote(prefix)
    # A client may encode what need not be, in letters of any size.
    for written in {encoded, encoded.replace("~", "%7e").replace("%C3", "%c3")}:
        with client_of(*routes) as client:
            assert shown(client, f"{written}/n%20m") == [f"{prefix}/n m", f"{written}/n%20m"]
            assert shown(client, f"/s{written}/n%20m") == ["/n m", "/n%20m"]
            moved = client.get(written, headers={"accept": "text/html"})
            assert (moved.status_code, moved.headers["location"]) == (307, f"{encoded}/")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/json",
        "text/event-stream",
        "",
        "text/html;q=0",
        "application/json, TEXT/HTML ; Q=0.000",
        "text/html-not",
        "text/*",
    ],
)
def test_bare_path_is_answered_without_a_redirect(method: str, accept: str) -> None:
    with client_of(mount("/x", foreign()), Route("/", states)) as client:
        answer = client.request(method, "/x?a=1", headers={"accept": accept})
    assert answer.status_code == 200
    assert "location" not in answer.headers


@pytest.mark.parametrize("method, code", [("GET", 307), ("HEAD", 307), ("POST", 200)])
def test_bare_path_leads_who_reads_html_to_the_slash(method: str, code: int) -> None:
    headers = {"accept": "text/html,application/xhtml+xml", "host": "evil.example"}
    with client_of(mount("/x", foreign()), p={"prefix": "/pre"}) as client:
        answer = client.request(method, "/pre/x?a=1&b=%20%2F", headers=headers)
        assert answer.status_code == code
        if code == 307:
            assert answer.headers["location"] == "/pre/x/?a=1&b=%20%2F"
        assert client.request(method, "/pre/x/?a=1", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "accept",
    ["TEXT/HTML", "application/json, Text/Html;level=1;q=0.1", "text/html;q=0, text/html;q=1"],
)
def test_html_is_asked_for_in_letters_of_any_size_and_with_any_weight(accept: str) -> None:
    with client_of(mount("/x", foreign())) as client:
        assert client.get("/x", headers={"accept": accept}).status_code == 307
        headers = [("accept", "application/json"), ("accept", accept)]
        assert client.get("/x", headers=headers).status_code == 307


def test_redirect_never_leads_to_another_host() -> None:
    with client_of(mount("/{rest:path}/x", foreign())) as client:
        answer = client.get("http://host//evil.example/x", headers={"accept": "text/html"})
    assert answer.headers["location"] == "/evil.example/x/"


def leading_back(location: str) -> ASGIApp:
    """Return an app that leads from the path with a slash to `location`, `{}` being its root."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/"):
            value = location.replace("{}", scope["root_path"]).encode()
            # As Datasette writes it.
            headers = [(b"Location", value)]
            await send({"type": "http.response.start", "status": 302, "headers": headers})
            await send({"type": "http.response.body"})
            return
        await PlainTextResponse(scope["path"])(scope, receive, send)

    return app


@pytest.mark.parametrize(
    "location, accept",
    [
        ("{}?a=1", "text/html"),
        ("{}?a=1", "*/*"),
        ("http://host{}?a=1", "text/html"),
        ("http://host{}?a=1", "*/*"),
        ("../x?a=1", "text/html"),
    ],
)
@pytest.mark.parametrize("isolated", [False, True])
def test_app_that_leads_back_to_the_bare_path_is_asked_for_that(
    location: str, accept: str, *, isolated: bool
) -> None:
    routes = [mount("/x", leading_back(location), lifespan=False)]
    config = {"on_failure": "isolate"} if isolated else {}
    with client_of(*routes, p={"prefix": "/pre", **config}) as client:
        for path in ("/pre/x?a=1", "/pre/x/?a=1"):
            answer = client.get(path, headers={"accept": accept}, follow_redirects=True)
            assert (answer.status_code, answer.text) == (200, "/pre/x")
            assert len(answer.history) <= 2


@pytest.mark.parametrize(
    "location, method",
    [
        ("{}?a=1", "POST"),
        ("{}", "GET"),
        ("{}?a=2", "GET"),
        ("{}/login?a=1", "GET"),
        ("http://other{}?a=1", "GET"),
        ("http://[", "GET"),
    ],
)
def test_app_that_leads_elsewhere_goes_on_with_the_slash(location: str, method: str) -> None:
    with client_of(mount("/x", leading_back(location), lifespan=False)) as client:
        assert client.request(method, "/x/?a=1").status_code == 302
        assert client.get("/x?a=1", headers={"accept": "text/html"}).status_code == 307
        assert client.get("/x?a=1").status_code == 302


def test_neighbours_of_a_mount_are_not_its() -> None:
    with client_of(mount("/lab", foreign()), Route("/labels", states)) as client:
        assert client.get("/labels").json() == ["fps"]
        assert client.get("/labs").status_code == 404
        assert client.get("/").status_code == 404


def test_bare_path_with_a_parameter_is_the_apps_too() -> None:
    with client_of(mount("/t/{tenant}", foreign())) as client:
        assert shown(client, "/t/5")["path_params"] == {"tenant": "5"}
        assert shown(client, "/t/5/n")["path_params"] == {"tenant": "5", "name": "n"}
        assert shown(client, "/t/5/n")["root_path"] == "/t/5"


def test_prefix_is_told_to_the_plugin_and_to_the_factory_with_the_root_path() -> None:
    told: list[str] = []

    class Told:
        @hookimpl
        def routes(self, context: Any) -> list[BaseRoute]:
            told.append(context.prefix)
            return [mount("/x", factory=make)]

    def make(prefix: str) -> Starlette:
        told.append(prefix)
        return foreign()

    config = {"fps": {"root_path": "/root"}, "p": {"prefix": "/pre"}}
    with TestClient(create_app(config, plugins={"p": Told()})):
        assert told == ["/root/pre", "/root/pre/x"]


# Names, routes and what is seen outside.


def test_url_for_works_inside_and_into_a_mounted_app() -> None:
    async def outside(request: Request) -> Response:
        names = [("m:seen", "n"), ("made:seen", "o")]
        return JSONResponse([str(request.url_for(name, name=one).path) for name, one in names])

    routes: list[BaseRoute] = [
        mount("/m", foreign(), name="m"),
        mount("/made", factory=lambda _: foreign(), name="made"),
        Route("/outside", outside),
    ]
    with TestClient(app_of(*routes, p={"prefix": "/p"}), "http://host", root_path="/r") as client:
        assert client.get("/r/p/m/n").json()["url_for"] == "http://host/r/p/m/n"
        assert client.get("/r/p/made/n").json()["url_for"] == "http://host/r/p/made/n"
        assert client.get("/r/p/outside").json() == ["/r/p/m/n", "/r/p/made/o"]


def test_outer_middleware_sees_the_inner_route() -> None:
    labels: list[tuple[str, str, dict[str, Any]]] = []

    class Label:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app(scope, receive, send)
            if scope["type"] == "http":
                name = scope["endpoint"].__name__
                labels.append((scope["route"].path, name, scope["path_params"]))

    plugin = Plugin(mount("/x", foreign()), middleware=(Middleware(Label),))
    with TestClient(create_app({}, plugins={"p": plugin})) as client:
        client.get("/x/n")
    assert labels == [("/{name}", "seen", {"name": "n"})]


def test_error_of_a_mounted_app_reaches_the_outer_handlers() -> None:
    async def broken(_: Scope, __: Receive, ___: Send) -> None:
        raise ValueError("broken")

    async def handled(_: Request, error: Exception) -> Response:
        return PlainTextResponse(f"handled {error}", 500)

    class Handler(Plugin):
        @hookimpl
        def exception_handlers(self) -> dict[Any, Any]:
            return {ValueError: handled}

    routes = [mount("/x", broken, lifespan=False)]
    with TestClient(create_app({}, plugins={"p": Handler(*routes)})) as client:
        assert client.get("/x").text == "handled broken"


# Websockets.


@pytest.mark.parametrize("path", ["/x", "/x/", "/x/n"])
@pytest.mark.parametrize("stripped", [False, True])
def test_websocket_is_the_apps_on_the_bare_path_and_below(path: str, *, stripped: bool) -> None:
    with client_of(mount("/x", foreign(), strip_prefix=stripped)) as client:
        view = "/x/" if path == "/x" else path
        headers = {"accept": "text/html"}
        with client.websocket_connect(path, headers=headers) as websocket:
            assert websocket.receive_text() == (view[2:] if stripped else view)


async def answers_everything(scope: Scope, _: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise TypeError
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b"teapot"})


@pytest.mark.parametrize("kind", [mount, Mount])
def test_http_answer_to_a_websocket_becomes_a_denial(kind: Callable[..., BaseRoute]) -> None:
    with (
        client_of(kind("/x", answers_everything)) as client,
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect("/x/n"),
    ):
        pass
    assert (denied.value.status_code, denied.value.text) == (418, "teapot")


@pytest.mark.parametrize("kind", [mount, Mount])
def test_http_answer_to_a_websocket_closes_it_where_the_server_cannot_deny(
    kind: Callable[..., BaseRoute],
) -> None:
    app = app_of(kind("/x", answers_everything))

    async def without_extensions(scope: Scope, receive: Receive, send: Send) -> None:
        scope.pop("extensions", None)
        await app(scope, receive, send)

    with (
        TestClient(without_extensions) as client,
        pytest.raises(WebSocketDisconnect) as closed,
        client.websocket_connect("/x/n"),
    ):
        pass
    assert closed.value.code == 1008


async def knows_http_alone(scope: Scope, _: Receive, __: Send) -> None:
    assert scope["type"] == "http"


async def ignores_all_but_http(_: Scope, __: Receive, ___: Send) -> None: ...


async def raises_when_connected(_: Scope, receive: Receive, __: Send) -> None:
    await receive()
    raise ValueError("broken")


@pytest.mark.parametrize("kind", [mount, Mount])
@pytest.mark.parametrize(
    "app, why",
    [
        (knows_http_alone, r"AssertionError.* \(.*test_mounting\.py:\d+\)"),
        (ignores_all_but_http, "it did nothing"),
    ],
)
def test_websocket_to_an_app_that_knows_none_is_refused_in_one_line(
    kind: Callable[..., BaseRoute],
    app: ASGIApp,
    why: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        client_of(kind("/x", app)) as client,
        pytest.raises(WebSocketDisconnect) as closed,
        client.websocket_connect("/x/n"),
    ):
        pass
    assert (type(closed.value), closed.value.code) == (WebSocketDisconnect, 1008)
    (line,) = caplog.messages
    assert re.fullmatch(f"the app mounted at /x does not answer websockets: {why}", line)


def test_error_of_an_app_that_answers_websockets_is_an_error() -> None:
    async def broken(_: WebSocket) -> None:
        raise ValueError("broken")

    routed = Starlette(routes=[WebSocketRoute("/n", broken)])
    with client_of(
        mount("/x", raises_when_connected, lifespan=False), mount("/y", routed)
    ) as client:
        for path in ("/x/n", "/y/n"):
            with (
                pytest.raises(ValueError, match="broken"),
                client.websocket_connect(path),
            ):
                pass


def test_websocket_to_an_app_that_is_down_is_closed() -> None:
    def broken(_: str) -> ASGIApp:
        raise ValueError("no app today")

    routes = [mount("/x", factory=broken)]
    with (
        client_of(*routes, p={"on_failure": "isolate"}) as client,
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect("/x"),
    ):
        pass
    assert denied.value.status_code == 503


# Factories and names.


class Made:
    """An ASGI app that is made of its prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await PlainTextResponse(self.prefix)(scope, receive, send)


class Unprefixed(Made):
    def __init__(self) -> None:
        super().__init__("unprefixed")


def made(prefix: str) -> Made:
    return Made(prefix)


async def made_later(prefix: str) -> Made:
    await asyncio.sleep(0)
    return Made(prefix)


@asynccontextmanager
async def kept(prefix: str) -> AsyncIterator[Made]:
    OPEN.append(prefix)
    yield Made(prefix)
    OPEN.remove(prefix)


OPEN: list[str] = []


@pytest.mark.parametrize(
    "factory, answer",
    [
        (made, "/r/x"),
        (made_later, "/r/x"),
        (kept, "/r/x"),
        (Made, "/r/x"),
        (f"{__name__}:made", "/r/x"),
        (Unprefixed, "unprefixed"),
    ],
)
def test_factory_is_called_at_start_with_the_public_prefix(factory: Any, answer: str) -> None:
    with client_of(mount("/x", factory=factory), fps={"root_path": "/r"}) as client:
        assert client.get("/x").text == answer
        assert len(OPEN) == (factory is kept)
    assert not OPEN


def test_factory_runs_in_the_task_of_its_apps_lifespan() -> None:
    tasks: list[object] = []

    @asynccontextmanager
    async def factory(_: str) -> AsyncIterator[Made]:
        tasks.append(asyncio.current_task())
        async with asyncio.TaskGroup():
            yield Made("")
        tasks.append(asyncio.current_task())

    with client_of(mount("/x", factory=factory)):
        pass
    assert tasks[0] is tasks[1]


def gives_nothing(_: str) -> None:
    return None


def raises(_: str) -> None:
    raise ValueError("no app today")


@pytest.mark.parametrize(
    "factory, problem",
    [
        (gives_nothing, 'what its factory gave, a "NoneType", is no app'),
        (raises, "ValueError: no app today"),
    ],
)
def test_factory_that_gives_no_app_fails_the_start_in_one_line(factory: Any, problem: str) -> None:
    async def start() -> None:
        app = app_of(mount("/x", factory=factory))
        async with app.router.lifespan_context(app):
            pass

    with pytest.raises(StartupError) as refused:
        asyncio.run(start())
    said = str(refused.value).partition(f" ({__file__}")[0]
    assert said == f'the app mounted at /x of plugin "p" did not start: {problem}'


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("content-type", "text/plain")])
    body = environ["wsgi.input"].read()
    return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}|".encode("latin-1"), body]


def takes_four(_: int, __: int, ___: int, ____: int) -> None: ...


NO_APPS: list[tuple[dict[str, Any], str]] = [
    ({"app": {}}, 'what mount("/x") got, a "dict", is no app'),
    ({"app": wsgi}, 'what mount("/x") got, a "function", is a WSGI app: mount it with wsgi=True'),
    ({"app": f"{__name__}:wsgi"}, f'"{__name__}:wsgi" is a WSGI app: mount it with wsgi=True'),
    (
        {"app": Made(""), "wsgi": True},
        'what mount("/x") got, a "Made", is an ASGI app: leave wsgi out',
    ),
    (
        {"app": made},
        'what mount("/x") got, a "function", is no app: if calling it makes one, it is a factory',
    ),
    (
        {"app": Unprefixed},
        (
            'what mount("/x") got, a "type", is a class and no app: '
            "if calling it makes one, it is a factory"
        ),
    ),
    (
        {"app": "starlette.applications:Starlette"},
        (
            '"starlette.applications:Starlette" is a class and no app: '
            "if calling it makes one, it is a factory"
        ),
    ),
    (  # its arguments are three, too
        {"app": "starlette.routing:Router"},
        (
            '"starlette.routing:Router" is a class and no app: '
            "if calling it makes one, it is a factory"
        ),
    ),
    ({"app": f"{__name__}:OPEN"}, f'"{__name__}:OPEN" of type "list" is no app'),
    ({"app": "nothing"}, 'expected "module:object", got "nothing"'),
    ({"app": f"{__name__}:nothing"}, f'"{__name__}" has no "nothing"'),
    ({"factory": f"{__name__}:OPEN"}, f'"{__name__}:OPEN" is no factory: it cannot be called'),
    (
        {"factory": Made("")},
        'what mount("/x") got, a "Made", is no factory: it is an app, leave factory out',
    ),
    (
        {"factory": wsgi, "wsgi": True},
        'what mount("/x") got, a "function", is no factory: it is an app, leave factory out',
    ),
    (
        {"factory": f"{__name__}:takes_four"},
        f'"{__name__}:takes_four" is no factory: it is called with the prefix alone',
    ),
]


@pytest.mark.parametrize("kind", [Starlette, Router])
def test_class_in_a_plain_mount_is_refused_in_one_line(kind: Any) -> None:
    said = f'^plugin "p": what is mounted at /x, {kind.__name__}, is a class and no app$'
    with pytest.raises(PluginError, match=said):
        app_of(Mount("/x", kind))


def test_class_that_answers_each_request_by_itself_is_an_app() -> None:
    class Page(HTTPEndpoint):
        async def get(self, _: Request) -> Response:
            return PlainTextResponse("page")

    class Sheet:
        def __init__(self, _: dict[str, Any], start_response: Callable[..., Any]) -> None:
            start_response("200 OK", [])

        def __iter__(self) -> Iterator[bytes]:
            yield b"sheet"

    routes = [mount("/page", Page), Mount("/plain", Page), mount("/sheet", Sheet, wsgi=True)]
    with client_of(*routes) as client:
        assert [client.get(path).text for path in ("/page", "/plain/", "/sheet")] == [
            "page",
            "page",
            "sheet",
        ]


@pytest.mark.parametrize("given, problem", NO_APPS)
def test_what_is_no_app_is_refused_in_one_line(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(PluginError) as refused:
        mount("/x", **given)
    assert str(refused.value) == problem


def test_error_of_mount_in_a_hook_says_which_call_it_is_about() -> None:
    class Wrong:
        @hookimpl
        def routes(self) -> list[BaseRoute]:
            return [mount("/x", wsgi)]

    line = Wrong.routes.__code__.co_firstlineno + 2
    with pytest.raises(PluginError, match=rf"with wsgi=True \({re.escape(__file__)}:{line}\)$"):
        create_app({}, plugins={"p": Wrong()})


WRONG_PATHS = {
    "x": 'expected a path like "/x", or "" for the root, got "x"',
    "/é%C3%A9": 'requests are matched as they are decoded: write "/éé", not "/é%C3%A9"',
    "/a%20b": ('requests are matched as they are decoded: choose one without "%20", not "/a%20b"'),
    "/x?a=1": 'a path ends before "?": write "/x", not "/x?a=1"',
    "/x#y": 'a path ends before "#": write "/x", not "/x#y"',
    "/a/../b": 'clients ask for the simple path: write "/b", not "/a/../b"',
    "/./b": 'clients ask for the simple path: write "/b", not "/./b"',
}


@pytest.mark.parametrize("path", [*WRONG_PATHS, "/a//b"])
def test_path_that_no_request_has_is_refused_with_what_to_write(path: str) -> None:
    with pytest.raises(PluginError) as refused:
        mount(path, Made(""))
    simple = 'clients ask for the simple path: write "/a/b", not "/a//b"'
    assert str(refused.value) == f"mount: {WRONG_PATHS.get(path, simple)}"


@pytest.mark.parametrize("path", ["/a.b", "/.well-known", "/..x", "/100%", "/x/", ""])
def test_path_that_requests_may_have_is_taken(path: str) -> None:
    assert mount(path, Made("")).path == path.rstrip("/")


@pytest.mark.usefixtures("tools")
def test_path_that_no_request_has_is_refused_in_the_file(cli: Cli, work: Path) -> None:
    paths = [path for path in WRONG_PATHS if path != "x"]
    tables = [f'[[fps.mounts]]\npath = "{path}"\napp = "tools:app"\n' for path in paths]
    (work / "fps.toml").write_text("".join(tables))
    found = cli("check")
    assert sorted(found.stderr.splitlines()) == sorted(
        [f"{len(paths)} problems"]
        + [
            f"fps.toml:{3 * index + 2}:8: fps.mounts[{index}].path: {WRONG_PATHS[path]}"
            for index, path in enumerate(paths)
        ]
    )
    assert found.returncode == 3


def test_mount_takes_an_app_or_a_factory() -> None:
    with pytest.raises(TypeError, match="an app or a factory"):
        mount("/x")
    with pytest.raises(TypeError, match="an app or a factory"):
        mount("/x", Made(""), factory=made)


# WSGI.


def test_wsgi_app_knows_its_prefix_and_reads_its_body() -> None:
    with client_of(mount("/é", wsgi, wsgi=True), fps={"root_path": "/r"}) as client:
        assert client.post("/é/n", content=b"body").content == "/é|/n|body".encode()
        assert client.post("/é", content=b"").content == "/é|/|".encode()
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/é"):
            pass


def test_threads_of_a_wsgi_app_end_with_it() -> None:
    import threading

    before = set(threading.enumerate())
    with client_of(mount("/x", wsgi, wsgi=True)) as client:
        client.get("/x")
        threads = [one for one in set(threading.enumerate()) - before if "WSGI" in one.name]
        assert threads
    for one in threads:
        one.join(5)
    assert not any(one.is_alive() for one in threads)


def test_missing_extra_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "a2wsgi", None)
    with pytest.raises(PluginError) as refused:
        mount("/x", wsgi, wsgi=True)
    assert str(refused.value) == 'a WSGI app needs a2wsgi: pip install "fps-lite[wsgi]"'


# Configuration alone.


@pytest.fixture
def tools(site: Site) -> None:
    site.module(
        "tools",
        """
        import fps_lite
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route

        def page(request):
            return PlainTextResponse(request.scope["path"] + " in " + request.scope["root_path"])

        app = Starlette(routes=[Route("/{rest:path}", page)])
        number = 5

        def make(prefix):
            return PlainTextResponse("made for " + prefix)

        def wsgi(environ, start_response):
            start_response("200 OK", [])
            return [environ["SCRIPT_NAME"].encode()]

        stray = Starlette(routes=[fps_lite.mount("/in", app)])
        """,
    )
    site.module("broken_tools", "import nowhere_to_be_found\napp = None\n")


MOUNTS = """
[fps]
root_path = "/r"

[[fps.mounts]]
path = "/tools"
app = "tools:app"

[[fps.mounts]]
path = "/tools/deep"
app = "tools:make"
factory = true
name = "deep"

[[fps.mounts]]
path = "/wsgi"
app = "tools:wsgi"
wsgi = true

[[fps.mounts]]
path = "/"
app = "tools:app"
strip_prefix = true
"""


@pytest.mark.usefixtures("tools")
def test_apps_are_mounted_from_configuration_alone(work: Path) -> None:
    (work / "fps.toml").write_text(MOUNTS)
    app = create_app(plugins={})
    with TestClient(app, root_path="/r") as client:
        assert client.get("/r/tools/n").text == "/r/tools/n in /r/tools"
        assert client.get("/r/tools/deep").text == "made for /r/tools/deep"
        assert client.get("/r/wsgi/").text == "/r/wsgi"
        assert client.get("/r/other").text == "/other in /r"


@pytest.mark.parametrize(
    "mounts, problem",
    [
        ('path = "/x"\napp = "nowhere:app"', "3:7: fps.mounts[0].app: cannot import nowhere:app"),
        ('path = "/x"\napp = "tools:none"', '3:7: fps.mounts[0].app: "tools" has no "none"'),
        ('path = "/x"\napp = "tools:number"', '3:7: fps.mounts[0].app: "tools:number" of type'),
        (
            'path = "/x"\napp = "tools:make"',
            (
                '3:7: fps.mounts[0].app: "tools:make" is no app: if calling it makes one, '
                "it is a factory (factory = true)"
            ),
        ),
        (
            'path = "/x"\napp = "tools:Starlette"',
            (
                '3:7: fps.mounts[0].app: "tools:Starlette" is a class and no app: '
                "if calling it makes one, it is a factory (factory = true)"
            ),
        ),
        (
            'path = "/x"\napp = "tools:wsgi"',
            '3:7: fps.mounts[0].app: "tools:wsgi" is a WSGI app: write wsgi',
        ),
        (
            'path = "/x"\napp = "broken_tools:app"',
            "3:7: fps.mounts[0].app: cannot import broken_tools:app: ModuleNotFoundError",
        ),
        ('path = "/x"\napp = "tools:app"\nfactry = true', "4:1: fps.mounts[0].factry: unknown key"),
        ('path = "x"\napp = "tools:app"', "2:8: fps.mounts[0].path: expected str"),
        ('path = "/a b"\napp = "tools:app"', 'path: expected str (like "/tools", without spaces'),
        (
            'path = "/x"\napp = "tools:stray"',
            "3:7: fps.mounts[0].app: the app mounted at /x has a mount() among its own routes",
        ),
        (
            'path = "/x"\napp = "tools:app"\n[[fps.mounts]]\npath = "/x/"\napp = "tools:app"',
            '5:8: fps.mounts[1].path: "/x" is mounted at fps.toml:2:8, too',
        ),
        (
            (
                'path = "/x"\napp = "tools:app"\nname = "t"\n'
                '[[fps.mounts]]\npath = "/y"\napp = "tools:app"\nname = "t"'
            ),
            '8:8: fps.mounts[1].name: "t" is the name of the mount at fps.toml:4:8, too',
        ),
    ],
)
@pytest.mark.usefixtures("tools")
def test_fault_in_configured_mounts_is_one_line_with_its_place(
    cli: Cli, work: Path, mounts: str, problem: str
) -> None:
    (work / "fps.toml").write_text(f"[[fps.mounts]]\n{mounts}\n")
    found = cli("check")
    lines = [line for line in found.stderr.splitlines() if line.startswith("fps.toml:")]
    assert len(lines) == 1, found.stderr
    assert problem in lines[0]
    assert found.returncode in (3, 4)


FAILING = """
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
import asyncio

def page(request):
    return PlainTextResponse("alive")

@asynccontextmanager
async def breaks(app):
    raise ValueError("no database")
    yield

@asynccontextmanager
async def crashes(app):
    async with asyncio.TaskGroup() as group:
        asked = asyncio.Event()
        group.create_task(crash(asked))
        yield {"asked": asked}

async def crash(asked):
    await asked.wait()
    raise ValueError("boom")

async def ask(request):
    request.state.asked.set()
    return PlainTextResponse("asked")

starts_not = Starlette(lifespan=breaks)
falls = Starlette(routes=[Route("/", ask)], lifespan=crashes)

def makes(prefix):
    raise ValueError("no app today")
"""
ISOLATED = """
[[fps.mounts]]
path = "/nowhere"
app = "nowhere:app"
on_failure = "isolate"

[[fps.mounts]]
path = "/number"
app = "tools:number"
on_failure = "isolate"

[[fps.mounts]]
path = "/starts_not"
app = "failing:starts_not"
on_failure = "isolate"

[[fps.mounts]]
path = "/makes"
app = "failing:makes"
factory = true
on_failure = "isolate"

[[fps.mounts]]
path = "/falls"
app = "failing:falls"
on_failure = "isolate"

[[fps.mounts]]
path = "/tools"
app = "tools:app"
"""


@pytest.mark.usefixtures("tools")
def test_configured_mount_that_may_fail_alone_answers_503_and_the_others_go_on(
    site: Site, work: Path, cli: Cli, serve: Callable[..., Any]
) -> None:
    site.module("failing", FAILING)
    (work / "fps.toml").write_text(ISOLATED)
    left_out = [
        (
            "warning: fps.toml:4:7: fps.mounts[0].app is left out: "
            "cannot import nowhere:app: ModuleNotFoundError: No module named 'nowhere'"
        ),
        (
            "warning: fps.toml:9:7: fps.mounts[1].app is left out: "
            '"tools:number" of type "int" is no app'
        ),
    ]
    found = cli("check")
    assert (found.returncode, sorted(found.stderr.splitlines())) == (0, sorted(left_out))
    server = serve()
    with httpx2.Client(base_url=server.url, timeout=20) as client:
        closed = ("/nowhere", "/number/n", "/starts_not", "/makes")
        assert [client.get(path).status_code for path in closed] == [503] * len(closed)
        assert client.get("/falls").text == "asked"
        while client.get("/falls").status_code != 503:
            pass
        assert client.get("/tools/n").text == "/tools/n in /tools"
    assert server.stop() == 0
    said = "\n".join(server.lines)
    assert [said.count(line) for line in left_out] == [1, 1]
    for what in (
        r"/starts_not \(fps.toml:\d+:7\) did not start: ValueError: no database",
        r"/makes \(fps.toml:\d+:7\) did not start: ValueError: no app today",
        r"/falls \(fps.toml:\d+:7\) crashed: ValueError: boom",
    ):
        assert len(re.findall(f"the app mounted at {what}", said)) == 1


@pytest.fixture(autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    yield
    assert not OPEN


def test_a_conflict_with_a_configured_mount_names_the_place_of_the_mount(
    site: Site, cli: Callable[..., Any], work: Path
) -> None:
    site.module("tools", "async def app(scope, receive, send): ...")
    (work / "fps.toml").write_text('[[fps.mounts]]\npath = "/hello"\napp = "tools:app"\n')
    found = cli("check")
    assert found.returncode == 4
    assert '/hello/ of "fps" (tools:app, fps.toml:3:7) claim the same requests' in found.stderr


def test_two_apps_at_one_path_of_one_plugin_are_told_of(site: Site, cli: Cli) -> None:
    source = """
        from fps_lite import hookimpl, mount

        async def app(scope, receive, send): ...

        async def other(scope, receive, send): ...

        @hookimpl
        def routes():
            return [mount("/x", app), mount("/x", other), mount("/y", app)]
        """
    site.plugin("twice", source)
    found = cli("check")
    assert found.returncode == 0
    (line,) = [line for line in found.stderr.splitlines() if "warning" in line]
    said = r'warning: plugin "twice" mounts two apps at /x/: .*\.app, .*:4 answers, not .*\.other, '
    assert re.match(said, line), line


@pytest.mark.usefixtures("tools")
def test_wsgi_app_named_on_the_command_line_is_served(serve: Callable[..., Any]) -> None:
    server = serve("tools:wsgi")
    assert httpx2.get(f"{server.url}/").status_code == 200


def test_a_file_in_place_of_a_module_is_told_what_to_write(cli: Callable[..., Any]) -> None:
    found = cli("serve", "apps.py:app")
    assert (found.returncode, found.stdout) == (4, "")
    assert found.stderr == (
        'MODULE:APP: apps.py:app: expected a module, not a file: write "apps:app"\n'
    )
