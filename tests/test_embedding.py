"""The composed app is an ASGI app: other servers and other apps host it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from fps_lite import ConfigError, create_app, hookimpl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from pathlib import Path

    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

    from fps_lite import Context
    from tests.conftest import Site

SOON = 30.0

SERVERS = {
    "uvicorn": ["-m", "uvicorn", "fps_lite.main:app", "--host=127.0.0.1", "--port={port}"],
    "granian": ["-m", "granian", "fps_lite.main:app", "--interface=asgi", "--host=127.0.0.1",
                "--port={port}"],
    "hypercorn": ["-m", "hypercorn", "fps_lite.main:app", "--bind=127.0.0.1:{port}"],
}  # fmt: skip

LIFE = """
from contextlib import asynccontextmanager
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from fps_lite import hookimpl

@hookimpl
def lifespan():
    @asynccontextmanager
    async def life():
        print("life begins", flush=True)
        yield {"life": 42}
        print("life ends", flush=True)
    return life()

@hookimpl
def routes():
    async def show(request):
        return PlainTextResponse(str(request.state["life"]))
    return [Route("/life", show)]
"""


class Host:
    """Another server, running `fps_lite.main:app` in a directory."""

    def __init__(self, name: str, work: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = work / f"{name}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *(word.format(port=self.port) for word in SERVERS[name])],
                cwd=work,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        return self.log.read_text()

    def until_it_answers(self) -> None:
        until = time.monotonic() + SOON
        while True:
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < until, self.said()
            try:
                httpx2.get(self.url, timeout=5)
            except httpx2.TransportError:
                time.sleep(0.1)
            else:
                return

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(SOON)


@pytest.fixture
def host(work: Path) -> Iterator[Callable[[str], Host]]:
    hosts: list[Host] = []

    def start(name: str) -> Host:
        hosts.append(Host(name, work))
        return hosts[-1]

    yield start
    for one in hosts:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait(SOON)


@pytest.mark.parametrize("name", SERVERS)
def test_other_servers_run_the_app_and_its_lifespan(
    host: Callable[[str], Host], site: Site, work: Path, name: str
) -> None:
    site.plugin("life", LIFE)
    (work / "fps.toml").write_text('[hello]\ngreeting = "hi"\nprefix = "/x"\n')
    server = host(name)
    server.until_it_answers()
    assert httpx2.get(f"{server.url}/x/hello").text == "hi world 0"
    assert httpx2.get(f"{server.url}/life").text == "42"
    assert httpx2.get(f"{server.url}/hello").status_code == 404
    server.stop()
    assert server.said().count("life begins") == 1
    assert server.said().count("life ends") == 1


@pytest.mark.parametrize("name", ["uvicorn", "granian", "hypercorn"])
@pytest.mark.parametrize("broken", ["config", "plugin", "lifespan"])
def test_other_servers_end_with_our_lines_and_never_serve(
    host: Callable[[str], Host], site: Site, work: Path, name: str, broken: str
) -> None:
    if broken == "config":
        (work / "fps.toml").write_text("[hello]\ncount = -1\n[fps]\nprot = 1\n")
        said = ["fps.toml:2:9: hello.count: expected int >= 0, got -1", "fps.toml:4:1: fps.prot"]
    elif broken == "plugin":
        site.plugin("bad", "import nowhere")
        said = ['plugin "bad" (bad 1.0): ', "nowhere"]
    else:
        site.plugin("bad", LIFE.replace("yield", "raise OSError('no disk'); yield"))
        said = ['"bad"', "no disk"]
    server = host(name)
    until = time.monotonic() + SOON
    while server.process.poll() is None:
        assert time.monotonic() < until, server.said()
        with pytest.raises(httpx2.TransportError):
            httpx2.get(f"{server.url}/hello", timeout=5)
        time.sleep(0.1)
    # hypercorn's own command ends with 0 whatever its workers say.
    assert server.process.returncode != 0 or name == "hypercorn"
    for line in said:
        assert line in server.said()


class Counted:
    """A plugin whose lifespan counts, to tell two apps apart."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.events: list[str] = []

    @hookimpl
    def lifespan(self) -> Any:
        @asynccontextmanager
        async def life() -> AsyncIterator[dict[str, str]]:
            self.events.append("begins")
            yield {"counted": self.word}
            self.events.append("ends")

        return life()

    @hookimpl
    def routes(self, context: Context) -> list[BaseRoute]:
        async def show(request: Request) -> PlainTextResponse:
            own = request.url_for("word")
            return PlainTextResponse(f"{request.state['counted']} {own.path} {context.prefix}")

        return [Route("/word", show, name="word")]


def mounted(path: str, app: Starlette, *, handed_on: bool = True) -> Starlette:
    """Return another app that mounts `app`, and hands its lifespan on as the contract says."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if handed_on:
                await stack.enter_async_context(app.router.lifespan_context(app))
            yield

    async def own(_: Request) -> PlainTextResponse:
        return PlainTextResponse("own")

    return Starlette(routes=[Route("/own", own), Mount(path, app)], lifespan=lifespan)


def test_app_is_mounted_in_another_app_that_hands_its_lifespan_on() -> None:
    plugin = Counted("one")
    app = create_app({"fps": {"root_path": "/outer"}}, plugins={"counted": plugin})
    with TestClient(mounted("/outer", app)) as client:
        assert plugin.events == ["begins"]
        assert client.get("/own").text == "own"
        assert client.get("/outer/word").text == "one /outer/word /outer"
        assert client.get("/outer/nowhere").status_code == 404
        assert client.get("/word").status_code == 404
    assert plugin.events == ["begins", "ends"]


def test_app_whose_lifespan_is_not_handed_on_says_what_to_do() -> None:
    plugin = Counted("one")
    app = create_app({}, plugins={"counted": plugin})
    with TestClient(mounted("/outer", app, handed_on=False)) as client:
        assert client.get("/own").text == "own"
        answer = client.get("/outer/word")
        assert answer.status_code == 503
        assert "app.router.lifespan_context(app)" in answer.text
    assert plugin.events == []


def test_app_answers_503_again_when_it_ended() -> None:
    app = create_app({}, plugins={"counted": Counted("one")})
    client = TestClient(app)
    assert client.get("/word").status_code == 503
    with client:
        assert client.get("/word").status_code == 200
    assert client.get("/word").status_code == 503


def test_two_apps_in_one_process_share_nothing() -> None:
    one, two = Counted("one"), Counted("two")
    first = create_app({}, plugins={"counted": one})
    second = create_app({"counted": {"prefix": "/x"}}, plugins={"counted": two})
    with TestClient(first) as client, TestClient(second) as other:
        assert client.get("/word").text == "one /word "
        assert other.get("/x/word").text == "two /x/word /x"
        assert other.get("/word").status_code == 404
    assert one.events == two.events == ["begins", "ends"]


def test_two_apps_of_one_plugin_object_run_side_by_side() -> None:
    plugin = Counted("both")
    first = create_app({"counted": {"prefix": "/a"}}, plugins={"counted": plugin})
    second = create_app({"counted": {"prefix": "/b"}}, plugins={"counted": plugin})
    host = Starlette(
        routes=[Mount("/first", first), Mount("/second", second)], lifespan=_both(first, second)
    )
    with TestClient(host) as client:
        assert client.get("/first/a/word").text.startswith("both /first/a/word")
        assert client.get("/second/b/word").text.startswith("both /second/b/word")
        assert client.get("/second/a/word").status_code == 404
    assert plugin.events == ["begins", "begins", "ends", "ends"]


def _both(*apps: Starlette) -> Callable[[Starlette], Any]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[Mapping[str, Any]]:
        async with AsyncExitStack() as stack:
            for app in apps:
                await stack.enter_async_context(app.router.lifespan_context(app))
            # The host's own state must not get in the way of the plugins'.
            yield {"counted": "host", "own": 1}

    return lifespan


def test_routes_find_their_own_urls_whatever_the_host_calls_its_mount() -> None:
    app = create_app({}, plugins={"counted": Counted("one")})
    seen: dict[str, Any] = {}

    class Outside:
        """The host's middleware, as metrics are: it looks at the scope afterwards."""

        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app(scope, receive, send)
            seen.update(scope)

    host = Starlette(
        routes=[Mount("/outer", app, name="outer")],
        lifespan=_both(app),
        middleware=[Middleware(Outside)],
    )
    with TestClient(host) as client:
        assert client.get("/outer/word").text == "one /outer/word "
        assert seen["route"].path == "/word"
        assert seen["state"]["counted"] == "host"


def test_create_app_reads_a_directory_without_going_there(work: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "fps.toml").write_text('[hello]\ngreeting = "there"\n')
    (work / "fps.toml").write_text('[hello]\ngreeting = "here"\n')
    before = list(sys.path)
    with TestClient(create_app(directory=there)) as client:
        assert client.get("/hello").text == "there world 0"
    with TestClient(create_app()) as client:
        assert client.get("/hello").text == "here world 0"
    with TestClient(create_app({})) as client:
        assert client.get("/hello").text == "hello world 0"
    assert os.getcwd() == str(work)  # noqa: PTH109 - the text itself is compared
    assert sys.path == before


def test_create_app_refuses_with_all_problems(work: Path) -> None:
    (work / "fps.toml").write_text("[hello]\ncount = -1\n[fps]\nprot = 1\n")
    with pytest.raises(ConfigError) as caught:
        create_app()
    assert len(caught.value.problems) == 2


def test_importing_main_does_nothing(work: Path) -> None:
    (work / "fps.toml").write_text("[fps\n")
    code = "import fps_lite.main as m, sys; print(callable(m.app), 'fps_lite_hello' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, cwd=work, timeout=60, check=False,
    )  # fmt: skip
    assert (found.returncode, found.stdout, found.stderr) == (0, "True False\n", "")
