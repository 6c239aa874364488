"""`create_app`: configuration and plugins become one Starlette app."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient

import fps_lite
from fps_lite import (
    ConfigError,
    Dependencies,
    FPSError,
    PluginConfig,
    PluginError,
    Secret,
    StartupError,
    create_app,
    hookimpl,
)
from fps_lite.hooks import register_config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from starlette.websockets import WebSocket

    from fps_lite import Context
    from tests.conftest import Site

SOON = 10.0


class Greeting(PluginConfig, frozen=True):
    greeting: str = "hello"
    token: Secret | None = None


def plugin(**marked: Callable[..., Any]) -> Any:
    return SimpleNamespace(**{name: hookimpl(function) for name, function in marked.items()})


def answering(text: str) -> Callable[[Request], Any]:
    async def page(_: Request) -> Response:
        return PlainTextResponse(text)

    return page


def greeting(path: str = "/") -> Any:
    """Return a plugin that answers its greeting."""

    def routes(config: Greeting) -> list[Route]:
        return [Route(path, answering(config.greeting))]

    return plugin(config=lambda: Greeting, routes=routes)


async def state_of(request: Request) -> Response:
    return PlainTextResponse(" ".join(sorted(request.scope["state"])))


# The forms


def test_a_mapping_is_the_only_layer_above_the_defaults(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / "fps.toml").write_text('[hello]\ngreeting = "file"\n')
    monkeypatch.setenv("FPS_LITE__HELLO__GREETING", "environment")
    for config, said in (({}, "hello"), ({"hello": {"greeting": "hi"}}, "hi")):
        with TestClient(create_app(config, plugins={"hello": greeting()})) as client:
            assert client.get("/").text == said


def test_none_reads_the_files_and_the_environment_of_a_directory(
    tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fps.toml").write_text('[hello]\ngreeting = "file"\n')
    (work / "fps.toml").write_text('[hello]\ngreeting = "here"\n')
    plugins = {"hello": greeting()}
    with TestClient(create_app(plugins=plugins)) as client:
        assert client.get("/").text == "here"
    with TestClient(create_app(plugins=plugins, directory=tmp_path)) as client:
        assert client.get("/").text == "file"
    monkeypatch.setenv("FPS_LITE__HELLO__GREETING", "environment")
    with TestClient(create_app(plugins=plugins, directory=str(tmp_path))) as client:
        assert client.get("/").text == "environment"
    assert Path.cwd() == work


def test_installed_plugins_are_there_unless_plugins_are_passed(site: Site) -> None:
    source = """
        from fps_lite.hooks import register_routes
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route

        async def page(request):
            return PlainTextResponse("installed")

        routes = register_routes([Route("/installed", page)])
    """
    site.plugin("installed_here", source)
    with TestClient(create_app({})) as client:
        assert client.get("/installed").text == "installed"
    with TestClient(create_app({}, plugins={"hello": greeting()})) as client:
        assert client.get("/installed").status_code == 404
    with pytest.raises(ConfigError, match="installed_here: unknown table"):
        create_app({"installed_here": {}}, plugins=[])


def module_form() -> object:
    made = ModuleType("package.fps_hello")
    vars(made).update(vars(greeting()))
    return made


class ClassForm:
    @hookimpl
    def plugin_name(self) -> str:
        return "hello"

    @hookimpl
    def config(self) -> type[PluginConfig]:
        return Greeting

    @hookimpl
    def routes(self, config: Greeting) -> list[Route]:
        return [Route("/", answering(config.greeting))]


@pytest.mark.parametrize("subject", [module_form(), ClassForm, ClassForm()])
@pytest.mark.parametrize(
    "wrap", [lambda one: [one], lambda one: (one,), lambda one: {"hello": one}]
)
def test_a_plugin_is_a_module_a_class_or_an_instance_in_a_mapping_or_a_list(
    subject: object, wrap: Callable[[object], Any]
) -> None:
    app = create_app({"hello": {"greeting": "hi", "prefix": "/x"}}, plugins=wrap(subject))
    assert isinstance(app, Starlette)
    with TestClient(app) as client:
        assert client.get("/x").text == client.get("/x/").text == "hi"


def test_without_plugins_there_is_an_app_that_answers_404() -> None:
    with TestClient(create_app({}, plugins=[])) as client:
        assert client.get("/").status_code == 404


def test_a_key_of_a_mapping_wins_over_the_name_that_a_plugin_gives_itself() -> None:
    app = create_app({"other": {"prefix": "/o"}}, plugins={"other": ClassForm})
    with TestClient(app) as client:
        assert client.get("/o").text == "hello"


def test_all_problems_are_raised_at_once_and_configuration_decides_the_kind() -> None:
    plugins = {
        "hello": greeting(),
        "twin": greeting(),
        "broken": plugin(routs=lambda: None),
        "lost": plugin(dependencies=lambda: Dependencies(requires=["nobody"])),
    }
    with pytest.raises(PluginError) as refused:
        create_app({}, plugins=plugins)
    assert len(refused.value.problems) == 3
    config = {"hello": {"greetng": "hi"}, "fps": {"port": "x"}, "nobody": {}}
    with pytest.raises(ConfigError) as misconfigured:
        create_app(config, plugins=plugins)
    said = misconfigured.value.problems
    assert [line for line in said if line.startswith("config: ")] == list(said[:3])
    assert 'config: hello.greetng: unknown key (did you mean "greeting"?)' in said
    assert any("routs" in line for line in said)
    assert any("nobody" in line and "lost" in line for line in said)


@pytest.mark.parametrize(
    "config",
    [{"fps": {"bind": ["unix:x"], "port": 1}}, {"fps": {"bind": [":1"], "host": "127.0.0.1"}}],
)
def test_bind_excludes_host_and_port(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"fps\.bind is set, too"):
        create_app(config, plugins=[])


# Two apps in one process


def test_two_apps_share_nothing() -> None:
    @asynccontextmanager
    async def lifespan(config: Greeting, state: Any) -> AsyncIterator[dict[str, Any]]:
        assert set(state) == {"fps"}
        yield {"hello": config.greeting}

    async def page(request: Request) -> Response:
        return PlainTextResponse(request.state.hello)

    routes = [Route("/", page)]
    one = plugin(config=lambda: Greeting, routes=lambda: routes, lifespan=lifespan)
    first = create_app({"hello": {"greeting": "1", "prefix": "/a"}}, plugins={"hello": one})
    second = create_app({"hello": {"greeting": "2", "prefix": "/b"}}, plugins={"hello": one})
    with TestClient(first) as a, TestClient(second) as b:
        assert [a.get("/a").text, b.get("/b").text] == ["1", "2"]
        assert [a.get("/b").status_code, b.get("/a").status_code] == [404, 404]
    assert [route.path for route in routes] == ["/"]


def test_one_app_ends_and_the_other_goes_on() -> None:
    apps = [create_app({}, plugins={"hello": greeting()}) for _ in range(2)]
    with TestClient(apps[0]) as first:
        with TestClient(apps[1]) as second:
            assert second.get("/").status_code == 200
        assert TestClient(apps[1]).get("/").status_code == 503
        assert first.get("/").status_code == 200


def test_an_app_may_run_again() -> None:
    app = create_app({}, plugins={"hello": greeting()})
    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/").text == "hello"


# What a library must not do


def in_a_process(code: str, *, directory: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_happens_on_import(tmp_path: Path) -> None:
    said = in_a_process(
        """
        import logging, os, pkgutil, signal, sys, threading
        before = (list(sys.path), dict(os.environ), signal.getsignal(signal.SIGTERM),
                  signal.getsignal(signal.SIGINT), sys.excepthook, logging.root.level)
        import fps_lite
        for module in pkgutil.walk_packages(fps_lite.__path__, "fps_lite."):
            if not module.name.endswith("__main__") and module.name != "fps_lite.testing":
                __import__(module.name)
        after = (list(sys.path), dict(os.environ), signal.getsignal(signal.SIGTERM),
                 signal.getsignal(signal.SIGINT), sys.excepthook, logging.root.level)
        assert before == after
        assert not logging.root.handlers
        assert not logging.getLogger("fps_lite").handlers
        assert threading.active_count() == 1
        print("fine", os.listdir())
        """,
        directory=tmp_path,
    )
    assert said == "fine []\n"


def test_an_app_is_made_and_run_without_a_print_an_exit_or_the_root_logger(
    capfd: pytest.CaptureFixture[str],
) -> None:
    root, cwd, threads = logging.root, Path.cwd(), threading.active_count()
    before = (list(root.handlers), root.level, list(root.filters), list(sys.path))
    with pytest.raises(PluginError):
        create_app({}, plugins={"broken": plugin(routes=lambda: 1 / 0)})
    with TestClient(create_app({}, plugins={"hello": greeting()})) as client:
        assert client.get("/").status_code == 200
    assert (list(root.handlers), root.level, list(root.filters), list(sys.path)) == before
    assert (Path.cwd(), threading.active_count()) == (cwd, threads)
    assert capfd.readouterr() == ("", "")


def test_a_plugin_that_exits_in_a_hook_does_not_take_the_process_down() -> None:
    def routes() -> None:
        raise SystemExit(3)

    with pytest.raises(PluginError, match='plugin "a": hook "routes": SystemExit: 3'):
        create_app({}, plugins={"a": plugin(routes=routes)})

    class Exits:
        def __init__(self) -> None:
            raise SystemExit(3)

    for form in ({"a": Exits}, [Exits]):
        with pytest.raises(PluginError, match="cannot be made without arguments: SystemExit: 3"):
            create_app({}, plugins=form)


def test_public_names_are_those_of_the_manual() -> None:
    manual = {"create_app", "hookimpl", "HookType", "PluginConfig", "Secret", "Dependencies"}
    manual |= {
        "RedirectException",
        "FPSError",
        "ConfigError",
        "PluginError",
        "StartupError",
        "mount",
    }
    assert manual <= set(fps_lite.__all__)
    assert all(getattr(fps_lite, name) for name in fps_lite.__all__)


# Middleware


class Named:
    def __init__(self, app: ASGIApp, name: str) -> None:
        self.app, self.name = app, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope.setdefault("passed", []).append(self.name)
        await self.app(scope, receive, send)


async def passed(request: Request) -> Response:
    return PlainTextResponse(" ".join(request.scope["passed"]))


def middle(name: str, **options: Any) -> Any:
    return hookimpl(lambda: [Middleware(Named, name), Middleware(Named, name + "2")], **options)


def test_the_earlier_plugins_middleware_is_outside_but_for_first_and_last() -> None:
    plugins = {
        "a": SimpleNamespace(middleware=middle("a", trylast=True)),
        "b": SimpleNamespace(
            middleware=middle("b"),
            dependencies=hookimpl(lambda: Dependencies(after=["d"])),
        ),
        "c": SimpleNamespace(middleware=middle("c", tryfirst=True)),
        "d": SimpleNamespace(middleware=middle("d")),
        "e": SimpleNamespace(middleware=middle("e", tryfirst=True)),
        "z": plugin(routes=lambda: [Route("/", passed)]),
    }
    with TestClient(create_app({}, plugins=plugins)) as client:
        assert client.get("/").text == "c c2 e e2 d d2 b b2 a a2"


def test_middleware_sees_the_state() -> None:
    class Guard:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            assert scope["state"]["a"] == "service"
            await self.app(scope, receive, send)

    async def lifespan() -> AsyncIterator[dict[str, str]]:
        yield {"a": "service"}

    one = plugin(
        middleware=lambda: [Middleware(Guard)],
        routes=lambda: [Route("/", state_of)],
        lifespan=lifespan,
    )
    with TestClient(create_app({}, plugins={"a": one})) as client:
        assert client.get("/").text == "a fps"


# Exception handlers


def test_exception_handlers_are_for_the_whole_app() -> None:
    async def missing(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return PlainTextResponse("nothing here", 404)

    def failed(_: Request, error: Exception) -> Response:
        return PlainTextResponse(f"no {error}", 400)

    async def page(_: Request) -> Response:
        raise KeyError("x")

    plugins = {
        "a": plugin(exception_handlers=lambda: {404: missing, LookupError: failed}),
        "b": plugin(routes=lambda: [Route("/", page)]),
    }
    with TestClient(create_app({}, plugins=plugins)) as client:
        assert (client.get("/").status_code, client.get("/").text) == (400, "no 'x'")
        assert client.get("/nothing").text == "nothing here"


# Lifespans and state


def test_services_reach_dependents_and_requests() -> None:
    seen: dict[str, Any] = {}

    @asynccontextmanager
    async def database() -> AsyncIterator[dict[str, str]]:
        yield {"db": "connection", "base": "itself"}

    @asynccontextmanager
    async def shop(state: Mapping[str, Any]) -> AsyncIterator[dict[str, str]]:
        seen.update(state)
        with pytest.raises(TypeError):
            state["db"] = "other"  # type: ignore[index]
        yield {"shop": state["db"] + "!"}

    @asynccontextmanager
    async def lonely(state: Mapping[str, Any]) -> AsyncIterator[None]:
        seen["lonely"] = set(state)
        yield

    plugins = {
        "base": plugin(lifespan=database, dependencies=lambda: Dependencies(provides=["db"])),
        "shop": plugin(lifespan=shop, dependencies=lambda: Dependencies(requires=["db"])),
        "lonely": plugin(lifespan=lonely, routes=lambda: [Route("/", state_of)]),
    }
    with TestClient(create_app({}, plugins=plugins)) as client:
        assert client.get("/").text == "base db fps shop"
    assert (seen["db"], seen["base"]) == ("connection", "itself")
    assert seen["lonely"] == {"fps"}


@pytest.mark.parametrize("key", ["other", "fps"])
def test_a_key_that_is_not_its_own_fails_the_start(key: str) -> None:
    async def lifespan() -> AsyncIterator[dict[str, int]]:
        yield {key: 1}

    app = create_app({}, plugins={"a": plugin(lifespan=lifespan)})
    with pytest.raises(StartupError, match=f'plugin "a" did not start: it yields "{key}"'):
        run(app)


def run(app: Any) -> None:
    async def live() -> None:
        async with asyncio.timeout(SOON), app.router.lifespan_context(app):
            pass

    asyncio.run(live())


@pytest.mark.parametrize("answer", [5, "text", [1]])
def test_a_lifespan_that_is_none_fails_the_start(answer: object) -> None:
    app = create_app({}, plugins={"a": plugin(lifespan=lambda: answer)})
    with pytest.raises(StartupError, match='plugin "a" did not start: '):
        run(app)


def test_a_lifespan_that_returns_a_coroutine_fails_the_start_and_says_what_to_write() -> None:
    async def forgotten() -> None: ...

    app = create_app({}, plugins={"a": plugin(lifespan=lambda: forgotten())})  # noqa: PLW0108
    with pytest.raises(StartupError, match='write an "async def" that yields once'):
        run(app)


def test_state_fps_holds_config_of_and_stopping() -> None:
    seen: dict[str, Any] = {}

    @asynccontextmanager
    async def lifespan(state: Mapping[str, Any], context: Context) -> AsyncIterator[None]:
        seen.update(state["fps"])
        assert context.config_of(Greeting) == state["fps"]["config_of"](Greeting)
        yield
        seen["at the end"] = state["fps"]["stopping"].is_set()

    async def page(request: Request) -> Response:
        core = request.state["fps"]
        assert core["stopping"] is seen["stopping"]
        return PlainTextResponse(
            f"{core['config_of'](Greeting).greeting} {core['stopping'].is_set()}"
        )

    one = plugin(config=lambda: Greeting, lifespan=lifespan, routes=lambda: [Route("/", page)])
    app: Any = create_app({"a": {"greeting": "hi"}}, plugins={"a": one})
    with TestClient(app) as client:
        assert client.get("/").text == "hi False"
        app.begin_stopping()
        assert client.get("/").text == "hi True"
    assert seen["at the end"] is True


def test_a_websocket_has_the_state_too() -> None:
    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(" ".join(websocket.scope["state"]))
        await websocket.close()

    app = create_app({}, plugins={"a": plugin(routes=lambda: [WebSocketRoute("/", talk)])})
    with TestClient(app) as client, client.websocket_connect("/") as websocket:
        assert websocket.receive_text() == "fps"


@pytest.mark.parametrize("state", [{}, {"state": {}}, {"state": {"hosts": 1}}])
def test_the_app_puts_the_state_into_requests_whatever_the_host_does(state: dict[str, Any]) -> None:
    app: Any = create_app({}, plugins={"a": plugin(routes=lambda: [Route("/", state_of)])})
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [],
        "query_string": b"",
        **state,
    }

    async def live() -> list[Message]:
        async with app.router.lifespan_context(app):
            return await ask(app, scope)

    body = asyncio.run(live())[1]["body"]
    assert set(body.decode().split()) == {"fps", *state.get("state", {})}


async def ask(app: ASGIApp, scope: dict[str, Any], *received: Message) -> list[Message]:
    waiting: list[Message] = list(received)
    sent: list[Message] = []

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(dict(message))

    async with asyncio.timeout(SOON):
        await app(scope, receive, send)
    return sent


def test_what_a_request_puts_into_its_state_is_not_seen_by_the_next() -> None:
    async def page(request: Request) -> Response:
        left = "mine" in request.scope["state"]
        request.state.mine = 1
        return PlainTextResponse(str(left))

    app = create_app({}, plugins={"a": plugin(routes=lambda: [Route("/", page)])})
    with TestClient(app) as client:
        assert [client.get("/").text for _ in range(2)] == ["False", "False"]


# Hosts


def test_an_app_that_does_not_run_answers_503_and_says_what_a_host_must_do() -> None:
    app = create_app({}, plugins={"a": greeting()})
    before = TestClient(app).get("/")
    with TestClient(app) as client:
        assert client.get("/").status_code == 200
    after = TestClient(app).get("/")
    for answer in (before, after):
        assert answer.status_code == 503
        assert "app.router.lifespan_context(app)" in answer.text


def test_an_app_is_embedded_in_another() -> None:
    app = create_app({"a": {"prefix": "/x"}}, plugins={"a": greeting()})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, int]]:
        async with app.router.lifespan_context(app):
            yield {"hosts": 1}

    host = Starlette(routes=[Mount("/outer", app), Route("/", state_of)], lifespan=lifespan)
    with TestClient(host) as client:
        assert client.get("/outer/x").text == "hello"
        assert client.get("/").text == "hosts"
    assert TestClient(host).get("/outer/x").status_code == 503


async def lifespan_protocol(app: Any, state: dict[str, Any] | None = None) -> list[Message]:
    scope = {"type": "lifespan", **({"state": state} if state is not None else {})}
    return await ask(app, scope, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})


@pytest.mark.parametrize("state", [None, {}])
def test_the_lifespan_protocol_is_spoken_with_and_without_state(state: Any) -> None:
    app = create_app({}, plugins={"a": greeting()})
    assert asyncio.run(lifespan_protocol(app, state)) == [
        {"type": "lifespan.startup.complete"},
        {"type": "lifespan.shutdown.complete"},
    ]


def failed_lifespan(app: Any) -> list[Message]:
    """Speak the protocol with an app that raises what it says; return what it sent."""
    sent: list[Message] = []
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(FPSError) as raised:
        asyncio.run(app({"type": "lifespan"}, receive, send))
    assert sent[-1]["message"] == str(raised.value)
    return sent


def failing(error: BaseException, *, at: str) -> Any:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        if at == "startup":
            raise error
        yield
        raise error

    return plugin(config=lambda: Greeting, lifespan=lifespan)


@pytest.mark.parametrize("at", ["startup", "shutdown"])
@pytest.mark.parametrize(
    "error", [ValueError("a\n  b hunter2"), SystemExit(3), KeyError(), asyncio.CancelledError()]
)
def test_a_failure_is_sent_in_one_line_without_a_traceback_or_a_secret(
    at: str, error: BaseException
) -> None:
    app = create_app({"a": {"token": "hunter2"}}, plugins={"a": failing(error, at=at)})
    *before, failed = failed_lifespan(app)
    assert len(before) == (1 if at == "shutdown" else 0)
    assert failed["type"] == f"lifespan.{at}.failed"
    assert 'plugin "a" did not st' in failed["message"]
    assert type(error).__name__ in failed["message"]
    assert "\n" not in failed["message"]
    assert "hunter2" not in failed["message"]


def test_several_failures_are_sent_in_one_line_each() -> None:
    plugins = {name: failing(ValueError(name), at="shutdown") for name in ("a", "b")}
    _, failed = failed_lifespan(create_app({}, plugins=plugins))
    lines = sorted(failed["message"].splitlines())
    for name, line in zip("ab", lines, strict=True):
        assert line.startswith(f'plugin "{name}" did not stop: ValueError: {name} (')


def test_middleware_that_cannot_be_made_fails_the_start() -> None:
    def broken(_: ASGIApp) -> ASGIApp:
        raise ValueError("no such guard")

    app = create_app({}, plugins={"a": plugin(middleware=lambda: [Middleware(broken)])})
    (failed,) = failed_lifespan(app)
    assert failed["type"] == "lifespan.startup.failed"
    assert "no such guard" in failed["message"]


def test_a_failed_start_reaches_a_test_that_enters_its_client() -> None:
    app = create_app({}, plugins={"a": failing(ValueError("no database"), at="startup")})
    with pytest.raises(StartupError, match="no database"), TestClient(app):
        pytest.fail("the client must not be entered")


# Failing alone

ISOLATED = {"on_failure": "isolate"}


def with_dependent(failing_plugin: Any) -> dict[str, Any]:
    needs = plugin(
        dependencies=lambda: Dependencies(requires=["a"]),
        routes=lambda: [Route("/needs", answering("needs"))],
    )
    other = plugin(routes=lambda: [Route("/other", answering("other"))])
    return {"a": failing_plugin, "needs": needs, "other": other}


def statuses(client: TestClient, *paths: str) -> list[int]:
    return [client.get(path).status_code for path in paths]


def test_a_plugin_that_cannot_be_imported_leaves_its_prefix_and_dependents_at_503(
    site: Site,
) -> None:
    site.module("broken_module", "raise ValueError('broken')")
    tables = {"fps": {"plugins": {"a": "broken_module"}}, "a": {**ISOLATED, "prefix": "/a"}}
    rest = with_dependent(None)
    del rest["a"]
    root = plugin(routes=lambda: [Mount("/", app=PlainTextResponse("root"))])
    app = create_app(tables, plugins={**rest, "root": root})
    with TestClient(app) as client:
        assert statuses(client, "/a/x", "/a/", "/needs", "/other", "/x") == [
            503,
            503,
            503,
            200,
            200,
        ]
        assert 'plugin "a"' in client.get("/a/x").text
    with pytest.raises(PluginError, match="broken"):
        create_app({**tables, "a": {}}, plugins=rest)


def test_a_plugin_whose_hook_fails_leaves_its_prefix_at_503() -> None:
    plugins = with_dependent(plugin(routes=lambda: 1 / 0))
    app = create_app({"a": {**ISOLATED, "prefix": "/a"}}, plugins=plugins)
    with TestClient(app) as client:
        assert statuses(client, "/a/x", "/needs", "/other") == [503, 503, 200]


def test_a_plugin_that_does_not_start_answers_503_and_so_do_its_dependents() -> None:
    broken = failing(ValueError("no"), at="startup")
    plugins = with_dependent(
        plugin(lifespan=broken.lifespan, routes=lambda: [Route("/a", answering("a"))])
    )
    with TestClient(create_app({"a": ISOLATED}, plugins=plugins)) as client:
        assert statuses(client, "/a", "/needs", "/other") == [503, 503, 200]
    with pytest.raises(StartupError, match='plugin "a" did not start: ValueError: no'):
        run(create_app({}, plugins=plugins))


def crashing(seen: dict[str, Any]) -> Any:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        seen["crash"] = asyncio.Event()

        async def later() -> None:
            await seen["crash"].wait()
            raise ValueError("boom")

        async with asyncio.TaskGroup() as group:
            group.create_task(later())
            yield

    return plugin(lifespan=lifespan, routes=lambda: [Route("/a", answering("a"))])


def http(path: str) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}


async def status(app: Any, path: str) -> int:
    start: int = (await ask(app, http(path)))[0]["status"]
    return start


async def settled(app: Any, path: str, wanted: int) -> None:
    async with asyncio.timeout(SOON):
        while await status(app, path) != wanted:  # noqa: ASYNC110 - it is seen in answers alone
            await asyncio.sleep(0.01)


def test_a_plugin_that_crashes_later_answers_503_alone() -> None:
    seen: dict[str, Any] = {}
    app: Any = create_app({"a": ISOLATED}, plugins=with_dependent(crashing(seen)))

    async def live() -> None:
        async with app.router.lifespan_context(app):
            assert [await status(app, path) for path in ("/a", "/needs", "/other")] == [200] * 3
            seen["crash"].set()
            await settled(app, "/a", 503)
            assert [await status(app, path) for path in ("/needs", "/other")] == [503, 200]
            assert not app.crashed.is_set()

    asyncio.run(live())


def test_a_fatal_crash_ends_the_app_and_is_named() -> None:
    seen: dict[str, Any] = {}
    app: Any = create_app({}, plugins=with_dependent(crashing(seen)))

    async def live() -> None:
        async with app.router.lifespan_context(app):
            seen["crash"].set()
            async with asyncio.timeout(SOON):
                await app.crashed.wait()
            assert await status(app, "/other") == 503
            assert 'plugin "a" crashed: ValueError: boom' in str(app.crash)

    with pytest.raises(fps_lite.FPSError, match='plugin "a" crashed'):
        asyncio.run(live())


def test_middleware_is_refused_of_a_plugin_that_may_fail_alone() -> None:
    one = plugin(middleware=lambda: [Middleware(Named, "a")])
    with pytest.raises(PluginError, match="on_failure must be fatal"):
        create_app({"a": ISOLATED}, plugins={"a": one})


# Error pages


def test_a_secret_is_masked_in_the_error_page_of_debug() -> None:
    def routes(config: Greeting) -> list[Route]:
        async def page(_: Request) -> Response:
            assert config.token is not None
            raise ValueError(config.token.reveal())

        return [Route("/", page)]

    one = plugin(config=lambda: Greeting, routes=routes)
    app = create_app({"fps": {"debug": True}, "a": {"token": "hunter2"}}, plugins={"a": one})
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/")
    assert answer.status_code == 500
    assert "ValueError: ***" in answer.text
    assert "hunter2" not in answer.text


def test_a_root_path_of_a_server_is_put_right() -> None:
    async def page(request: Request) -> Response:
        return PlainTextResponse(f"{request.url.path} {request.url_for('page').path}")

    one = plugin(routes=lambda: [Route("/p", page, name="page")])
    app = create_app({"fps": {"root_path": "/r"}, "a": {"prefix": "/x"}}, plugins={"a": one})
    with TestClient(app, root_path="/r") as client:
        assert client.get("/x/p").text == client.get("/r/x/p").text == "/r/x/p /r/x/p"


# For other servers


def test_main_composes_at_its_first_call(work: Path, site: Site) -> None:
    site.module(
        "notes_mod",
        """
        from fps_lite.hooks import register_routes
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route

        async def page(request):
            return PlainTextResponse("notes")

        routes = register_routes([Route("/notes", page)])
        """,
    )
    from fps_lite.main import _Deferred

    app = _Deferred()
    (work / "fps.toml").write_text('[fps.plugins]\nnotes = "notes_mod"\n')
    with TestClient(app) as client:
        assert client.get("/notes").text == "notes"
    assert TestClient(app).get("/notes").status_code == 503


def test_main_sends_what_is_wrong_as_a_failed_start(work: Path) -> None:
    from fps_lite.main import _Deferred

    (work / "fps.toml").write_text("[fps]\nport = 'x'\n[nobody]\n")
    (failed,) = asyncio.run(lifespan_protocol(_Deferred()))
    assert failed["type"] == "lifespan.startup.failed"
    assert "fps.toml:2:8: fps.port: expected int" in failed["message"]
    assert "nobody" in failed["message"]


def test_no_repr_of_what_was_collected_shows_a_secret() -> None:
    class Config(PluginConfig, frozen=True):
        token: Secret

    app: Any = create_app(
        {"p": {"token": "hush-hush"}},
        plugins={"p": SimpleNamespace(config=register_config(Config))},
    )
    assert app.collected.loaded.plugins["p"].config.token.reveal() == "hush-hush"
    assert "hush-hush" not in repr(app.collected)
