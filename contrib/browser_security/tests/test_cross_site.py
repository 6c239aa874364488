from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient

from fps_lite import create_app, hookimpl
from fps_lite_browser_security import config, stack

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.websockets import WebSocket

TRUSTED, EVIL = "https://app.example.org", "https://evil.example"
UNSAFE = ["POST", "PUT", "PATCH", "DELETE", "PURGE"]


class Site:
    """An app that changes something at every path."""

    @staticmethod
    @hookimpl
    def routes() -> list[BaseRoute]:
        async def change(request: Request) -> Response:
            return PlainTextResponse("changed " + request.url.path)

        async def talk(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.close()

        methods = ["GET", *UNSAFE, "OPTIONS"]
        route = Route("/{path:path}", change, methods=methods)
        return [WebSocketRoute("/ws", talk), route]


@pytest.fixture
def fps_plugins() -> dict[str, object]:
    ours = SimpleNamespace(config=config.config, middleware=stack.middleware)
    return {"browser_security": ours, "site": Site}


@pytest.fixture
def cross_site() -> dict[str, Any]:
    return {"trusted_origins": [TRUSTED + ":443"], "exempt": ["/hooks"]}


@pytest.fixture
def fps_config(cross_site: dict[str, Any]) -> dict[str, Any]:
    return {"browser_security": {"cross_site": cross_site}}


def sent(
    client: TestClient, path: str = "/change", method: str = "POST", **said: str | None
) -> int:
    names = {"site": "sec-fetch-site", "origin": "origin", "host": "host"}
    headers = {names[key]: value for key, value in said.items() if value is not None}
    return client.request(method, path, headers=headers).status_code


@pytest.mark.parametrize("origin", [None, "null", EVIL, "http://testserver"])
@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_own_page_is_answered_whatever_its_origin(
    fps_client: TestClient, site: str, origin: str | None
) -> None:
    assert sent(fps_client, site=site, origin=origin) == 200


@pytest.mark.parametrize("origin", [None, "null", EVIL, "http://testserver"])
@pytest.mark.parametrize("site", ["same-site", "cross-site", "Same-Origin", "x", "none, none"])
@pytest.mark.parametrize("method", UNSAFE)
def test_change_of_another_site_is_refused(
    fps_client: TestClient, method: str, site: str, origin: str | None
) -> None:
    assert sent(fps_client, method=method, site=site, origin=origin) == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_safe_method_is_answered(fps_client: TestClient, method: str) -> None:
    assert sent(fps_client, method=method, site="cross-site", origin=EVIL) == 200


def test_client_that_is_no_browser_is_answered(fps_client: TestClient) -> None:
    assert sent(fps_client) == 200


@pytest.mark.parametrize("site", [None, "same-site", "cross-site"])
@pytest.mark.parametrize("origin", [TRUSTED, TRUSTED + ":443", TRUSTED.upper()])
def test_trusted_origin_is_answered(fps_client: TestClient, origin: str, site: str | None) -> None:
    assert sent(fps_client, origin=origin, site=site) == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://app.example.org",
        "https://app.example.org:8443",
        "https://app.example.org.evil.example",
        "https://evil-app.example.org",
        "https://example.org",
        "https://app.example.org/",
        "https://app.example.org@evil.example",
        f"{TRUSTED}, {EVIL}",
        "null",
    ],
)
@pytest.mark.parametrize("site", [None, "cross-site"])
def test_what_only_looks_like_a_trusted_origin_is_refused(
    fps_client: TestClient, origin: str, site: str | None
) -> None:
    assert sent(fps_client, origin=origin, site=site) == 403


@pytest.mark.parametrize(
    "origin, host",
    [
        ("http://testserver", "testserver"),
        ("http://testserver", "TestServer:80"),
        ("http://testserver:80", "testserver"),
        ("http://testserver:8000", "testserver:8000"),
        ("http://[::1]:8000", "[0:0:0:0:0:0:0:1]:8000"),
        ("https://testserver", "testserver"),  # a proxy ends TLS
        ("https://testserver", "testserver:443"),
    ],
)
def test_old_browser_is_answered_at_its_own_origin(
    fps_client: TestClient, origin: str, host: str
) -> None:
    assert sent(fps_client, origin=origin, host=host) == 200


@pytest.mark.parametrize(
    "origin, host",
    [
        (EVIL, "testserver"),
        ("null", "testserver"),
        ("null", "null"),
        ("http://testserver", "testserver:8000"),
        ("http://testserver:8000", "testserver"),
        ("http://testserver", ""),
        ("http://testserver", "testserver@evil.example"),
        ("https://testserver", "testserver:80"),
        ("tauri://testserver", "testserver"),
        ("", "testserver:x"),
    ],
)
def test_old_browser_is_refused_elsewhere(fps_client: TestClient, origin: str, host: str) -> None:
    is_sent = 200 if not origin else 403
    assert sent(fps_client, origin=origin, host=host) == is_sent


def test_plain_page_is_another_origin_than_the_one_over_tls(fps_client: TestClient) -> None:
    fps_client.base_url = "https://testserver"
    assert sent(fps_client, origin="https://testserver") == 200
    assert sent(fps_client, origin="http://testserver") == 403
    assert sent(fps_client, origin="http://testserver", host="testserver:80") == 403


@pytest.mark.parametrize(
    "headers",
    [
        [("sec-fetch-site", "same-origin")],
        [("host", "testserver"), ("origin", "http://testserver")],
        [("origin", TRUSTED)],
    ],
)
def test_header_that_is_sent_twice_counts_for_nothing(
    fps_client: TestClient, headers: list[tuple[str, str]]
) -> None:
    assert fps_client.post("/change", headers=headers).status_code == 200
    twice = [*headers, headers[0]]
    assert fps_client.post("/change", headers=twice).status_code == 403


@pytest.mark.parametrize("path", ["/hooks", "/hooks/", "/hooks/paid"])
def test_exempt_path_and_what_is_below_is_answered(fps_client: TestClient, path: str) -> None:
    assert sent(fps_client, path, site="cross-site", origin=EVIL) == 200
    assert sent(fps_client, path, origin="null") == 200


@pytest.mark.parametrize("path", ["/", "/hooksx", "/x/hooks", "/Hooks", "/hooks/..%2Fchange"])
def test_any_other_path_is_checked(fps_client: TestClient, path: str) -> None:
    assert sent(fps_client, path, site="cross-site", origin=EVIL) == 403


def test_exempt_path_is_that_of_the_routes_below_a_root_path(
    fps_config: dict[str, Any], fps_plugins: dict[str, object]
) -> None:
    app = create_app({**fps_config, "fps": {"root_path": "/out"}}, plugins=fps_plugins)
    with TestClient(app, root_path="/out") as client:
        assert sent(client, "/hooks/paid", site="cross-site") == 200
        assert sent(client, "/out/hooks/paid", site="cross-site") == 200
        assert sent(client, "/out/change", site="cross-site") == 403


def test_refusal_is_one_plain_line_that_says_what_to_do(fps_client: TestClient) -> None:
    headers = {"origin": "https://Evil.example:443", "sec-fetch-site": "cross-site"}
    refused = fps_client.post("/change", headers=headers)
    assert refused.status_code == 403
    assert refused.headers["content-type"] == "text/plain; charset=utf-8"
    key = "browser_security.cross_site.trusted_origins"
    said = f'a POST from "{EVIL}" is refused: if that is yours, add it to {key}\n'
    assert refused.text == said
    refused = fps_client.post("/change", headers=[(b"origin", b"<b>\xe9")])
    assert refused.text == "a POST from another site is refused\n"


def test_websocket_is_left_alone(fps_client: TestClient) -> None:
    headers = {"origin": EVIL, "sec-fetch-site": "cross-site"}
    with fps_client.websocket_connect("/ws", headers=headers):
        pass


@pytest.mark.parametrize("cross_site", [{"enabled": False}])
def test_check_that_is_off_adds_no_middleware(fps_client: TestClient) -> None:
    assert sent(fps_client, site="cross-site", origin=EVIL) == 200
    assert getattr(fps_client.app, "user_middleware", None) == []
