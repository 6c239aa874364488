"""HTTPS alone: plain HTTP is redirected, and browsers are told to remember."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import RedirectResponse

from .scopes import adding, is_secure, is_under

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from .config import HstsConfig, HttpsConfig

PERMANENT_REDIRECT = 308  # keeps the method and the body
POLICY_VIOLATION = 1008  # a websocket close code; before it is accepted, the answer is 403
# What may stand in a target as it is; `#` would end it.
SAFE = "/%:@!$&'()*+,;=?[]~"


class HttpsRedirect:
    """Redirect plain HTTP to one host; refuse a plain websocket, as browsers follow none."""

    def __init__(self, app: ASGIApp, config: HttpsConfig, *, forwarded_proto: bool) -> None:
        self.app = app
        self.config = config
        self.forwarded_proto = forwarded_proto

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what came by TLS or is exempt."""
        if scope["type"] not in ("http", "websocket") or self._passes(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": ""})
        else:
            url = f"https://{self.config.host}{target(scope)}"
            await RedirectResponse(url, PERMANENT_REDIRECT)(scope, receive, send)

    def _passes(self, scope: Scope) -> bool:
        secure = is_secure(scope, forwarded_proto=self.forwarded_proto)
        return secure or is_under(scope, self.config.exempt)


def target(scope: Scope) -> str:
    """Return the path and the query as they were sent, quoted where they must be."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    # A client may send any target: `@other.example` must not become a part of the host.
    path = quote(b"/" + raw.removeprefix(b"/"), safe=SAFE)
    query = quote(scope.get("query_string", b""), safe=SAFE)
    return f"{path}?{query}" if query else path


class StrictTransportSecurity:
    """Add `Strict-Transport-Security` to what is answered by TLS; elsewhere browsers ignore it."""

    def __init__(self, app: ASGIApp, config: HstsConfig, *, forwarded_proto: bool) -> None:
        self.app = app
        self.forwarded_proto = forwarded_proto
        subdomains = "; includeSubDomains" if config.include_subdomains else ""
        preload = "; preload" if config.preload else ""
        self.value = f"max-age={config.max_age}{subdomains}{preload}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http" and is_secure(scope, forwarded_proto=self.forwarded_proto):
            send = adding(send, b"strict-transport-security", self.value)
        await self.app(scope, receive, send)
