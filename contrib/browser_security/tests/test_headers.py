"""CSP and CORS: what a browser gets to see, and what a table may not say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import NODEFAULT
from msgspec.structs import fields
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from fps_lite import ConfigError, PluginError, create_app, hookimpl
from fps_lite_browser_security import config, stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.testclient import TestClient
    from starlette.types import ASGIApp, Receive, Scope, Send
    from starlette.websockets import WebSocket

APP = "https://app.example.org"
CSP, REPORT = "content-security-policy", "content-security-policy-report-only"
ALLOWED = "access-control-allow-"


class Site:
    """Pages, each a case of its own, and middleware that would be in the way of all."""

    @staticmethod
    @hookimpl
    def routes() -> list[BaseRoute]:
        async def nonce(request: Request) -> Response:
            return PlainTextResponse(request.scope["state"].get("csp_nonce", "none"))

        async def own(_: Request) -> Response:
            headers = {"Content-Security-Policy": "sandbox", "vary": "accept"}
            return PlainTextResponse("own", headers=headers)

        async def breaks(_: Request) -> Response:
            raise OSError("no disk")

        async def talk(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.send_text(websocket.scope["state"].get("csp_nonce", "none"))
            await websocket.close()

        return [
            Route("/nonce", nonce, methods=["GET", "POST"]),
            Route("/own", own),
            Route("/breaks", breaks),
            WebSocketRoute("/ws", talk),
        ]

    @staticmethod
    @hookimpl(tryfirst=True)
    def middleware() -> list[Middleware]:
        class Login:
            def __init__(self, app: ASGIApp) -> None:
                self.app = app

            async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
                if scope.get("path", "").startswith("/private"):
                    await PlainTextResponse("log in", 401)(scope, receive, send)
                else:
                    await self.app(scope, receive, send)

        return [Middleware(Login)]


@pytest.fixture
def fps_plugins() -> dict[str, object]:
    ours = SimpleNamespace(config=config.config, middleware=stack.middleware)
    return {"browser_security": ours, "site": Site}


@pytest.fixture
def table() -> dict[str, Any]:
    return {}


@pytest.fixture
def fps_config(table: dict[str, Any]) -> dict[str, Any]:
    return {"browser_security": table}


# The policy ----------------------------------------------------------------------------------


def with_policy(directives: dict[str, list[str]], **more: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("table", [{"csp": {"directives": directives, **more}}])


@with_policy(
    {
        "img-src": ["'self'", "data:", "https://*.example.org:8443/a/"],
        "default-src": ["'none'"],
        "script-src": [f"'sha256-{'a' * 43}='", "'unsafe-inline'", "'strict-dynamic'"],
        "frame-ancestors": ["https://portal.example.org"],
        "sandbox": ["allow-scripts"],
        "upgrade-insecure-requests": [],
        "report-uri": ["/reports"],
    }
)
@pytest.mark.parametrize("path", ["/nonce", "/missing", "/private/x"])
def test_policy_is_in_each_answer(fps_client: TestClient, path: str) -> None:
    headers = fps_client.get(path).headers
    assert headers[CSP] == (
        f"default-src 'none'; script-src 'sha256-{'a' * 43}=' 'unsafe-inline' 'strict-dynamic'; "
        "img-src 'self' data: https://*.example.org:8443/a/; "
        "frame-ancestors https://portal.example.org; sandbox allow-scripts; "
        "upgrade-insecure-requests; report-uri /reports"
    )
    assert REPORT not in headers


@with_policy({"default-src": ["'self'"]}, report_only=True)
def test_policy_is_only_reported_on_request(fps_client: TestClient) -> None:
    headers = fps_client.get("/nonce").headers
    assert headers[REPORT] == "default-src 'self'"
    assert CSP not in headers


@with_policy({"script-src": ["'nonce'", "'self'"], "style-src": ["'nonce'"]})
def test_nonce_is_the_one_in_the_state_and_anew_for_each_request(fps_client: TestClient) -> None:
    nonces = set()
    for _ in range(20):
        answer = fps_client.get("/nonce")
        assert re.fullmatch(r"[\w-]{22}", answer.text)
        one = f"'nonce-{answer.text}'"
        assert answer.headers[CSP] == f"script-src {one} 'self'; style-src {one}"
        nonces.add(answer.text)
    assert len(nonces) == 20


@with_policy({"script-src": ["'self'"]})
def test_policy_without_a_nonce_puts_none_into_the_state(fps_client: TestClient) -> None:
    assert fps_client.get("/nonce").text == "none"


@with_policy({"script-src": ["'nonce'"]})
def test_answer_with_a_policy_of_its_own_keeps_it(fps_client: TestClient) -> None:
    assert fps_client.get("/own").headers.get_list(CSP) == ["sandbox"]


@with_policy({"script-src": ["'nonce'"]})
def test_websocket_has_no_policy(fps_client: TestClient) -> None:
    with fps_client.websocket_connect("/ws") as websocket:
        assert websocket.receive_text() == "none"


# CORS ----------------------------------------------------------------------------------------

FULL = {
    "origins": ["HTTPS://App.Example.org:443", "http://[0::1]:3000"],
    "methods": ["GET", "PUT"],
    "headers": ["X-Token"],
    "expose_headers": ["X-Count"],
    "credentials": True,
    "max_age": 60,
}
with_cors = pytest.mark.parametrize("table", [{"cors": FULL}])


def preflight(client: TestClient, origin: str, method: str = "PUT", header: str = "x-token") -> Any:
    asks = {"access-control-request-method": method, "access-control-request-headers": header}
    return client.options("/private/x", headers={"origin": origin, **asks})


@with_cors
@pytest.mark.parametrize("origin", [APP, "http://[::1]:3000"])
def test_preflight_is_answered_before_any_login(fps_client: TestClient, origin: str) -> None:
    answer = preflight(fps_client, origin)
    assert answer.status_code == 200
    assert answer.headers[ALLOWED + "origin"] == origin
    assert answer.headers[ALLOWED + "credentials"] == "true"
    assert answer.headers[ALLOWED + "methods"] == "GET, PUT"
    assert "X-Token" in answer.headers[ALLOWED + "headers"].split(", ")
    assert answer.headers["access-control-max-age"] == "60"
    assert "Origin" in answer.headers["vary"]


@with_cors
def test_preflight_for_what_is_not_allowed_is_refused(fps_client: TestClient) -> None:
    assert preflight(fps_client, "https://evil.example").status_code == 400
    assert ALLOWED + "origin" not in preflight(fps_client, "https://evil.example").headers
    assert preflight(fps_client, APP, method="DELETE").status_code == 400
    assert preflight(fps_client, APP, header="x-other").status_code == 400


@with_cors
def test_answer_may_be_read_by_the_origins_alone(fps_client: TestClient) -> None:
    headers = fps_client.get("/own", headers={"origin": APP}).headers
    assert headers[ALLOWED + "origin"] == APP
    assert headers[ALLOWED + "credentials"] == "true"
    assert headers["access-control-expose-headers"] == "X-Count"
    assert headers["vary"] == "accept, Origin"
    for origin in ("https://evil.example", "null", "http://app.example.org"):
        assert ALLOWED + "origin" not in fps_client.get("/own", headers={"origin": origin}).headers
    assert ALLOWED + "origin" not in fps_client.get("/own").headers


@pytest.mark.parametrize("table", [{"cors": {"origins": ["*"]}}])
def test_any_origin_may_read_what_needs_no_credentials(fps_client: TestClient) -> None:
    headers = fps_client.get("/own", headers={"origin": APP, "cookie": "a=b"}).headers
    assert headers[ALLOWED + "origin"] == "*"
    assert ALLOWED + "credentials" not in headers


@pytest.mark.parametrize(
    "table", [{"cors": FULL, "cross_site": {}, "csp": {"directives": {"sandbox": []}}}]
)
def test_page_that_may_read_reads_why_it_may_not_change(fps_client: TestClient) -> None:
    refused = fps_client.post("/nonce", headers={"origin": APP, "sec-fetch-site": "cross-site"})
    assert refused.status_code == 403
    assert refused.headers[ALLOWED + "origin"] == APP
    assert refused.headers[CSP] == "sandbox"
    assert preflight(fps_client, APP).headers[CSP] == "sandbox"


# Tables --------------------------------------------------------------------------------------

POLICY = {"directives": {"default-src": ["'self'"]}}
ALL: dict[str, dict[str, Any]] = {
    "cors": {"origins": ["*"]},
    "csp": POLICY,
    "cross_site": {},
    "https": {"host": "www.example.org"},
    "hsts": {},
}


def names(table: dict[str, Any], plugins: dict[str, object]) -> list[str]:
    """Return the middleware of the app but for the site's own."""
    app = create_app({"browser_security": table}, plugins=plugins)
    return [getattr(one.cls, "__name__", "") for one in app.user_middleware][:-1]


def test_order_is_as_documented(fps_plugins: dict[str, object]) -> None:
    assert names(ALL, fps_plugins) == [
        "HttpsRedirect",
        "StrictTransportSecurity",
        "ContentSecurityPolicy",
        "CORSMiddleware",
        "CrossSiteCheck",
    ]


def test_feature_that_is_off_adds_no_middleware(fps_plugins: dict[str, object]) -> None:
    assert names({}, fps_plugins) == []
    off = {name: {**one, "enabled": False} for name, one in ALL.items()}
    assert names(off, fps_plugins) == []
    assert names({**off, "hsts": {}}, fps_plugins) == ["StrictTransportSecurity"]


def test_installed_plugin_that_is_not_configured_leaves_the_app_alone() -> None:
    assert create_app({}).user_middleware == []


REFUSED = [
    ({"cors": {}}, r"cors\.origins: missing"),
    ({"cors": {"origins": []}}, r"cors\.origins: expected array of length >= 1"),
    ({"cors": {"origins": ["null"]}}, r"cors\.origins\[0\]: expected .* an origin like"),
    ({"cors": {"origins": ["https://a.example/"]}}, r"cors\.origins\[0\]: .*without a path"),
    ({"cors": {"origins": ["https://a:99999"]}}, r'cors: origins: "https://a:99999" is no origin'),
    (
        {"cors": {"origins": ["*", APP], "credentials": True}},
        r'cors: origins "\*" with credentials',
    ),
    ({"cors": {"origins": ["*"], "methods": ["put"]}}, r"cors\.methods\[0\]: .*in capitals"),
    ({"cors": {"origins": ["*"], "headers": ["a b"]}}, r"cors\.headers\[0\]: .*header's name"),
    ({"cors": {"origins": ["*"], "max_age": -1}}, r"cors\.max_age: expected int >= 0"),
    ({"csp": {}}, r"csp\.directives: missing"),
    ({"csp": {"directives": {}}}, r"csp: directives: set one at least"),
    ({"csp": {"directives": {"script-scr": []}}}, r'script-scr: unknown .*"script-src"'),
    ({"csp": {"directives": {"img-src": ["'none'", APP]}}}, r"img-src: 'none' stands alone"),
    ({"cross_site": {"exempt": ["/"]}}, r"cross_site\.exempt\[0\]: .*a path like"),
    ({"cross_site": {"exempt": ["hooks"]}}, r"cross_site\.exempt\[0\]: .*a path like"),
    ({"cross_site": {"trusted_origins": ["*"]}}, r"trusted_origins\[0\]: .*an origin like"),
    ({"cross_site": {"trusted_origins": ["a://[:::]"]}}, r'"a://\[:::\]" is no origin'),
    ({"https": {}}, r"https\.host: missing"),
    ({"https": {"host": "https://www.example.org"}}, r"https\.host: .*no URL"),
    ({"https": {"host": "a.example/@b.example"}}, r"https\.host: .*no URL"),
    ({"https": {"host": "[::::]"}}, r'https: host: "\[::::\]" is no host'),
    ({"hsts": {"preload": True}}, r"hsts: preload needs include_subdomains"),
    ({"hsts": {"max_age": -1}}, r"hsts\.max_age: expected int >= 0"),
]


@pytest.mark.parametrize("table, said", REFUSED)
def test_mistake_is_one_line_with_the_key(
    table: dict[str, Any], said: str, fps_plugins: dict[str, object]
) -> None:
    with pytest.raises(ConfigError, match=rf"browser_security\.{said}|{said}") as refused:
        create_app({"browser_security": table}, plugins=fps_plugins)
    (line,) = str(refused.value).splitlines()
    assert "browser_security." in line


WRONG_SOURCES = ["self", "none", "nonce-abc", "'nonce-abc'", "sha256-abc", "'slef'", "'self", "a b"]


@pytest.mark.parametrize("source", [*WRONG_SOURCES, "a;b", "a,b", "", "a\n", "'self'\n", "\xe9"])
@pytest.mark.parametrize("directive", ["script-src", "img-src"])
def test_source_that_browsers_would_ignore_or_misread_is_an_error(
    source: str, directive: str, fps_plugins: dict[str, object]
) -> None:
    table = {"csp": {"directives": {directive: [source]}}}
    with pytest.raises(ConfigError, match=rf"directives\.{directive}\[0\]: expected str"):
        create_app({"browser_security": table}, plugins=fps_plugins)


def test_nonce_is_an_error_where_nothing_is_run(fps_plugins: dict[str, object]) -> None:
    table = {"csp": {"directives": {"img-src": ["'nonce'"]}}}
    with pytest.raises(ConfigError, match=r"img-src\[0\]"):
        create_app({"browser_security": table}, plugins=fps_plugins)


def test_mistake_in_a_file_is_told_with_its_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fps_cli: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    monkeypatch.chdir(tmp_path)
    text = '[browser_security.cors]\norigins = ["*"]\ncredentials = true\n'
    (tmp_path / "fps.toml").write_text(text)
    done = fps_cli("check")
    assert done.returncode == 3
    what = 'origins "*" with credentials: name the origins that may act as a user'
    assert f"fps.toml:1:1: browser_security.cors: {what}\n" in done.stderr


def test_protection_cannot_be_left_out(fps_plugins: dict[str, object]) -> None:
    table = {"on_failure": "isolate", "cross_site": {}}
    with pytest.raises(PluginError, match="on_failure must be fatal"):
        create_app({"browser_security": table}, plugins=fps_plugins)


@pytest.mark.parametrize("feature", ALL)
def test_every_key_is_in_the_readme_with_its_default(feature: str) -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    told = dict(re.findall(r"^\| `([\w.]+)` \| (.*?) \|", readme, re.MULTILINE))
    kind = config.BrowserSecurityConfig.__annotations__[feature].partition(" ")[0]
    for one in fields(getattr(config, kind)):
        if one.name == "enabled":
            continue
        is_made = one.default_factory is not NODEFAULT
        default = json.dumps(one.default_factory() if is_made else one.default, default=str)
        said = "required" if one.required else f"`{default}`"
        assert told[f"{feature}.{one.name}"] == said


def test_schema_names_every_directive(
    fps_cli: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    schema = json.dumps(json.loads(fps_cli("config", "schema").stdout))
    for name in ("frame-ancestors", "script-src-elem", "upgrade-insecure-requests"):
        assert f'"{name}"' in schema


def test_reading_configuration_does_not_import_the_middleware(tmp_path: Path) -> None:
    code = (
        "import atexit, sys; from fps_lite.cli import main; sys.argv[1:] = ['config'];"
        "atexit.register(lambda: print(*sys.modules)); main()"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=30, cwd=tmp_path)
    modules = set(done.stdout.splitlines()[-1].split())
    assert "fps_lite_browser_security.config" in modules
    assert "fps_lite_browser_security.stack" not in modules
    assert "starlette" not in modules
