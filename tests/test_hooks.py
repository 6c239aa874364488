"""What a plugin is written with: the groups, `hookimpl`, the helpers and their values."""

from __future__ import annotations

import inspect
from contextlib import asynccontextmanager
from dataclasses import FrozenInstanceError
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import click
import pytest
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from fps_lite import PluginConfig, RedirectException, create_app, hookimpl, hookspecs
from fps_lite.hooks import (
    ALL_HOOKS,
    Dependencies,
    HookType,
    register_command,
    register_config,
    register_exception_handler,
    register_lifespan,
    register_middleware,
    register_plugin_name,
    register_routes,
)
from fps_lite.plugins.inspection import inspect_hooks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send


class Model(PluginConfig, frozen=True):
    greeting: str = "hello"


async def page(_: Request) -> Response:
    return PlainTextResponse("page")


def module(**attributes: object) -> ModuleType:
    made = ModuleType("made")
    vars(made).update(attributes)
    return made


def instance(**attributes: object) -> object:
    return SimpleNamespace(**attributes)


def class_(**attributes: object) -> type:
    return type("Made", (), attributes)


EVERYWHERE = pytest.mark.parametrize("kind", [module, instance, class_])


def test_each_group_collects_its_hooks() -> None:
    assert {kind.value: set(kind.collects) for kind in HookType} == {
        "fps_lite.plugins": set(ALL_HOOKS) - {"commands"},
        "fps_lite.config": {"config", "plugin_name", "dependencies"},
        "fps_lite.routes": {"routes", "middleware", "exception_handlers"},
        "fps_lite.lifespan": {"lifespan"},
        "fps_lite.cli": {"commands", "cli_setup"},
    }


def test_the_hooks_are_those_of_the_manual() -> None:
    offered = {
        name: list(inspect.signature(function).parameters)
        for name, function in vars(hookspecs).items()
        if hasattr(function, "fps_lite_spec")
    }
    assert offered == {
        "plugin_name": [],
        "config": [],
        "dependencies": ["config"],
        "routes": ["config", "context"],
        "middleware": ["config", "context"],
        "exception_handlers": ["config", "context"],
        "lifespan": ["config", "context", "state"],
        "commands": [],
        "cli_setup": ["config", "context"],
    }
    assert offered.keys() == ALL_HOOKS


@EVERYWHERE
def test_several_helpers_of_a_kind_count_in_the_order_written(kind: Callable[..., Any]) -> None:
    names = ["z", "b", "m", "a"]
    plugin = kind(**{name: register_routes([Route(f"/{name}", page)]) for name in names})
    app = create_app({}, plugins={"made": plugin})
    assert [getattr(route, "path", "") for route in app.routes] == ["/z", "/b", "/m", "/a"]


@EVERYWHERE
def test_a_helper_and_a_written_hook_count_in_the_order_written(kind: Callable[..., Any]) -> None:
    def routes(*_: object) -> list[Route]:
        raise AssertionError

    if kind is class_:

        def written(self: object) -> list[Route]:  # noqa: ARG001 - a method
            return [Route("/written", page)]
    else:

        def written() -> list[Route]:  # type: ignore[misc]
            return [Route("/written", page)]

    plugin = kind(
        first=register_routes([Route("/first", page)]),
        routes=hookimpl(written),
        last=register_routes([Route("/last", page)]),
    )
    app = create_app({}, plugins={"made": plugin})
    assert [getattr(one, "path", "") for one in app.routes] == ["/first", "/written", "/last"]


@EVERYWHERE
def test_helpers_need_not_have_the_name_of_their_hook(kind: Callable[..., Any]) -> None:
    made = kind(
        a=register_plugin_name("made"),
        b=register_config(Model),
        c=register_routes([]),
        d=register_middleware(GZipMiddleware),
        e=register_exception_handler(404, page),  # type: ignore[arg-type]
        f=register_lifespan(lambda: None),
        g=register_command(click.Command("hi")),
    )
    subject = made() if inspect.isclass(made) else made
    inspection = inspect_hooks(subject, ALL_HOOKS)
    assert inspection.problems == ()
    assert [hook.name for hook in inspection.hooks] == [
        "plugin_name",
        "config",
        "routes",
        "middleware",
        "exception_handlers",
        "lifespan",
        "commands",
    ]


def test_helpers_answer_what_they_were_given() -> None:
    command = click.Command("hi")
    assert register_plugin_name("hello")() == "hello"
    assert register_config(Model)() is Model
    assert register_exception_handler(404, page)() == {404: page}  # type: ignore[arg-type,comparison-overlap]
    assert register_command(command)() == [command]


def test_middleware_is_registered_as_values_or_as_a_class_with_its_arguments() -> None:
    by_class = register_middleware(GZipMiddleware, minimum_size=3)()
    assert [tuple(one) for one in by_class] == [(GZipMiddleware, (), {"minimum_size": 3})]
    values = [Middleware(GZipMiddleware), Middleware(GZipMiddleware, compresslevel=1)]
    assert register_middleware(*values)() == values


def test_registered_routes_are_copies_under_their_prefix() -> None:
    original = Route("/a", page, name="a")
    for _ in range(2):
        (moved,) = register_routes([original], prefix="/x")()
        assert isinstance(moved, Route)
        assert (moved.path, moved.name) == ("/x/a", "a")
    assert original.path == "/a"


@pytest.mark.parametrize("prefix", ["x", "/x/", "/", "x/"])
def test_a_prefix_that_makes_no_path_is_refused(prefix: str) -> None:
    plugin = module(a=register_routes([Route("/a", page)], prefix=prefix))
    with pytest.raises(Exception, match=r'plugin "made".*hook "routes".*like "/x"'):
        create_app({}, plugins={"made": plugin})


def test_a_registered_lifespan_takes_the_arguments_it_names() -> None:
    seen: dict[str, Any] = {}

    @asynccontextmanager
    async def lives(state: Any, context: Any) -> AsyncIterator[dict[str, str]]:
        seen.update(state=state, name=context.name)
        yield {"made": "there"}

    plugin = module(lives=lives, lifespan=register_lifespan(lives))
    app = create_app({}, plugins={"made": plugin})
    with TestClient(app):
        assert seen["name"] == "made"
        assert set(seen["state"]) == {"fps"}
    assert not hasattr(lives, "fps_lite_impl")


def test_one_factory_is_registered_in_two_places() -> None:
    started: list[str] = []

    async def lives(context: Any) -> AsyncIterator[None]:
        started.append(context.name)
        yield

    plugins = {name: module(a=register_lifespan(lives)) for name in ("one", "two")}
    with TestClient(create_app({}, plugins=plugins)):
        assert sorted(started) == ["one", "two"]


def test_several_lifespans_of_a_plugin_nest_in_the_order_written() -> None:
    diary: list[str] = []

    def lives(name: str) -> Callable[[], Any]:
        @asynccontextmanager
        async def life() -> AsyncIterator[dict[str, str]]:
            diary.append(f"+{name}")
            yield {"made": name} if name == "z" else {}
            diary.append(f"-{name}")

        return life

    plugin = module(z=register_lifespan(lives("z")), a=register_lifespan(lives("a")))
    app = create_app({}, plugins={"made": plugin})
    with TestClient(app):
        assert app.lifespans.state["made"] == "z"  # type: ignore[attr-defined]
    assert diary == ["+z", "+a", "-a", "-z"]


def test_hookimpl_marks_for_our_project_alone() -> None:
    @hookimpl
    def routes() -> None: ...

    assert hasattr(routes, "fps_lite_impl")
    assert hookimpl.project_name == "fps_lite"


def test_values_are_frozen() -> None:
    dependencies = Dependencies()
    assert vars(dependencies) == {"requires": (), "after": (), "before": (), "provides": ()}
    with pytest.raises(FrozenInstanceError):
        dependencies.requires = ("x",)  # type: ignore[misc]
    seen: list[Any] = []
    plugin = instance(middleware=hookimpl(lambda context: seen.extend([context])))
    create_app({}, plugins={"made": plugin})
    with pytest.raises(FrozenInstanceError):
        seen[0].name = "other"


@pytest.mark.parametrize(
    "url",
    [
        "/elsewhere",
        "elsewhere?a=1&b=%20x",
        "https://example.org:8443/a/b;c?q=%C3%BC+d#part",
        "//example.org/~user/(a)'!*",
        "?page=2",
        "/a%2Fb",
    ],
)
def test_a_redirect_answers_307_with_the_url_as_given(url: str) -> None:
    async def away(_: Request) -> Response:
        raise RedirectException(url)

    plugin = module(routes=register_routes([Route("/", away, methods=["GET", "POST"])]))
    with TestClient(create_app({}, plugins={"made": plugin}), follow_redirects=False) as client:
        for answer in (client.get("/"), client.post("/")):
            assert answer.status_code == 307
            assert answer.headers["location"] == url


@pytest.mark.parametrize(
    "url, sent",
    [
        ("/größe?q=ü", "/gr%C3%B6%C3%9Fe?q=%C3%BC"),
        ("/a\r\nSet-Cookie: b", "/a%0D%0ASet-Cookie:%20b"),
    ],
)
def test_a_redirect_to_what_no_header_can_hold_is_percent_encoded(url: str, sent: str) -> None:
    def away(_: Request) -> Response:
        raise RedirectException(url)

    plugin = module(routes=register_routes([Route("/", away)]))
    with TestClient(create_app({}, plugins={"made": plugin}), follow_redirects=False) as client:
        answer = client.get("/")
        assert (answer.status_code, answer.headers["location"]) == (307, sent)
        assert "set-cookie" not in answer.headers


def test_a_redirect_is_raised_in_a_prefixed_mount_too() -> None:
    async def away(_: Request) -> Response:
        raise RedirectException("/there")

    from starlette.routing import Mount

    plugin = module(routes=register_routes([Mount("/m", routes=[Route("/a", away)])]))
    app = create_app({"made": {"prefix": "/x"}}, plugins={"made": plugin})
    with TestClient(app, follow_redirects=False) as client:
        assert client.get("/x/m/a").headers["location"] == "/there"


def test_a_plugin_may_answer_redirects_its_own_way() -> None:
    async def away(_: Request) -> Response:
        raise RedirectException("/there")

    async def mine(_: Request, error: Exception) -> Response:
        assert isinstance(error, RedirectException)
        return PlainTextResponse(f"go to {error.url}")

    plugin = module(
        routes=register_routes([Route("/", away)]),
        handler=register_exception_handler(RedirectException, mine),
    )
    with TestClient(create_app({}, plugins={"made": plugin})) as client:
        assert client.get("/").text == "go to /there"


def test_registered_middleware_is_around_the_app() -> None:
    class Tagged:
        def __init__(self, app: ASGIApp, tag: str) -> None:
            self.app, self.tag = app, tag

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                scope.setdefault("tags", []).append(self.tag)
            await self.app(scope, receive, send)

    async def tags(request: Request) -> Response:
        return PlainTextResponse(" ".join(request.scope["tags"]))

    plugin = class_(
        z=register_middleware(Tagged, "first"),
        a=register_middleware(Middleware(Tagged, "second"), Middleware(Tagged, tag="third")),
        routes=register_routes([Route("/", tags)]),
    )
    with TestClient(create_app({}, plugins={"made": plugin})) as client:
        assert client.get("/").text == "first second third"
