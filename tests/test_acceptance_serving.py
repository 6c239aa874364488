"""The acceptance list, the running server and its hosts: lines 26, 29, 30 and 32-34."""

from __future__ import annotations

import inspect
import json
import logging
import os
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from itertools import product
from typing import TYPE_CHECKING, Any

import httpx2
import pexpect  # type: ignore[import-untyped]
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from fps_lite import create_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.conftest import Server, Site

    Cli = Callable[..., subprocess.CompletedProcess[str]]
    Serve = Callable[..., Server]

SOON = 20.0


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + SOON
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# 26: lifespans, and a chain of services ---------------------------------------------------

DATABASE = """
    from fps_lite import Dependencies, hookimpl

    @hookimpl
    def dependencies():
        return Dependencies(provides=("db",))

    @hookimpl
    async def lifespan(context):
        print("+database", flush=True)
        yield {"db": {}}
        print("-database", flush=True)
"""
AUTH = """
    from fps_lite import Dependencies, hookimpl

    @hookimpl
    def dependencies():
        return Dependencies(requires=("db",))

    @hookimpl
    async def lifespan(state):
        print("+auth", flush=True)
        tokens = state["db"].setdefault("tokens", {"t0ken": "ada"})
        yield {"auth": tokens.get}
        print("-auth", len(state["db"]["notes"]), flush=True)
"""
NOTES = """
    import asyncio
    from starlette.responses import JSONResponse
    from starlette.routing import Route
    from fps_lite import Dependencies, PluginConfig, hookimpl

    class Config(PluginConfig, frozen=True, kw_only=True):
        fail: str = ""

    @hookimpl
    def config():
        return Config

    @hookimpl
    def dependencies():
        return Dependencies(requires=("auth", "database"))

    @hookimpl
    async def lifespan(config, state):
        if config.fail == "hang":
            await asyncio.sleep(60)
        if config.fail:
            raise OSError(config.fail)
        print("+notes", state["auth"]("t0ken"), flush=True)
        state["db"]["notes"] = []
        yield {"notes": state["db"]["notes"]}
        await asyncio.sleep(0.1)  # time for the others to go first, if they could
        print("-notes", flush=True)

    @hookimpl
    def routes():
        async def notes(request):
            user = request.state["auth"](request.headers.get("token"))
            if user is None:
                return JSONResponse("who are you?", 401)
            if request.method == "POST":
                request.state["notes"].append([user, (await request.body()).decode()])
            return JSONResponse(request.state["db"]["notes"])

        return [Route("/notes", notes, methods=["GET", "POST"])]
"""


@pytest.fixture
def chain(site: Site) -> None:
    for name, source in (("auth", AUTH), ("database", DATABASE), ("notes", NOTES)):
        site.plugin(name, source)


@pytest.mark.usefixtures("chain")
def test_26_a_chain_of_services_starts_in_order_and_stops_in_reverse(serve: Serve) -> None:
    server = serve()
    token = {"token": "t0ken"}
    assert httpx2.get(server.url + "/notes").status_code == 401
    httpx2.post(server.url + "/notes", headers=token, content="remember")
    assert httpx2.get(server.url + "/notes", headers=token).json() == [["ada", "remember"]]
    assert server.stop() == 0
    until(lambda: "-database" in server.lines)
    steps = [line for line in server.lines if line[0] in "+-"]
    assert steps == ["+database", "+auth", "+notes ada", "-notes", "-auth 1", "-database"]


@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize(
    "argv, why",
    [
        (["--notes.fail=broken"], 'plugin "notes" did not start: OSError: broken'),
        (
            ["--notes.fail=hang", "--fps.startup_timeout=0.2"],
            'plugin "notes" did not start within 0.2 s',
        ),
    ],
)
def test_26_a_failed_start_names_the_plugin_and_stops_what_started(
    cli: Cli, argv: list[str], why: str
) -> None:
    done = cli("serve", "--port=0", *argv, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert done.returncode == 1
    assert done.stdout.splitlines()[:2] == ["+database", "+auth"]
    assert done.stdout.splitlines()[-1:] == ["-database"]
    assert why in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert "Traceback" not in done.stderr


TWICE = """
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from fps_lite import PluginConfig, hookimpl

    class Config(PluginConfig, frozen=True, kw_only=True):
        title: str = "untitled"

    @hookimpl
    def config():
        return Config

    @hookimpl
    def routes(config, context):
        async def hit(request):
            hits = request.state[context.name]
            hits.append(1)
            return PlainTextResponse(f"{context.name} {config.title} {len(hits)} {context.prefix}")

        return [Route("/hit", hit)]

    @hookimpl
    async def lifespan(context, state):
        yield {context.name: []}
"""


def test_one_module_serves_under_two_names_with_own_table_prefix_and_state(
    work: Path, serve: Serve
) -> None:
    (work / "pages.py").write_text(inspect.cleandoc(TWICE))
    (work / "fps.toml").write_text(
        '[fps.plugins]\nblog = "pages"\nwiki = "pages"\n'
        '[blog]\ntitle = "B"\nprefix = "/blog"\n[wiki]\nprefix = "/wiki"\n'
    )
    server = serve("--wiki.title", "W")
    paths = ("/blog/hit", "/blog/hit", "/wiki/hit", "/blog/hit")
    found = [httpx2.get(server.url + path).text for path in paths]
    assert found == ["blog B 1 /blog", "blog B 2 /blog", "wiki W 1 /wiki", "blog B 3 /blog"]
    assert server.stop() == 0


# 29, 30 and 32: the command as an operator meets it ---------------------------------------

BROWSER = """
import sys, urllib.request
from pathlib import Path
answer = urllib.request.urlopen(sys.argv[1] + "/hello").read().decode()
Path(__file__).with_suffix(".new").write_text(sys.argv[1] + " " + answer)
Path(__file__).with_suffix(".new").rename(Path(__file__).with_suffix(".txt"))
"""


def test_29_the_browser_opens_a_page_that_answers(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = tmp_path / "browser.py"
    browser.write_text(BROWSER)
    monkeypatch.setenv("BROWSER", f"{sys.executable} {browser} %s")
    server = serve("--open-browser")
    until(browser.with_suffix(".txt").exists)
    assert browser.with_suffix(".txt").read_text() == f"{server.url} hello world 0"
    browser.with_suffix(".txt").unlink()
    quiet = serve("--fps.open_browser=true", "--no-open-browser")
    assert httpx2.get(quiet.url + "/hello").status_code == 200
    assert (server.stop(), quiet.stop()) == (0, 0)
    assert not browser.with_suffix(".txt").exists()


def test_30_a_busy_port_is_one_line_and_exit_1(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = cli("serve", "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    said = f"cannot listen on 127.0.0.1:{port}: address already in use"
    assert done.stderr.splitlines() == [said]


@pytest.mark.parametrize("no_colour, is_coloured", [("", True), ("1", False)])
def test_32_logs_have_colours_on_a_terminal_unless_no_color(
    work: Path,
    no_colour: str,
    is_coloured: bool,  # noqa: FBT001
) -> None:
    env = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": no_colour}
    argv = ["-m", "fps_lite", "serve", "--port=0"]
    with pexpect.spawn(sys.executable, argv, cwd=str(work), env=env, timeout=30) as terminal:
        terminal.expect(r"serving on (http://[\d.:]+)")
        assert httpx2.get(terminal.match[1].decode() + "/hello").status_code == 200
        terminal.expect(r"GET /hello 200[^\n]*\n")
        assert (b"\x1b[" in terminal.before) is is_coloured
        terminal.sendintr()
        terminal.expect(pexpect.EOF)
    assert terminal.exitstatus == 0


def test_32_logs_go_to_stderr_without_colours_and_leave_no_file(work: Path) -> None:
    argv = [sys.executable, "-m", "fps_lite", "serve", "--port=0"]
    with (work.parent / "stderr").open("w+") as stderr:
        process = subprocess.Popen(argv, cwd=work, stdout=subprocess.PIPE, stderr=stderr, text=True)
        assert process.stdout is not None
        with process.stdout as stdout:
            ready = stdout.readline()
            url = ready.split()[2]
            assert httpx2.get(url + "/wrong_hello").status_code == 307
            process.terminate()
            rest = stdout.read()
        assert process.wait(SOON) == 0
        stderr.seek(0)
        logged = stderr.read()
    assert (ready, rest) == (f"serving on {url} (4 plugins, 3 routes)\n", "")
    assert "\x1b" not in logged
    assert "wrong hello at /wrong_hello" in logged
    assert "GET /wrong_hello 307" in logged
    assert list(work.iterdir()) == []


def test_32_composing_and_running_an_app_touches_no_logger() -> None:
    def loggers() -> dict[str, Any]:
        known = {"root": logging.getLogger(), **logging.root.manager.loggerDict}
        return {
            name: (one.level, one.disabled, one.propagate, list(one.handlers))
            for name, one in known.items()
            if isinstance(one, logging.Logger) and not name.startswith("fps_lite")
        }

    before = loggers()
    with TestClient(create_app()) as client:
        assert client.get("/hello").status_code == 200
    assert {name: found for name, found in loggers().items() if name in before} == before


# 33-34: other hosts -----------------------------------------------------------------------


def test_33_the_app_is_embedded_in_another_one() -> None:
    inner = create_app({"hello": {"greeting": "inner"}, "fps": {"root_path": "/outer"}})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with inner.router.lifespan_context(inner):
            yield

    outer = Starlette(routes=[Mount("/outer", app=inner)], lifespan=lifespan)
    with TestClient(outer) as client:
        assert client.get("/outer/hello").text == "inner world 0"
        location = client.get("/outer/bad_hello", follow_redirects=False).headers["location"]
        assert location == "/outer/hello"
    forgetful = Starlette(routes=[Mount("/outer", app=inner)])
    with TestClient(forgetful) as client:
        refused = client.get("/outer/hello")
    assert refused.status_code == 503
    assert "app.router.lifespan_context(app)" in refused.text


IN_PYTHON = """
import asyncio, sys, hypercorn.asyncio, hypercorn.config
from fps_lite import create_app
config = hypercorn.config.Config.from_mapping(bind=["unix:" + sys.argv[1]])
asyncio.run(hypercorn.asyncio.serve(create_app(), config))
"""


def listens(uds: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(uds)) == 0


def served(argv: list[str], work: Path, uds: Path) -> str:
    """Return what `GET /hello` answers while `argv` listens on a unix socket."""
    with (work / "log").open("w") as log:
        process = subprocess.Popen(argv, cwd=work, stdout=log, stderr=log)
    try:
        until(lambda: listens(uds) or process.poll() is not None)
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(uds))) as client:
            return client.get("http://fps/hello", timeout=SOON).text
    finally:
        process.terminate()
        assert process.wait(SOON) in (0, -15), (work / "log").read_text()


@pytest.mark.parametrize(
    "words",
    ["uvicorn --uds {uds}", "hypercorn --bind unix:{uds}", "granian --interface asgi --uds {uds}"],
)
def test_33_other_servers_serve_the_app(work: Path, tmp_path: Path, words: str) -> None:
    (work / "fps.toml").write_text("[hello]\ncount = 33\n")
    uds = tmp_path / "s"
    server, *options = words.format(uds=uds).split()
    argv = [sys.executable, "-m", server, *options, "fps_lite.main:app"]
    assert served(argv, work, uds) == "hello world 33"


def test_34_an_app_is_made_and_served_from_python_with_defaults(work: Path, tmp_path: Path) -> None:
    uds = tmp_path / "s"
    assert served([sys.executable, "-c", IN_PYTHON, str(uds)], work, uds) == "hello world 0"


# --help -----------------------------------------------------------------------------------

IMPORTED = """
import json, sys
from fps_lite.cli import main
try:
    main(["--help"])
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def test_help_imports_no_starlette_hypercorn_or_routes(site: Site, work: Path) -> None:
    command = """
        import rich_click as click
        from fps_lite.hooks import register_command

        @click.command()
        def greet():
            "Say hello."

        greeting = register_command(greet)
    """
    points = {
        "fps_lite.routes": {"greets": "greets.routes"},
        "fps_lite.cli": {"greets": "greets.cli"},
    }
    site.install("greets", points, {"greets.routes": "raise AssertionError", "greets.cli": command})
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED],
        cwd=work, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert "Say hello." in done.stdout
    modules = set(json.loads(done.stderr))
    assert {"fps_lite.cli.command", "greets.cli"} <= modules
    unwanted = {"starlette", "hypercorn", "greets.routes", "fps_lite_hello", "fps_lite_static"}
    assert not {name for name in modules if name.partition(".")[0] in unwanted or name in unwanted}


BROKEN = {
    "imports": "import no_such_module",
    "syntax": "def broken(:",
    "exits": "import sys; sys.exit(5)",
}


def test_help_and_the_other_reading_commands_survive_broken_plugins(site: Site, cli: Cli) -> None:
    names = []
    for group, (kind, source) in product(("cli", "config", "plugins"), BROKEN.items()):
        names.append(f"{group}_{kind}")
        point = {names[-1]: f"{names[-1]}_broken"}
        site.install(names[-1], {f"fps_lite.{group}": point}, {f"{names[-1]}_broken": source})
    shown = cli("--help")
    assert shown.returncode == 0
    assert "serve" in shown.stdout
    plugins = cli("plugins", "--json")
    states = {row["name"]: row["state"] for row in json.loads(plugins.stdout)}
    enabled = dict.fromkeys(("browser_security", "hello", "mcp", "static"), "enabled")
    assert states == {**enabled, **dict.fromkeys(names, "failed")}
    config = cli("config", "--json")
    assert json.loads(config.stdout)["hello"]["greeting"] == "hello"
    checked = cli("check")
    assert checked.returncode == 4
    named = [line for line in checked.stderr.splitlines() if line.startswith('plugin "')]
    assert [line.split('"')[1] for line in named] == sorted(names)
    for done in (shown, plugins, config, checked):
        assert "Traceback" not in done.stderr
