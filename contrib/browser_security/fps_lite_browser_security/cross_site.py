"""Requests that another site's page makes through a user's browser, told by their headers.

A browser says in `Sec-Fetch-Site` who asks, to HTTPS and to this machine, and no page can change
that. Where it says nothing there is `Origin`, which is compared with `Host`. A request that has
neither comes from no browser's page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from .origins import origin_of
from .scopes import is_secure, is_under

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from .config import CrossSiteConfig
    from .origins import Origin

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
OWN_SITE = ("same-origin", "none")
"""`none` is the user: an address that was typed, a bookmark. `same-site` is another origin."""
FORBIDDEN = 403


class CrossSiteCheck:
    """Refuse an unsafe request of another origin."""

    def __init__(
        self, app: ASGIApp, config: CrossSiteConfig, *, name: str, forwarded_proto: bool
    ) -> None:
        self.app = app
        self.exempt = config.exempt
        self.trusted = frozenset(map(origin_of, config.trusted_origins))
        self.forwarded_proto = forwarded_proto
        self.key = f"{name}.cross_site.trusted_origins"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS or self._passes(scope):
            await self.app(scope, receive, send)
        else:
            await PlainTextResponse(self._refusal(scope), FORBIDDEN)(scope, receive, send)

    def _passes(self, scope: Scope) -> bool:
        site, text = _said(scope, "sec-fetch-site"), _said(scope, "origin")
        if site in OWN_SITE or (not site and not text) or is_under(scope, self.exempt):
            return True
        origin = origin_of(text)
        if origin is None:
            return False
        return origin in self.trusted or (not site and self._is_own(origin, scope))

    def _is_own(self, origin: Origin, scope: Scope) -> bool:
        secure = is_secure(scope, forwarded_proto=self.forwarded_proto)
        # A proxy that ends TLS may hide that the page came by HTTPS; nothing hides the reverse.
        schemes = ("https",) if secure else ("http", "https")
        return origin.scheme in schemes and origin.is_at(_said(scope, "host"))

    def _refusal(self, scope: Scope) -> str:
        method, origin = scope["method"], origin_of(_said(scope, "origin"))
        if origin is None:
            return f"a {method} from another site is refused\n"
        hint = f"if that is yours, add it to {self.key}"
        return f'a {method} from "{origin}" is refused: {hint}\n'


def _said(scope: Scope, name: str) -> str:
    """Return a header's value; one that is sent twice is like none that is known."""
    return ", ".join(Headers(scope=scope).getlist(name))
