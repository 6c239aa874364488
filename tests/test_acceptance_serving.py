"""The acceptance list, the composed app and its server: lines 17-26, 29, 30 and 32-34."""

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
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pexpect
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.testclient import TestClient

from fps_lite import PluginError, RedirectException, create_app
from fps_lite.hooks import register_exception_handler, register_routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request

    from tests.conftest import Server, Site

    Cli = Callable[..., subprocess.CompletedProcess[str]]
    Serve = Callable[..., Server]

SOON = 20.0
HERE = f"tests/{Path(__file__).name}"


async def first(_: Request) -> PlainTextResponse:
    return PlainTextResponse("first")


async def second(_: Request) -> PlainTextResponse:
    return PlainTextResponse("second")


def made_of(*routes: BaseRoute, **hooks: Any) -> type:
    return type("Made", (), {"own_routes": register_routes(routes), **hooks})


def answers(one: list[BaseRoute], two: list[BaseRoute], *targets: str) -> list[str]:
    """Return what two plugins, `one` before `two`, answer to `METHOD /path` targets."""
    app = create_app({}, plugins={"one": made_of(*one), "two": made_of(*two)})
    with TestClient(app) as client:
        return [client.request(*target.split()).text for target in targets]


def conflict(one: list[BaseRoute], two: list[BaseRoute]) -> str:
    """Return what is said of a conflict between two plugins, `one` before `two`."""
    with pytest.raises(PluginError) as raised:
        create_app({}, plugins={"one": made_of(*one), "two": made_of(*two)})
    return str(raised.value)


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + SOON
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# 17-21: conflicts -------------------------------------------------------------------------


def test_17_same_path_and_method_in_two_plugins_names_both_and_their_endpoints() -> None:
    said = conflict([Route("/x", first)], [Route("/x", second, methods=["GET", "POST"])])
    assert len(said.splitlines()) == 1
    assert "GET /x" in said
    for name, endpoint in (("one", first), ("two", second)):
        line = inspect.getsourcelines(endpoint)[1]
        assert f'of "{name}"' in said
        assert f".{endpoint.__name__}, " in said
        assert f"{Path(__file__).name}:{line}" in said


def test_17_all_conflicts_are_found_at_once_and_exit_4(site: Site, cli: Cli) -> None:
    source = """
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route
        from fps_lite.hooks import register_routes

        async def page(request):
            return PlainTextResponse("page")

        routes = register_routes([Route("/a/{x}", page), Route("/b", page), Route("/c", page)])
    """
    site.plugin("one", source)
    site.plugin("two", source.replace("{x}", "{y}").replace("/c", "/d"))
    done = cli("check")
    assert (done.returncode, done.stdout) == (4, "")
    *lines, summary = done.stderr.splitlines()
    assert summary == "2 problems"
    assert ["/a/{x}" in lines[0], "/b" in lines[1]] == [True, True]
    for line in lines:
        assert all(part in line for part in ("one_plugin.py:6", "two_plugin.py:6"))


def test_18_one_path_may_have_two_owners_for_two_methods() -> None:
    found = answers(
        [Route("/x", first, methods=["GET"])],
        [Route("/x", second, methods=["POST", "PUT"])],
        "GET /x", "POST /x", "PUT /x", "DELETE /x",
    )  # fmt: skip
    assert found == ["first", "second", "second", "Method Not Allowed"]


def test_18_get_takes_head_with_it() -> None:
    said = conflict([Route("/x", first)], [Route("/x", second, methods=["HEAD"])])
    assert "HEAD /x" in said


def test_19_a_mount_hides_by_segment_and_only_what_comes_after_it() -> None:
    mount = Mount("/lab", app=PlainTextResponse("mount"))
    paths = "GET /labels", "GET /lab/x"
    assert answers([mount], [Route("/labels", second)], *paths) == ["second", "mount"]
    assert answers([Route("/lab/x", first)], [mount], *paths) == ["Not Found", "first"]


@pytest.mark.parametrize(
    "later", [Route("/lab/sub", second), Mount("/lab/sub", app=first), Route("/lab/{any}", second)]
)
def test_19_what_an_earlier_mount_hides_is_refused(later: BaseRoute) -> None:
    said = conflict([Mount("/lab", app=PlainTextResponse("mount"))], [later])
    assert "/lab/" in said
    assert '"two"' in said
    assert 'never reached: /lab/ of "one"' in said


@pytest.mark.parametrize(
    "earlier, later",
    [
        ("/{rest:path}", "/x"),
        ("/{rest:path}", "/x/{y}"),
        ("/x/{a}", "/x/y"),
        ("/x/{a}", "/x/{b}"),
        ("/x/{a}", "/x/{b:int}"),
        ("/x/{a}/z", "/x/{b}/z"),
    ],
)
def test_20_a_pattern_that_hides_a_later_route_is_refused(earlier: str, later: str) -> None:
    said = conflict([Route(earlier, first)], [Route(later, second)])
    assert f'{earlier} of "one"' in said
    assert f'{later} of "two"' in said


def test_20_a_pattern_hides_nothing_that_comes_before_it_or_that_it_does_not_match() -> None:
    paths = "GET /x/y", "GET /x/other", "GET /x/7/z"
    specific: list[BaseRoute] = [Route("/x/y", first), Route("/x/{n:int}/z", first)]
    general: list[BaseRoute] = [Route("/x/{a}", second)]
    assert answers(specific, general, *paths) == ["first", "second", "first"]
    by_type = answers([Route("/{n:int}", first)], [Route("/{a}", second)], "GET /7", "GET /seven")
    assert by_type == ["first", "second"]


def test_21_within_one_plugin_the_first_route_wins() -> None:
    app = create_app({}, plugins={"one": made_of(Route("/x", first), Route("/x", second))})
    with TestClient(app) as client:
        assert client.get("/x").text == "first"


# 22-23: prefixes and the route table ------------------------------------------------------

SITE = """
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route, Router
    from fps_lite import hookimpl
    from fps_lite.hooks import register_routes

    async def page(request):
        return PlainTextResponse(request.url.path)

    async def save(request):
        return PlainTextResponse("saved")

    plain = register_routes([
        Route("/", page, name="home"),
        Route("/save", save, methods=["PUT", "DELETE"]),
        Mount("/inner", routes=[Route("/page", page, name="page")], name="inner"),
        Mount("/files", app=Router()),
    ])
"""


def test_22_a_prefix_applies_to_routes_and_mounts_alike(site: Site, cli: Cli) -> None:
    site.plugin("pages", SITE)
    app = create_app({"pages": {"prefix": "/x"}})
    with TestClient(app) as client:
        for path in ("/x", "/x/", "/x/inner/page"):
            assert client.get(path).text == path
        assert [client.get(path).status_code for path in ("/", "/inner/page")] == [404, 404]
    assert app.url_path_for("inner:page") == "/x/inner/page"
    shown = cli("routes", "--pages.prefix=/x").stdout
    assert all(f" {path} " in shown for path in ("/x", "/x/", "/x/save", "/x/inner/page"))


def test_23_routes_shows_every_route_with_its_owner(site: Site, cli: Cli) -> None:
    site.plugin("pages", SITE, version="2.1")
    rows = json.loads(cli("routes", "--json").stdout)
    mine = [row for row in rows if row["plugin"] == "pages"]
    assert [(row["path"], row["methods"], row["name"]) for row in mine] == [
        ("/", ["GET", "HEAD"], "home"),
        ("/save", ["DELETE", "PUT"], "save"),
        ("/inner/page", ["GET", "HEAD"], "inner:page"),
        ("/files/", None, ""),
    ]
    assert {(row["distribution"], row["version"]) for row in mine} == {("pages", "2.1")}
    assert mine[1]["endpoint"] == f"pages_plugin.save, {site.path}/pages_plugin.py:10"
    listed = cli("routes").stdout.splitlines()
    assert listed[0].split() == "plugin methods path name endpoint distribution".split()
    assert [line.split()[0] for line in listed[1:]] == [row["plugin"] for row in rows]


# 24-25: exception handlers ----------------------------------------------------------------


async def handled(_: Request, error: Exception) -> PlainTextResponse:
    return PlainTextResponse(f"handled {type(error).__name__}", status_code=418)


async def looked_up(_: Request) -> PlainTextResponse:
    raise LookupError


def test_24_handlers_by_class_and_by_status_are_for_the_whole_app() -> None:
    handlers = {
        "by_class": register_exception_handler(LookupError, handled),
        "by_status": register_exception_handler(404, handled),
    }
    plugins = {"one": made_of(**handlers), "two": made_of(Route("/x", looked_up))}
    with TestClient(create_app({}, plugins=plugins)) as client:
        assert client.get("/x").text == "handled LookupError"
        assert client.get("/nowhere").text == "handled HTTPException"


@pytest.mark.parametrize("key, shown", [(LookupError, "LookupError"), (404, "404")])
def test_24_a_second_handler_names_both_plugins(key: Any, shown: str) -> None:
    plugins = {name: made_of(by=register_exception_handler(key, handled)) for name in ("one", "two")}
    with pytest.raises(PluginError) as raised:
        create_app({}, plugins=plugins)
    assert all(part in str(raised.value) for part in (shown, '"one"', '"two"'))


@pytest.mark.parametrize("url", ["/there?a=1", "https://example.org/å b", "../up"])
def test_25_a_redirect_exception_answers_307(url: str) -> None:
    async def away(_: Request) -> PlainTextResponse:
        raise RedirectException(url)

    with TestClient(create_app({}, plugins={"one": made_of(Route("/x", away))})) as client:
        answer = client.get("/x", follow_redirects=False)
    assert answer.status_code == 307
    assert answer.headers["location"] == PlainLocation(url)


def PlainLocation(url: str) -> str:  # noqa: N802
    return httpx2.URL(url).raw_path.decode() if url.startswith("/") else url.replace("å b", "%C3%A5%20b")


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
    import os
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
            import asyncio
            await asyncio.sleep(60)
        if config.fail:
            raise OSError(config.fail)
        print("+notes", state["auth"]("t0ken"), flush=True)
        state["db"]["notes"] = []
        yield {"notes": state["db"]["notes"]}
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


def test_26_a_chain_of_services_starts_in_order_and_stops_in_reverse(
    chain: None, serve: Serve
) -> None:
    server = serve()
    token = {"token": "t0ken"}
    assert httpx2.get(server.url + "/notes").status_code == 401
    httpx2.post(server.url + "/notes", headers=token, content="remember")
    assert httpx2.get(server.url + "/notes", headers=token).json() == [["ada", "remember"]]
    assert server.stop() == 0
    until(lambda: "-database" in server.lines)
    steps = [line for line in server.lines if line[0] in "+-"]
    assert steps == ["+database", "+auth", "+notes ada", "-notes", "-auth 2", "-database"]


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
    chain: None, cli: Cli, argv: list[str], why: str
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
    work: Path, no_colour: str, is_coloured: bool  # noqa: FBT001
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
    assert (ready, rest) == (f"serving on {url} (2 plugins, 3 routes)\n", "")
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


def served(argv: list[str], work: Path, uds: Path) -> str:
    """Return what `GET /hello` answers while `argv` listens on a unix socket."""
    with (work / "log").open("w") as log:
        process = subprocess.Popen(argv, cwd=work, stdout=log, stderr=log)
    try:
        until(lambda: uds.exists() or process.poll() is not None)
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(uds), retries=5)) as client:
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
    points = {"fps_lite.routes": {"greets": "greets.routes"}, "fps_lite.cli": {"greets": "greets.cli"}}
    site.install("greets", points, {"greets.routes": SITE, "greets.cli": command})
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


BROKEN = {"imports": "import no_such_module", "syntax": "def broken(:", "exits": "import sys; sys.exit(5)"}


@pytest.mark.parametrize("group", ["fps_lite.cli", "fps_lite.config", "fps_lite.plugins"])
def test_help_and_the_other_reading_commands_survive_broken_plugins(
    site: Site, cli: Cli, group: str
) -> None:
    for name, source in BROKEN.items():
        site.install(name, {group: {name: f"{name}_broken"}}, {f"{name}_broken": source})
    shown = cli("--help")
    assert shown.returncode == 0
    assert "serve" in shown.stdout
    plugins = cli("plugins", "--json")
    states = {row["name"]: row["state"] for row in json.loads(plugins.stdout)}
    assert states == {"hello": "enabled", "static": "enabled", **dict.fromkeys(BROKEN, "failed")}
    config = cli("config", "--json")
    assert json.loads(config.stdout)["hello"]["greeting"] == "hello"
    checked = cli("check")
    assert checked.returncode == 4
    named = [line for line in checked.stderr.splitlines() if line.startswith('plugin "')]
    assert [line.split('"')[1] for line in named] == sorted(BROKEN)
    for done in (shown, plugins, config, checked):
        assert "Traceback" not in done.stderr
