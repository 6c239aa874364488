from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx2
import pytest
from mcp.client import Client
from starlette.testclient import TestClient

from fps_lite import ConfigError, PluginError, StartupError, create_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Serve: TypeAlias = "Callable[..., tuple[subprocess.Popen[str], str]]"

WEATHER = '''
import asyncio
from contextlib import asynccontextmanager
from mcp.server import MCPServer
from starlette.responses import PlainTextResponse

RUNNING = []

@asynccontextmanager
async def lifespan(server):
    RUNNING.append(server.name)
    yield {}
    RUNNING.remove(server.name)

server = MCPServer("weather", title="Weather", description="Out <there>.", lifespan=lifespan)

@server.tool()
def forecast(city: str) -> str:
    """Say how it will be in a city."""
    return f"sunny in {city}, {len(RUNNING)} running"

@server.tool()
async def slow() -> str:
    """Take some time."""
    await asyncio.sleep(1)
    return "done"

@asynccontextmanager
async def fails(server):
    raise OSError("no database")
    yield

@server.custom_route("/slow", methods=["GET"])
async def slow_page(request):
    await asyncio.sleep(1)
    return PlainTextResponse("done")

calculator = MCPServer("calculator")
inner = MCPServer("inner").streamable_http_app()
at_root = MCPServer("at_root").streamable_http_app(streamable_http_path="/")
broken = MCPServer("broken", lifespan=fails)
nothing = 5

class Fast:  # a server of the library fastmcp: it has no other door, or an old one too
    def http_app(self, path): ...
    def streamable_http_app(self): ...

fm = Fast()

async def plain(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"plain"})
'''
HTML = {"accept": "text/html"}
JSON = {"accept": "application/json"}


@pytest.fixture(autouse=True)
def weather(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "weather_site.py").write_text(WEATHER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("weather_site", None)


@pytest.fixture
def fps_config() -> dict[str, Any]:
    servers = {
        "weather": {"app": "weather_site:server"},
        "calculator": {"app": "weather_site:calculator", "path": "/calc", "stateless": True},
        "plain": {"app": "weather_site:plain"},
    }
    return {"mcp": {"servers": servers, "allowed_hosts": ["testserver"]}}


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    started: list[subprocess.Popen[str]] = []

    def start(*argv: str) -> tuple[subprocess.Popen[str], str]:
        (tmp_path / "fps.toml").write_text('[mcp.servers.weather]\napp = "weather_site:server"\n')
        process = subprocess.Popen(
            [sys.executable, "-m", "fps_lite", "serve", "--port", "0", *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        ready = re.search(r"serving on (\S+)", process.stdout.readline())
        assert ready is not None
        return process, ready[1]

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=10)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_client_lists_and_calls_a_tool(serve: Serve, mode: str) -> None:
    process, url = serve()

    async def session() -> tuple[list[str], Any]:
        async with Client(f"{url}/mcp/weather", mode=mode) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            return tools, await client.call_tool("forecast", {"city": "Oslo"})

    tools, answer = asyncio.run(session())
    assert tools == ["forecast", "slow"]
    assert answer.content[0].text == "sunny in Oslo, 1 running"
    process.terminate()
    assert process.wait(10) == 0


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
CALL = {"jsonrpc": "2.0", "id": 2, "method": "tools/call"} | {
    "params": {"name": "slow", "arguments": {}}
}
BOTH = {"accept": "application/json, text/event-stream"}


def test_open_streams_end_in_order_and_calls_are_finished(serve: Serve) -> None:
    process, url = serve("--fps.drain_timeout=30")

    async def streams() -> tuple[bool, list[str], float]:
        async with httpx2.AsyncClient(base_url=url, timeout=40) as client:
            opened = await client.post("/mcp/weather", json=INITIALIZE, headers=BOTH)
            headers = BOTH | {"mcp-session-id": opened.headers["mcp-session-id"]}
            note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
            await client.post("/mcp/weather", json=note, headers=headers)
            events = {**headers, "accept": "text/event-stream"}
            async with client.stream("GET", "/mcp/weather", headers=events) as stream:
                called = client.post("/mcp/weather", json=CALL, headers=headers)
                calls = asyncio.gather(called, client.get("/mcp/weather/slow"))
                await asyncio.sleep(0.5)
                process.terminate()
                began = time.monotonic()
                # Raises if the body is cut rather than ended.
                async for _ in stream.aiter_raw():
                    pass
                ended = time.monotonic() - began
            return stream.status_code == 200, [one.text for one in await calls], ended

    is_ok, called, ended = asyncio.run(streams())
    assert is_ok
    assert ["done" in text for text in called] == [True, True]
    assert ended < 15
    assert process.wait(15) == 0


def test_every_server_runs_under_its_own_path(fps_client: TestClient) -> None:
    for path in ("/mcp/weather", "/calc", "/mcp/weather/"):
        answer = fps_client.post(path, json=INITIALIZE, headers=BOTH)
        assert answer.status_code == 200, answer.text
        assert "serverInfo" in answer.text
    # Without sessions there is none to be named.
    stateless = fps_client.post("/calc", json=INITIALIZE, headers=BOTH)
    assert "mcp-session-id" not in stateless.headers
    assert fps_client.get("/mcp/plain").text == "plain"


def test_routes_are_told_by_what_the_configuration_says(tmp_path: Path) -> None:
    (tmp_path / "fps.toml").write_text('[mcp.servers.weather]\napp = "weather_site:server"\n')
    run = [sys.executable, "-m", "fps_lite", "routes"]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=30)
    assert "weather_site:server, mcp.servers.weather" in done.stdout


def test_app_can_be_started_again(fps_app: Any) -> None:
    for _ in range(2):
        with TestClient(fps_app) as client:
            answer = client.post("/mcp/weather", json=INITIALIZE, headers=BOTH)
            assert answer.status_code == 200


def test_index_lists_the_servers_and_their_tools(fps_client: TestClient) -> None:
    listed = fps_client.get("/mcp", headers=JSON).json()["servers"]
    assert [one["url"] for one in listed] == [
        "http://testserver/mcp/weather",
        "http://testserver/calc",
        "http://testserver/mcp/plain",
    ]
    assert listed[0]["tools"][0] == {
        "name": "forecast",
        "description": "Say how it will be in a city.",
    }
    page = fps_client.get("/mcp", headers=HTML)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "http://testserver/calc" in page.text
    assert "Out &lt;there&gt;." in page.text


@pytest.mark.parametrize("root", ["", "/root"])
def test_index_knows_the_whole_prefix(fps_config: dict[str, Any], root: str) -> None:
    config = {"fps": {"root_path": root}, "mcp": {**fps_config["mcp"], "prefix": "/ai"}}
    with TestClient(create_app(config), root_path=root) as client:
        listed = client.get(f"{root}/ai/mcp", headers=JSON).json()["servers"]
        assert listed[0]["url"] == f"http://testserver{root}/ai/mcp/weather"
        answer = client.post(listed[0]["url"], json=INITIALIZE, headers=BOTH)
        assert answer.status_code == 200


@pytest.mark.parametrize("index", [{"index": "/tools"}, {}])
def test_index_gives_way_to_a_server_at_its_path(index: dict[str, str]) -> None:
    servers = {"weather": {"app": "weather_site:server", "path": "/mcp"}}
    config = {"mcp": {"servers": servers, "allowed_hosts": ["testserver"], **index}}
    with TestClient(create_app(config)) as client:
        assert client.post("/mcp", json=INITIALIZE, headers=BOTH).status_code == 200
        assert (client.get("/tools").status_code == 200) == bool(index)


@pytest.mark.parametrize("fps_config", [{}])
def test_nothing_is_claimed_by_default(fps_client: TestClient) -> None:
    assert fps_client.get("/mcp", headers=HTML).status_code == 404


def names(client: TestClient, *paths: str) -> list[str]:
    """Return the name of the server that answers at each path."""
    answers = [client.post(path, json=INITIALIZE, headers=BOTH) for path in paths]
    return [re.findall(r'"serverInfo":.*?"name":"(\w+)', one.text)[0] for one in answers]


@pytest.mark.parametrize("first", ["outer", "inner"])
def test_a_server_below_another_ones_path_is_found(first: str) -> None:
    servers = {
        "outer": {"app": "weather_site:server", "path": "/ai"},
        "inner": {"app": "weather_site:calculator", "path": "/ai/calc"},
    }
    servers = {first: servers[first]} | servers
    config = {"mcp": {"servers": servers, "allowed_hosts": ["testserver"]}}
    with TestClient(create_app(config)) as client:
        assert names(client, "/ai", "/ai/calc") == ["weather", "calculator"]


def test_servers_may_stand_above_and_below_the_page() -> None:
    servers = {
        "outer": {"app": "weather_site:server", "path": "/ai"},
        "inner": {"app": "weather_site:calculator", "path": "/ai/list/calc"},
    }
    hosts = ["testserver"]
    config = {"mcp": {"servers": servers, "allowed_hosts": hosts, "index": "/ai/list"}}
    with TestClient(create_app(config)) as client:
        assert names(client, "/ai", "/ai/list/calc") == ["weather", "calculator"]
        assert len(client.get("/ai/list", headers=JSON).json()["servers"]) == 2


@pytest.mark.parametrize(
    "first, second, path",
    [
        ("", 'path = "/mcp/a"', "/mcp/a"),
        ('path = "/x"', 'path = "/x"', "/x"),
    ],
)
def test_two_servers_of_one_path_are_one_error(
    tmp_path: Path, first: str, second: str, path: str
) -> None:
    lines = ["[mcp]", "[mcp.servers.a]", first, "[mcp.servers.b]", second]
    app = 'app = "weather_site:server"'
    (tmp_path / "fps.toml").write_text("\n".join([*lines[:2], app, *lines[2:4], app, *lines[4:]]))
    with pytest.raises(ConfigError) as refused:
        create_app()
    assert str(refused.value) == f'fps.toml:1:1: mcp: servers "a" and "b" have one path, "{path}"'


def test_one_server_may_have_two_paths() -> None:
    servers = {
        "sessions": {"app": "weather_site:server"},
        "stateless": {"app": "weather_site:server", "stateless": True},
    }
    config = {"mcp": {"servers": servers, "allowed_hosts": ["testserver"]}}
    with TestClient(create_app(config)) as client:
        assert names(client, "/mcp/sessions", "/mcp/stateless") == ["weather", "weather"]


def test_twenty_servers_start_at_once() -> None:
    servers = {
        f"s{n}": {"app": f"weather_site:{'calculator' if n else 'server'}"} for n in range(20)
    }
    config = {"mcp": {"servers": servers, "allowed_hosts": ["testserver"]}}
    with TestClient(create_app(config)) as client:
        found = names(client, *(f"/mcp/s{n}" for n in range(20)))
        assert found == ["weather", *["calculator"] * 19]


def test_a_server_that_does_not_start_ends_the_start() -> None:
    app = create_app({"mcp": {"servers": {"x": {"app": "weather_site:broken"}}}})
    with pytest.raises(StartupError, match=r"mounted at /mcp/x .* OSError: no database"):
        TestClient(app).__enter__()


def test_a_server_that_does_not_start_is_shown_so_and_the_others_run(
    fps_config: dict[str, Any],
) -> None:
    config = fps_config["mcp"] | {"on_failure": "isolate"}
    config["servers"]["broken"] = {"app": "weather_site:broken"}
    with TestClient(create_app({"mcp": config})) as client:
        assert client.post("/mcp/broken", json=INITIALIZE, headers=BOTH).status_code == 503
        assert names(client, "/mcp/weather") == ["weather"]
        listed = {one["name"]: one for one in client.get("/mcp", headers=JSON).json()["servers"]}
        assert {name: one["running"] for name, one in listed.items()} == {
            "weather": True,
            "calculator": True,
            "plain": True,
            "broken": False,
        }
        page = client.get("/mcp", headers=HTML).text
    assert page.count("Not running") == 1
    snippet = page.partition("<pre>")[2]
    assert "/mcp/weather" in snippet
    assert "/mcp/broken" not in snippet


@pytest.mark.parametrize(
    "app, problem",
    [
        ("nowhere:server", "cannot import nowhere:server: No module named 'nowhere'"),
        ("weather_site:none", "cannot import weather_site:none: module 'weather_site' has no "),
        ("weather_site:nothing", "weather_site:nothing is an int, neither an MCPServer nor an "),
        ("weather_site:fails", "weather_site:fails is a function, neither an MCPServer nor "),
        ("weather_site:MCPServer", "weather_site:MCPServer is a class, neither an MCPServer nor "),
        (
            "weather_site:fm",
            'is a server of another library: write app = fm.http_app(path="/") there',
        ),
    ],
)
def test_what_is_no_server_is_refused_in_one_line(app: str, problem: str) -> None:
    with pytest.raises(PluginError) as refused:
        create_app({"mcp": {"servers": {"x": {"app": app}}}})
    said = str(refused.value)
    assert "mcp.servers.x.app: " in said
    assert problem in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "source, problem",
    [
        ("\nraise ValueError('no key')", "ValueError: no key ({}:2)"),
        ("import sys\nsys.exit('bye')", "SystemExit: bye ({}:2)"),
        ("raise SystemExit", "SystemExit ({}:1)"),
        ("\n\nimport nowhere", "ModuleNotFoundError: No module named 'nowhere' ({}:3)"),
        ("def f(:", "SyntaxError: invalid syntax ({}:1)"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_with_the_line(
    tmp_path: Path, source: str, problem: str
) -> None:
    file = tmp_path / "raising_site.py"
    file.write_text(source)
    with pytest.raises(PluginError) as refused:
        create_app({"mcp": {"servers": {"x": {"app": "raising_site:server"}}}})
    said = f"mcp.servers.x.app: cannot import raising_site:server: {problem.format(file)}"
    assert str(refused.value).endswith(said)


def test_server_that_cannot_be_used_is_named_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "fps.toml").write_text('[mcp.servers.x]\napp = "weather_site:none"\n')
    with pytest.raises(PluginError, match=r"fps\.toml:2:7: mcp\.servers\.x\.app: cannot import"):
        create_app(directory=tmp_path)


def test_all_servers_that_are_none_are_named_at_once() -> None:
    servers = {name: {"app": f"weather_site:{name}"} for name in ("none", "nothing", "server")}
    with pytest.raises(PluginError) as refused:
        create_app({"mcp": {"servers": servers}})
    none, nothing = sorted(refused.value.problems)
    assert none.startswith("config: mcp.servers.none.app: cannot import weather_site:none: ")
    assert nothing.startswith("config: mcp.servers.nothing.app: weather_site:nothing is an int, ")


def test_server_that_cannot_be_had_is_left_out_alone_if_the_plugin_is_isolated(
    tmp_path: Path, serve: Serve
) -> None:
    servers = '[mcp.servers.nowhere]\napp = "nowhere:server"\n'
    servers += '[mcp.servers.nothing]\napp = "weather_site:nothing"\n'
    (tmp_path / "mcp.toml").write_text(servers)
    run = [sys.executable, "-m", "fps_lite", "check", "--mcp.on_failure=isolate"]
    (tmp_path / "fps.toml").write_text('[mcp.servers.weather]\napp = "weather_site:server"\n')
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=30)
    assert done.stderr.splitlines() == [
        (
            "warning: mcp.toml:2:7: mcp.servers.nowhere.app is left out: "
            "cannot import nowhere:server: No module named 'nowhere'"
        ),
        (
            "warning: mcp.toml:4:7: mcp.servers.nothing.app is left out: "
            "weather_site:nothing is an int, neither an MCPServer nor an ASGI app"
        ),
    ]
    _, url = serve("--mcp.on_failure=isolate")
    with httpx2.Client(base_url=url, timeout=20) as client:
        for path in ("/mcp/nowhere", "/mcp/nothing"):
            assert client.post(path, json=INITIALIZE, headers=BOTH).status_code == 503
        assert client.post("/mcp/weather", json=INITIALIZE, headers=BOTH).status_code == 200
        listed = client.get("/mcp", headers=JSON).json()["servers"]
    running = {one["name"]: one["running"] for one in listed}
    assert running == {"weather": True, "nowhere": False, "nothing": False}


def test_stateless_is_refused_at_its_place_for_what_is_an_app(tmp_path: Path) -> None:
    table = '[mcp.servers.x]\napp = "weather_site:plain"\nstateless = true\n'
    (tmp_path / "fps.toml").write_text(table)
    with pytest.raises(PluginError) as refused:
        create_app(directory=tmp_path)
    assert str(refused.value) == (
        "fps.toml:3:13: mcp.servers.x.stateless: weather_site:plain is an app, "
        "which keeps sessions or not as it was made: leave stateless out"
    )


def test_page_shows_where_an_app_of_the_sdk_answers() -> None:
    servers = {name: {"app": f"weather_site:{name}"} for name in ("inner", "at_root", "plain")}
    with TestClient(create_app({"mcp": {"servers": servers}}), "http://localhost:1") as client:
        listed = client.get("/mcp", headers=JSON).json()["servers"]
        assert [one["url"] for one in listed] == [
            "http://localhost:1/mcp/inner/mcp",
            "http://localhost:1/mcp/at_root",
            "http://localhost:1/mcp/plain",
        ]
        for one in listed[:2]:
            answer = client.post(one["url"], json=INITIALIZE, headers=BOTH)
            assert answer.status_code == 200, one


@pytest.mark.parametrize(
    "server",
    [
        {},
        {"app": "x"},
        {"app": "weather.py:server"},
        {"app": "a:b", "path": "x"},
        {"app": "a:b", "path": "/x?y"},
        {"app": "a:b", "pth": "/x"},
    ],
)
def test_server_that_is_configured_wrong_is_an_error(server: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"mcp\.servers\.x"):
        create_app({"mcp": {"servers": {"x": server}}})


def test_reading_configuration_does_not_import_the_sdk(tmp_path: Path) -> None:
    code = (
        "import atexit, sys; from fps_lite.cli import main; sys.argv[1:] = ['config'];"
        "atexit.register(lambda: print(*sys.modules)); main()"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=30, cwd=tmp_path)
    modules = set(done.stdout.splitlines()[-1].split())
    assert "fps_lite_mcp.config" in modules
    assert not {"mcp", "starlette"} & modules
