"""The router and the fast path answer as Starlette does; random trees and requests compare them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router
from starlette.testclient import TestClient

from fps_lite import create_app, hookimpl, mount
from fps_lite.routing import CompiledRouter, FastPath, fastpath, index, router, segments
from tests.routing_fuzz import fuzz

if TYPE_CHECKING:
    from types import ModuleType

    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import Receive, Scope, Send

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("seed", [1, SystemRandom().randrange(2, 10**6)], ids=["fixed", "random"])
def test_random_requests_are_answered_as_starlette_answers(seed: int) -> None:
    report = fuzz(seed, 8000)
    assert not report.differences, f"seed {seed}: {report.differences[0]}"
    assert report.requests >= 8000
    assert min(report.cases.values()) > 0


MUTANTS: dict[str, tuple[ModuleType, str, str]] = {
    "order": (index, "if len(found) > 1:", "if not found:"),
    "methods": (index, "if not entry.methods or method in entry.methods:", "if entry:"),
    "newline": (router, 'if "\\n" in path or segments.pop(0):', "if segments.pop(0):"),
    "digits of others": (segments, "segment.isascii() and segment.isdigit()", "segment.isdigit()"),
    "root path": (router, 'setdefault("app_root_path", root)', "update(app_root_path=root)"),
    "started": (fastpath, "        if started:\n            await send(_REMEMBERED)\n", ""),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mistake_in_the_router_is_found(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, right, wrong = MUTANTS[mutant]
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    assert source.count(right) >= 1
    broken: dict[str, Any] = {"__name__": module.__name__, "__package__": module.__package__}
    exec(compile(source.replace(right, wrong), str(module.__file__), "exec"), broken)
    for name, value in broken.items():
        current = getattr(module, name, None)
        if hasattr(current, "__code__"):
            monkeypatch.setattr(current, "__code__", value.__code__)
        elif isinstance(current, type) and current.__module__ == module.__name__:
            for method, function in vars(value).items():
                if hasattr(function, "__code__") and hasattr(vars(current)[method], "__code__"):
                    monkeypatch.setattr(vars(current)[method], "__code__", function.__code__)
    assert any(fuzz(seed, 8000, stop_at=1).differences for seed in range(1, 6))


async def page(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.scope["path"])


class Counted(Route):
    """A route that counts how often it is asked whether it matches."""

    asked = 0

    def matches(self, scope: Scope) -> Any:
        Counted.asked += 1
        return super().matches(scope)


def test_router_is_a_drop_in() -> None:
    app = Starlette()
    app.router = CompiledRouter([Route("/a/{n:int}", page), Mount("/m", routes=[Route("/", page)])])
    client = TestClient(app)
    answers = [client.get(path) for path in ("/a/5", "/a/x", "/m/", "/m", "/nowhere")]
    assert [(one.status_code, one.text) for one in answers] == [
        (200, "/a/5"),
        (404, "Not Found"),
        (200, "/m/"),
        (200, "/m/"),
        (404, "Not Found"),
    ]


def test_routes_that_cannot_match_are_not_asked() -> None:
    class Under(Counted):
        @property
        def only_under(self) -> str:
            return self.path

    Counted.asked = 0
    routes: list[BaseRoute] = [Under(f"/p{number}/x", page) for number in range(1000)]
    client = TestClient(Starlette())
    client.app.router = CompiledRouter(routes)  # type: ignore[attr-defined]
    assert client.get("/p500/x").text == "/p500/x"
    assert client.get("/nowhere").status_code == 404
    assert Counted.asked < 10


def plugin(*given: BaseRoute, middleware: list[Any] | None = None) -> Any:
    class Plugin:
        @hookimpl
        def routes(self) -> list[BaseRoute]:
            return list(given)

        @hookimpl
        def middleware(self) -> list[Any]:
            return middleware or []

    return Plugin()


async def foreign(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(f"{scope['path']} in {scope['root_path']}")(scope, receive, send)


@pytest.mark.parametrize("fast", [True, False])
def test_composed_app_has_the_router_and_the_fast_path_unless_it_is_off(fast: bool) -> None:  # noqa: FBT001
    routes = [Route("/a/{name}", page), mount("/x", foreign, lifespan=False)]
    app: Any = create_app({"fps": {"fast_path": fast}}, plugins={"p": plugin(*routes)})
    assert type(app.router) is CompiledRouter
    assert isinstance(app._answer, FastPath) is fast
    with TestClient(app) as client:
        assert client.get("/a/b").text == "/a/b"
        assert client.get("/x").text == "/x/ in /x"
        assert client.get("/x/y").text == "/x/y in /x"
        assert client.get("/nowhere").status_code == 404


def test_composed_app_hears_of_routes_that_come_later() -> None:
    app: Any = create_app({}, plugins={"p": plugin(Route("/a", page))})
    with TestClient(app) as client:
        assert client.get("/late").status_code == 404
        app.router.routes.append(Route("/late", page))
        assert client.get("/late").text == "/late"


def test_router_without_an_app_around_it_closes_unknown_websockets() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    for kind in (Router, CompiledRouter):
        scope = {"type": "websocket", "path": "/", "headers": []}
        asyncio.run(kind([Route("/", page)])(scope, receive, send))
    assert sent == ["websocket.close", "websocket.close"]
