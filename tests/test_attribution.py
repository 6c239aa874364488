from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router
from starlette.testclient import TestClient

from fps_lite import create_app, hookimpl, mount
from fps_lite.attribution import Attribution

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import Receive, Scope, Send


async def hello(_request: Request) -> Response:
    return PlainTextResponse("hello")


class Plugin:
    """A plugin with the given routes."""

    def __init__(self, *routes: BaseRoute) -> None:
        self.given = routes

    @hookimpl
    def routes(self) -> list[BaseRoute]:
        return [*self.given]


class Told:
    """A host of the app, which keeps what is told of each request."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.told: list[tuple[str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)
        if scope["type"] == "http":
            self.told.append(self.app.attribution.of(scope))


def told(app: Any, *paths: str, **options: Any) -> list[tuple[str, str]]:
    host = Told(app)
    with TestClient(host, **options) as client:
        for path in paths:
            client.get(path)
    return host.told


shared = Route("/{name}", hello)


@pytest.mark.parametrize("root_path", ["", "/root"])
def test_route_is_told_by_its_plugin_and_its_whole_path(root_path: str) -> None:
    one = Plugin(
        Route("/", hello),
        Route("/a/{name:path}", hello),
        Mount("/in/{user}", routes=[Mount("/deep", routes=[Route("/{name}", hello)])]),
    )
    other = Plugin(
        Mount("/app", app=Starlette(routes=[Route("/{name}", hello)])),
        mount("/made", factory=lambda: Starlette(routes=[Route("/{name}", hello)])),
        Host("host.example", app=Router(routes=[Route("/hosted", hello)])),
    )
    plugins = {"one": one, "other": other}
    app = create_app({"other": {"prefix": "/x", "on_failure": "isolate"}}, plugins=plugins)
    found = told(
        app, "/", "/a/b/c", "/in/ann/deep/bob", "/x/app/bob", "/x/made/bob", root_path=root_path
    )
    assert found == [
        ("one", "/"),
        ("one", "/a/{name:path}"),
        ("one", "/in/{user}/deep/{name}"),
        ("other", "/x/app/{name}"),
        ("other", "/x/made/{name}"),
    ]


def test_what_nobody_knows_is_not_told() -> None:
    app = create_app({}, plugins={"one": Plugin(Route("/a", hello))})
    assert told(app, "/no/such") == [("", "")]
    late = Route("/late", hello)
    app.router.routes.append(late)
    assert told(app, "/a", "/late") == [("one", "/a"), ("", "/late")]


def test_one_route_in_two_mounts_has_the_path_of_the_request() -> None:
    inner = [shared]
    routes = Mount("/one", routes=inner), Mount("/{two}", routes=inner)
    app = Starlette(routes=[*routes])
    known = Attribution([("a", routes[0]), ("b", routes[1])])
    scopes: list[Scope] = []

    async def host(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        scopes.append(scope)

    client = TestClient(host)
    client.get("/one/x")
    client.get("/2/x")
    # Nor is it known whose it is, if it is that of two.
    assert [known.of(scope) for scope in scopes] == [("", "/one/{name}"), ("", "/2/{name}")]


def test_router_that_is_mounted_in_itself_has_an_end() -> None:
    router = Router()
    router.routes.append(Mount("/again", app=router))
    router.routes.append(shared)
    known = Attribution([("one", Mount("/x", app=router))])
    assert known.of({"route": shared, "root_path": "/x"}) == ("one", "/x/{name}")


async def changing(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that makes its routes anew for each request."""
    scope["route"] = Route("/made/{for_it}", hello)
    await PlainTextResponse("")(scope, receive, send)


def routes_of_changing() -> Iterator[BaseRoute]:
    yield mount("/a", changing)
    yield Mount("/b", app=changing)


def test_route_that_a_mounted_app_makes_meanwhile_is_told_by_where_it_is_mounted() -> None:
    app = create_app({}, plugins={"one": Plugin(*routes_of_changing())})
    assert told(app, "/a/x", "/b/x") == [("one", "/a/made/{for_it}"), ("one", "/b/made/{for_it}")]
