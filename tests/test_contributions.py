"""Each plugin is asked alone, with its own config, and may know only what it is offered."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute

from fps_lite import (
    Context,
    Dependencies,
    PluginConfig,
    PluginError,
    Secret,
    create_app,
    hookimpl,
)
from fps_lite.config import from_mapping
from fps_lite.contributions import BETWEEN, INSIDE, OUTSIDE, Collected, collect
from fps_lite.plugins import from_objects, load
from fps_lite.settings import FPSConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send


class Greeting(PluginConfig, frozen=True):
    greeting: str = "hello"
    token: Secret | None = None


async def page(_: Request) -> Response:
    return PlainTextResponse("page")


class Passing:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def plugin(**marked: Callable[..., Any]) -> Any:
    return SimpleNamespace(**{name: hookimpl(function) for name, function in marked.items()})


def collected(plugins: Mapping[str, object], config: Mapping[str, Any] | None = None) -> Collected:
    merged = from_mapping(config or {}, directory=Path.cwd())
    return collect(load(merged, from_objects(plugins)))


def lines(subject: Collected) -> list[str]:
    return [problem for error in subject.errors for problem in error.problems]


def seen_by(remember: Callable[[Context], None]) -> Callable[[Context], None]:
    """Return a new function, as marking it changes it."""
    return lambda context: remember(context)  # noqa: PLW0108


def contexts(plugins: list[str], config: Mapping[str, Any] | None = None) -> dict[str, Context]:
    seen: dict[str, Context] = {}

    def remember(context: Context) -> None:
        seen[context.name] = context

    asked = {name: plugin(routes=seen_by(remember), config=lambda: Greeting) for name in plugins}
    assert lines(collected(asked, config)) == []
    return seen


def test_a_context_knows_its_plugin_and_the_cores_settings() -> None:
    config = {"fps": {"port": 9000, "root_path": "/outer"}, "a": {"prefix": "/x"}}
    context = contexts(["a"], config)["a"]
    assert (context.name, context.prefix) == ("a", "/outer/x")
    assert context.settings == FPSConfig(port=9000, root_path="/outer")
    assert isinstance(context.logger, logging.Logger)
    assert context.logger.name == "fps_lite.a"


@pytest.mark.parametrize("root, prefix, public", [("", "", ""), ("", "/x", "/x"), ("/r", "", "/r")])
def test_the_public_prefix_includes_the_outer_root_path(
    root: str, prefix: str, public: str
) -> None:
    config = {"fps": {"root_path": root}, "a": {"prefix": prefix}}
    assert contexts(["a"], config)["a"].prefix == public


def test_a_context_knows_where_its_own_values_are_written(tmp_path: Path) -> None:
    (tmp_path / "fps.toml").write_text('[a]\ngreeting = "hi"\n')
    seen: list[Context] = []
    own = plugin(routes=seen_by(seen.append), config=lambda: Greeting)
    create_app(plugins={"a": own}, directory=tmp_path)
    assert seen[0].where("greeting") == "fps.toml:2:12"
    assert seen[0].where("enabled") == "fps.toml:1:1"


def test_a_context_finds_the_config_of_another_plugin() -> None:
    found = contexts(["a", "b"], {"b": {"greeting": "hi"}})
    assert found["a"].config_of(Greeting, "b").greeting == "hi"
    with pytest.raises(PluginError, match="several"):
        found["a"].config_of(Greeting)
    with pytest.raises(PluginError, match="no enabled plugin"):
        found["a"].config_of(Greeting, "c")


def test_a_hook_may_ask_for_the_config_of_a_plugin_that_comes_later() -> None:
    seen: list[str] = []

    def routes(context: Context) -> None:
        seen.append(context.config_of(Greeting).greeting)

    asked = {"a": plugin(routes=routes), "z": plugin(config=lambda: Greeting)}
    assert lines(collected(asked)) == []
    assert seen == ["hello"]


def test_each_plugin_is_asked_with_its_own_config() -> None:
    seen: dict[str, str] = {}

    def asked(name: str) -> Any:
        def routes(config: Greeting) -> None:
            seen[name] = config.greeting

        return plugin(config=lambda: Greeting, routes=routes)

    collected({"a": asked("a"), "b": asked("b")}, {"a": {"greeting": "hi"}})
    assert seen == {"a": "hi", "b": "hello"}


def test_an_error_in_a_hook_is_its_plugins_alone() -> None:
    def broken() -> None:
        message = "of\nmine"
        raise ValueError(message)

    hooks = dict.fromkeys(("routes", "middleware", "exception_handlers"), broken)
    subject = collected({"a": plugin(**hooks), "b": plugin(routes=lambda: [Route("/", page)])})
    said = lines(subject)
    assert len(said) == 3
    for name, line in zip(hooks, said, strict=True):
        assert line.startswith(f'plugin "a": hook "{name}": ValueError: of mine (')
        assert "test_contributions.py:" in line
    assert [len(one.routes) for one in subject.contributions] == [0, 1]


def test_none_contributes_nothing() -> None:
    hooks = ("routes", "middleware", "exception_handlers", "config", "dependencies", "lifespan")
    subject = collected({"a": plugin(**{name: lambda: None for name in hooks})})
    assert lines(subject) == []
    (one,) = subject.contributions
    assert (one.routes, one.middleware, dict(one.handlers)) == ((), (), {})


@pytest.mark.parametrize(
    "hook, answer, said",
    [
        ("routes", Route("/", page), "not a list of routes"),
        ("routes", ["/"], "not a list of routes"),
        ("routes", {"/": page}, "not a list of routes"),
        ("middleware", Middleware(Passing), "not a list of Middleware"),
        ("middleware", [SimpleNamespace], "not a list of Middleware"),
        ("exception_handlers", [(404, page)], "not a mapping of exception class or status code"),
        ("exception_handlers", {"404": page}, "not a mapping of exception class or status code"),
        ("exception_handlers", {BaseException: page}, "not a mapping of exception class"),
        ("exception_handlers", {404: "page"}, "not a mapping of exception class"),
    ],
)
def test_a_wrong_answer_is_named(hook: str, answer: object, said: str) -> None:
    (line,) = lines(collected({"a": plugin(**{hook: lambda: answer})}))
    assert line.startswith(f'plugin "a": hook "{hook}" returned ')
    assert said in line


def test_a_secret_is_masked_in_what_a_plugin_says() -> None:
    def routes(config: Greeting) -> None:
        assert config.token is not None
        raise ValueError(config.token.reveal())

    asked = {"a": plugin(config=lambda: Greeting, routes=routes)}
    (line,) = lines(collected(asked, {"a": {"token": "hunter2"}}))
    assert "hunter2" not in line
    assert "ValueError: ***" in line
    assert collected({}, {"fps": {}}).masked("hunter2") == "hunter2"
    assert collected(asked, {"a": {"token": "hunter2"}}).masked("a hunter2") == "a ***"


def test_contributions_come_in_the_order_of_the_plugins() -> None:
    asked = {
        "a": plugin(dependencies=lambda: Dependencies(after=["c"])),
        "b": plugin(routes=lambda: None),
        "c": plugin(routes=lambda: None),
    }
    assert [one.name for one in collected(asked).contributions] == ["b", "c", "a"]


def test_middleware_knows_its_place() -> None:
    first = SimpleNamespace(middleware=hookimpl(lambda: [Middleware(Passing)], tryfirst=True))
    last = SimpleNamespace(middleware=hookimpl(lambda: [Middleware(Passing)], trylast=True))
    plain = plugin(middleware=lambda: [Middleware(Passing)])
    found = collected({"a": first, "b": last, "c": plain}).contributions
    assert [[place for place, _ in one.middleware] for one in found] == [
        [OUTSIDE],
        [INSIDE],
        [BETWEEN],
    ]


def test_two_handlers_for_one_exception_in_one_plugin_are_refused() -> None:
    from fps_lite.hooks import register_exception_handler

    twice = SimpleNamespace(
        a=register_exception_handler(404, page),  # type: ignore[arg-type]
        b=register_exception_handler(404, page),  # type: ignore[arg-type]
    )
    assert lines(collected({"p": twice})) == ['plugin "p": has two exception handlers for 404']


def test_the_prefix_is_put_on_copies() -> None:
    route = Route("/a", page)
    asked = {"a": plugin(routes=lambda: [route])}
    for prefix in ("/x", "", "/y"):
        (one,) = collected(asked, {"a": {"prefix": prefix}}).contributions
        assert [getattr(moved, "path", "") for moved in one.routes] == [prefix + "/a"]
        assert one.routes[0] is not route
    assert route.path == "/a"


ISOLATED = {"a": {"on_failure": "isolate"}}


def test_middleware_is_refused_of_a_plugin_that_may_fail_alone() -> None:
    asked = {"a": plugin(middleware=lambda: [Middleware(Passing)])}
    (line,) = lines(collected(asked, ISOLATED))
    assert line.startswith('plugin "a": has middleware')
    assert "on_failure must be fatal" in line
    assert lines(collected({"a": plugin(middleware=lambda: [*()])}, ISOLATED)) == []


def test_middleware_that_cannot_be_told_is_refused_too() -> None:
    said = lines(collected({"a": plugin(middleware=lambda: 1 / 0)}, ISOLATED))
    assert any("on_failure must be fatal" in line for line in said)


def test_a_plugin_that_may_fail_alone_fails_alone() -> None:
    subject = collected({"a": plugin(routes=lambda: 1 / 0)}, ISOLATED)
    assert lines(subject) == []
    (one,) = subject.contributions
    assert 'hook "routes": ZeroDivisionError' in one.plugin.failure


def test_middleware_whose_arguments_do_not_fit_is_named_before_anything_is_made() -> None:
    class Strict(Passing):
        def __init__(self, app: ASGIApp, realm: str) -> None:
            super().__init__(app)
            self.realm = realm

    (line,) = lines(collected({"a": plugin(middleware=lambda: [Middleware(Strict)])}))  # type: ignore[call-arg]
    said = "middleware Strict cannot be made: missing a required argument: 'realm'"
    assert line == f'plugin "a": {said}'
    fitting = plugin(middleware=lambda: [Middleware(Strict, realm="r")])
    assert lines(collected({"a": fitting})) == []


@pytest.mark.parametrize("kind", [Route, WebSocketRoute])
def test_an_endpoint_that_cannot_be_called_is_named(kind: Any) -> None:
    (line,) = lines(collected({"a": plugin(routes=lambda: [kind("/n", "page", name="n")])}))
    assert line == "plugin \"a\": route /n: its endpoint 'page' cannot be called"
