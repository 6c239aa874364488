from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from fps_lite import ConfigError, create_app
from fps_lite.settings import FPSConfig, HypercornConfig
from fps_lite_mcp.hosts import hosts_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SITE = """
from mcp.server import MCPServer
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

server = MCPServer("server")

async def plain(request):
    return PlainTextResponse("plain")

async def hello(websocket):
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()

foreign = Starlette(routes=[Route("/", plain), WebSocketRoute("/ws", hello)])
"""
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
BOTH = {"accept": "application/json, text/event-stream"}


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "hosts_site.py").write_text(SITE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("hosts_site", None)


@pytest.fixture
def fps_config() -> dict[str, Any]:
    servers = {name: {"app": f"hosts_site:{name}"} for name in ("server", "foreign")}
    return {"mcp": {"servers": servers, "allowed_hosts": ["tools.example.org"]}}


def statuses(client: TestClient, **sent: str) -> dict[str, int]:
    """Return what the page, a server of the SDK and an app of another library answer."""
    posted = client.post("/mcp/server", json=INITIALIZE, headers=BOTH | sent)
    got = {path: client.get(path, headers=sent) for path in ("/mcp", "/mcp/foreign")}
    return {"sdk": posted.status_code} | {path: one.status_code for path, one in got.items()}


@pytest.mark.parametrize(
    "host, status",
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("LocalHost.:80", 200),
        ("[::1]:1", 200),
        ("tools.example.org", 200),
        ("tools.example.org.:8443", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("localhost@evil.example", 421),
        ("evil@localhost", 421),
        ("evil..example", 421),
        ("", 421),
    ],
)
def test_every_server_and_the_page_answer_those_alone_who_name_a_host_of_ours(
    fps_client: TestClient, host: str, status: int
) -> None:
    assert set(statuses(fps_client, host=host).values()) == {status}


@pytest.mark.parametrize(
    "origin, status",
    [
        ("http://localhost:6274", 200),
        ("https://TOOLS.example.org", 200),
        ("https://evil.example", 403),
        ("null", 403),
        ("file://localhost", 403),
    ],
)
def test_every_server_and_the_page_refuse_the_pages_of_others(
    fps_client: TestClient, origin: str, status: int
) -> None:
    assert set(statuses(fps_client, host="localhost", origin=origin).values()) == {status}


def test_a_refusal_says_what_to_set(fps_client: TestClient) -> None:
    refused = fps_client.get("/mcp", headers={"host": "Other.example:8000"})
    assert refused.headers["content-type"] == "text/plain; charset=utf-8"
    assert refused.text == (
        'the host "Other.example:8000" is not answered: '
        'if it is yours, add "other.example" to mcp.allowed_hosts\n'
    )
    sent = {"host": "localhost", "origin": "https://other.example"}
    assert fps_client.get("/mcp", headers=sent).text == (
        'the origin "https://other.example" is not answered: '
        'if it is yours, add "other.example" to mcp.allowed_hosts\n'
    )
    nameless = fps_client.get("/mcp", headers={"host": "localhost", "origin": "null"})
    assert nameless.text == (
        'the origin "null" is not answered: mcp.allowed_hosts names those that are\n'
    )


def test_a_refused_websocket_is_closed(fps_client: TestClient) -> None:
    with fps_client.websocket_connect("/mcp/foreign/ws", headers={"host": "localhost"}) as opened:
        assert opened.receive_text() == "hello"
    for sent in ({"host": "evil.example"}, {"host": "localhost", "origin": "https://evil.example"}):
        # An answer of HTTP would raise a WebSocketDenialResponse.
        with (
            pytest.raises(WebSocketDisconnect) as refused,
            fps_client.websocket_connect("/mcp/foreign/ws", headers=sent),
        ):
            pass
        assert type(refused.value) is WebSocketDisconnect
        assert refused.value.code == 1008


TLS = HypercornConfig(insecure_bind=["plain.example:80"])


@pytest.mark.parametrize(
    "settings, allowed, yes, no",
    [
        (FPSConfig(), [], ["localhost:1"], ["0.0.0.0", "x"]),
        (FPSConfig(host="192.0.2.1"), [], ["192.0.2.1", "192.0.2.1:1", "localhost"], ["x"]),
        (FPSConfig(host="::1"), [], ["[::1]:1", "[0:0:0:0:0:0:0:1]"], ["[::2]"]),
        (
            FPSConfig(bind=["[2001:db8::1]:80", "a.example:1"]),
            [],
            ["[2001:DB8::1]", "a.example"],
            [],
        ),
        (FPSConfig(bind=["a.example:1"], hypercorn=TLS), [], ["plain.example", "a.example"], ["x"]),
        (FPSConfig(host="0.0.0.0"), ["b.example"], ["b.example:1", "localhost"], ["x", "0.0.0.0"]),
        (FPSConfig(bind=["unix:/run/x"]), ["b.example"], ["b.example"], ["", "x"]),
        # What people write: a port, capitals, a last dot, an address, a wildcard, a name as read.
        (FPSConfig(), ["b.example:8443"], ["b.example:8443"], ["b.example", "b.example:1"]),
        (FPSConfig(), ["b.example:443"], ["b.example:443", "b.example"], ["b.example:8443"]),
        (FPSConfig(), ["B.Example."], ["b.example", "b.EXAMPLE.:1"], ["bb.example"]),
        (FPSConfig(), ["2001:db8::1"], ["[2001:db8::1]", "[2001:db8::1]:1"], ["[2001:db8::2]"]),
        (FPSConfig(), ["[2001:DB8::1]:80"], ["[2001:db8::1]"], ["[2001:db8::1]:1"]),
        (
            FPSConfig(),
            ["*.b.example"],
            ["a.b.example:1", "x.a.b.example"],
            ["b.example", "ab.example"],
        ),
        (FPSConfig(), ["tür.example"], ["xn--tr-xka.example"], ["tur.example"]),
    ],
)
def test_hosts_are_those_listened_on_and_those_allowed(
    settings: FPSConfig, allowed: list[str], yes: list[str], no: list[str]
) -> None:
    hosts = hosts_of(settings, allowed)
    assert [one for one in yes if not hosts.allow(one)] == []
    assert [one for one in no if hosts.allow(one)] == []


@pytest.mark.parametrize(
    "settings, allowed",
    [
        (FPSConfig(host="0.0.0.0"), []),
        (FPSConfig(host="::"), []),
        (FPSConfig(bind=["a.example:1", "unix:/run/x"]), []),
        (FPSConfig(bind=["fd://3"]), []),
        (FPSConfig(), ["*"]),
    ],
)
def test_any_host_is_answered_where_nobody_knows_the_name_or_all_are_allowed(
    settings: FPSConfig, allowed: list[str]
) -> None:
    servers = {"foreign": {"app": "hosts_site:foreign"}}
    shown = {"host": settings.host} if not settings.bind else {"bind": settings.bind}
    config = {"fps": shown, "mcp": {"servers": servers, "allowed_hosts": allowed}}
    with TestClient(create_app(config)) as client:
        sent = {"host": "x.example", "origin": "null"}
        assert client.get("/mcp/foreign", headers=sent).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["https://b.example", "b.example/mcp", "b.example:", "b.example:port", "", "a b", "*:80", "a*"],
)
def test_what_is_no_host_is_refused_at_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    (tmp_path / "fps.toml").write_text(f'[mcp]\nallowed_hosts = ["ok.example", "{host}"]\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refused:
        create_app()
    assert str(refused.value) == (
        "fps.toml:2:32: mcp.allowed_hosts[1]: "
        f'expected str (a host like "tools.example.org", no URL), got "{host}"'
    )
