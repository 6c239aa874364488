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

from fps_lite import ConfigError, PluginError, create_app
from fps_lite.settings import FPSConfig
from fps_lite_mcp.hosts import security_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Serve: TypeAlias = "Callable[..., tuple[subprocess.Popen[str], str]]"

WEATHER = '''
import asyncio
from contextlib import asynccontextmanager
from mcp.server import MCPServer

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

calculator = MCPServer("calculator")
nothing = 5

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

    async def streams() -> tuple[bool, str, float]:
        async with httpx2.AsyncClient(base_url=url, timeout=40) as client:
            opened = await client.post("/mcp/weather", json=INITIALIZE, headers=BOTH)
            headers = BOTH | {"mcp-session-id": opened.headers["mcp-session-id"]}
            note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
            await client.post("/mcp/weather", json=note, headers=headers)
            events = {**headers, "accept": "text/event-stream"}
            async with client.stream("GET", "/mcp/weather", headers=events) as stream:
                call = asyncio.create_task(client.post("/mcp/weather", json=CALL, headers=headers))
                await asyncio.sleep(0.5)
                process.terminate()
                began = time.monotonic()
                # Raises if the body is cut rather than ended.
                async for _ in stream.aiter_raw():
                    pass
                ended = time.monotonic() - began
            return stream.status_code == 200, (await call).text, ended

    is_ok, called, ended = asyncio.run(streams())
    assert is_ok
    assert "done" in called
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


@pytest.mark.parametrize(
    "host, answer",
    [("127.0.0.1:8000", 200), ("localhost", 200), ("[::1]:1", 200), ("evil.example", 421)],
)
def test_request_must_name_a_host_that_is_ours(
    fps_client: TestClient, host: str, answer: int
) -> None:
    headers = BOTH | {"host": host}
    got = fps_client.post("/mcp/weather", json=INITIALIZE, headers=headers)
    assert got.status_code == answer


@pytest.mark.parametrize(
    "settings, allowed, answered, refused",
    [
        (FPSConfig(), [], ["localhost:*"], ["0.0.0.0"]),
        (FPSConfig(host="192.0.2.1"), [], ["192.0.2.1", "192.0.2.1:*", "localhost"], ["x"]),
        (FPSConfig(host="::1"), [], ["[::1]:*"], ["x"]),
        (
            FPSConfig(bind=["[2001:db8::1]:80", "a.example:1"]),
            [],
            ["[2001:db8::1]", "a.example"],
            [],
        ),
        (FPSConfig(host="0.0.0.0"), ["b.example"], ["b.example:*"], ["x", "0.0.0.0"]),
        (FPSConfig(bind=["unix:/run/x"]), ["b.example"], ["b.example"], [""]),
    ],
)
def test_hosts_are_those_listened_on_and_those_allowed(
    settings: FPSConfig, allowed: list[str], answered: list[str], refused: list[str]
) -> None:
    security = security_of(settings, allowed)
    assert security.enable_dns_rebinding_protection
    assert set(answered) <= set(security.allowed_hosts)
    assert set(refused).isdisjoint(security.allowed_hosts)


@pytest.mark.parametrize(
    "settings", [FPSConfig(host="0.0.0.0"), FPSConfig(host="::"), FPSConfig(bind=["unix:/run/x"])]
)
def test_any_host_is_answered_where_nobody_knows_the_name(settings: FPSConfig) -> None:
    assert not security_of(settings, []).enable_dns_rebinding_protection


@pytest.mark.parametrize(
    "app, problem",
    [
        ("nowhere:server", "cannot import nowhere:server: No module named 'nowhere'"),
        ("weather_site:none", "cannot import weather_site:none: "),
        ("weather_site:nothing", 'weather_site:nothing is a "int", which is no MCP server'),
    ],
)
def test_what_is_no_server_is_refused_in_one_line(app: str, problem: str) -> None:
    with pytest.raises(PluginError) as refused:
        create_app({"mcp": {"servers": {"x": {"app": app}}}})
    assert f"mcp.servers.x.app: {problem}" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "server", [{}, {"app": "x"}, {"app": "a:b", "path": "x"}, {"app": "a:b", "pth": "/x"}]
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
