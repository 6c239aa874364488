"""A real server, in the clear and by TLS, with every feature on."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import trustme
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOON = 20.0
TOLD = {"x-forwarded-proto": "https"}

SITE = """
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from fps_lite import hookimpl

@hookimpl
def routes():
    async def echo(request):
        body = await request.body()
        return PlainTextResponse(f"{request.method} {request.url.path} {body.decode()}")

    async def talk(websocket):
        await websocket.accept()
        await websocket.send_text("hi")
        await websocket.close()

    everything = Route("/{path:path}", echo, methods=["GET", "POST"])
    return [WebSocketRoute("/ws", talk), WebSocketRoute("/health/ws", talk), everything]
"""

CONFIG = """
[fps]
workers = 0
enabled_plugins = ["browser_security", "site"]

[fps.plugins]
site = "site_of_test"

[browser_security.https]
host = "www.example.org:8443"
exempt = ["/health"]

[browser_security.hsts]
max_age = 300
include_subdomains = true

[browser_security.cross_site]

[browser_security.csp.directives]
default-src = ["'self'"]
"""


@contextmanager
def serving(work: Path, config: str, *argv: str) -> Iterator[list[str]]:
    """Serve what is configured, and yield the URLs."""
    (work / "fps.toml").write_text(config)
    (work / "site_of_test.py").write_text(SITE)
    command = [sys.executable, "-m", "fps_lite", "serve", "--port", "0", *argv]
    process = subprocess.Popen(
        command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        yield re.findall(r"https?://[^\s,]+", process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=SOON)


def raw(url: str, head: str) -> tuple[int, dict[str, str]]:
    """Send a head as it is; return the status and the headers."""
    address = ("127.0.0.1", int(url.rpartition(":")[2]))
    with socket.create_connection(address, timeout=SOON) as sock:
        sock.sendall(head.encode("latin-1") + b"\r\nconnection: close\r\n\r\n")
        answer = b""
        while part := sock.recv(65536):
            answer += part
    first, *lines = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    return int(first.split()[1]), {name.lower(): value for name, _, value in pairs}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def urls(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    work = tmp_path_factory.mktemp("work")
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(work / "key.pem")
    issued.cert_chain_pems[0].write_to_path(work / "cert.pem")
    tls = '[fps.hypercorn]\ncertfile = "cert.pem"\nkeyfile = "key.pem"\n'
    with serving(work, f'{CONFIG}{tls}insecure_bind = ["127.0.0.1:0"]\n') as found:
        yield found


@pytest.fixture
def trust(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(params=[False, True], ids=["HTTP/1.1", "HTTP/2"])
def secure(
    urls: list[str], trust: ssl.SSLContext, request: pytest.FixtureRequest
) -> Iterator[httpx2.Client]:
    http2: bool = request.param
    with httpx2.Client(base_url=urls[0], http2=http2, verify=trust, trust_env=False) as client:
        yield client


@pytest.fixture
def plain(urls: list[str]) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=urls[1], trust_env=False) as client:
        yield client


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_plain_http_is_redirected_whatever_it_is(plain: httpx2.Client, method: str) -> None:
    answer = plain.request(method, "/a/b%2Fc%20d?x=1&y=%C3%A9", headers={"host": "evil.example"})
    assert answer.status_code == 308
    assert answer.headers["location"] == "https://www.example.org:8443/a/b%2Fc%20d?x=1&y=%C3%A9"
    assert "strict-transport-security" not in answer.headers
    assert "content-security-policy" not in answer.headers


@pytest.mark.parametrize(
    "target, path",
    [
        ("/", "/"),
        ("//evil.example/x", "//evil.example/x"),
        ("@evil.example/", "/@evil.example/"),
        (".evil.example/", "/.evil.example/"),
        ("http://evil.example/x", "/http://evil.example/x"),
        ("/x?y=//evil.example", "/x?y=//evil.example"),
        ("/x\\evil", "/x%5Cevil"),
    ],
)
def test_host_of_the_redirect_is_never_the_clients(urls: list[str], target: str, path: str) -> None:
    head = f"GET {target} HTTP/1.1\r\nhost: evil.example\r\nx-forwarded-host: evil.example"
    status, headers = raw(urls[1], head)
    assert status == 308
    assert headers["location"] == f"https://www.example.org:8443{path}"


def test_word_of_a_proxy_is_not_taken_unasked(plain: httpx2.Client) -> None:
    assert plain.get("/a", headers=TOLD).status_code == 308


def test_exempt_path_is_answered_in_the_clear(plain: httpx2.Client) -> None:
    answer = plain.get("/health/live")
    assert (answer.status_code, answer.text) == (200, "GET /health/live ")
    assert "strict-transport-security" not in answer.headers
    assert answer.headers["content-security-policy"] == "default-src 'self'"
    assert plain.get("/healthy").status_code == 308


def test_plain_websocket_is_refused(urls: list[str], trust: ssl.SSLContext) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{urls[1].replace('http', 'ws')}/ws", proxy=None)
    assert refused.value.response.status_code == 403
    with connect(f"{urls[1].replace('http', 'ws')}/health/ws", proxy=None) as websocket:
        assert websocket.recv(SOON) == "hi"
    wss = f"{urls[0].replace('https', 'wss')}/ws"
    elsewhere = {"origin": "https://evil.example"}
    with connect(wss, ssl=trust, proxy=None, additional_headers=elsewhere) as websocket:
        assert websocket.recv(SOON) == "hi"


def test_browser_is_told_over_tls_to_come_by_tls_alone(secure: httpx2.Client) -> None:
    answer = secure.get("/a")
    assert (answer.status_code, answer.text) == (200, "GET /a ")
    assert answer.headers["strict-transport-security"] == "max-age=300; includeSubDomains"
    assert answer.headers["content-security-policy"] == "default-src 'self'"


def test_change_over_tls_is_checked_with_either_version(secure: httpx2.Client) -> None:
    own = str(secure.base_url).rstrip("/")
    here: dict[str, str] = {"origin": own}
    for said, status in (
        ({}, 200),
        (here, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": own.replace("https", "http")}, 403),
        ({**here, "sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://evil.example", "sec-fetch-site": "same-origin"}, 200),
    ):
        answer = secure.post("/a", content=b"x", headers=said)
        assert answer.status_code == status, said
        assert answer.text == "POST /a x" or status == 403
        assert "strict-transport-security" in answer.headers


def test_proxy_that_ends_tls_is_believed_where_that_is_said(tmp_path: Path) -> None:
    argv = ["--browser_security.forwarded_proto=true", "--fps.root_path=/out"]
    with serving(tmp_path, CONFIG, *argv) as (url,), httpx2.Client(base_url=url) as client:
        for told in ("https", "HTTPS", "https, http"):
            answer = client.get("/a", headers={"x-forwarded-proto": told})
            assert answer.status_code == 200
            assert answer.headers["strict-transport-security"] == "max-age=300; includeSubDomains"
        for told in ("http", "", "http, https", "xhttps"):
            answer = client.get("/a", headers={"x-forwarded-proto": told})
            assert answer.headers["location"] == "https://www.example.org:8443/out/a"
        here = {"host": "app.example.org", **TOLD}
        sent: dict[str, Any] = {"origin": "https://app.example.org", **here}
        assert client.post("/a", headers=sent).status_code == 200
        assert client.post("/a", headers={**sent, "origin": "http://app.example.org"}).is_error
        assert client.get("/health/live").status_code == 200


def test_redirect_is_off_again_by_one_option(tmp_path: Path) -> None:
    with serving(tmp_path, CONFIG, "--browser_security.https.enabled=false") as (url,):
        assert raw(url, "GET /a HTTP/1.1\r\nhost: a")[0] == 200
