"""The content security policy, in each answer."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from .directives import NONCE
from .scopes import adding

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from .config import CspConfig

STATE_KEY = "csp_nonce"
"""Where a page finds the nonce of its request, in `request.state`."""
NONCE_BYTES = 16


class ContentSecurityPolicy:
    """Add the policy to each answer that has none of its own."""

    def __init__(self, app: ASGIApp, config: CspConfig) -> None:
        self.app = app
        self.policy = config.directives.policy
        self.has_nonce = config.directives.has_nonce
        suffix = b"-report-only" if config.report_only else b""
        self.header = b"content-security-policy" + suffix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its nonce."""
        if scope["type"] == "http":
            send = adding(send, self.header, self._policy(scope).encode())
        await self.app(scope, receive, send)

    def _policy(self, scope: Scope) -> str:
        if not self.has_nonce:
            return self.policy
        nonce = secrets.token_urlsafe(NONCE_BYTES)
        scope.setdefault("state", {})[STATE_KEY] = nonce
        return self.policy.replace(NONCE, f"'nonce-{nonce}'")
