"""What stands before each server and the page: nothing is answered that names another host."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from .hosts import host_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from .hosts import Hosts

MISDIRECTED, FORBIDDEN = 421, 403
POLICY_VIOLATION = 1008  # a websocket close code
_ORIGIN = re.compile(r"https?://(.+)", re.IGNORECASE)


class HostGuard:
    """An ASGI app that passes on to `app` what names one of `hosts`, and refuses the rest."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        is_request = scope["type"] in ("http", "websocket") and self.hosts.rules is not None
        refusal = self._refusal(Headers(scope=scope)) if is_request else None
        if refusal is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": ""})
        else:
            status, why = refusal
            await PlainTextResponse(why + "\n", status)(scope, receive, send)

    def _refusal(self, headers: Headers) -> tuple[int, str] | None:
        host, origin = headers.get("host", ""), headers.get("origin", "")
        if not self.hosts.allow(host):
            return MISDIRECTED, f'the host "{host}" is not answered: {_hint(host)}'
        found = _ORIGIN.fullmatch(origin)
        if origin and not (found and self.hosts.allow(found[1])):
            hint = _hint(found[1] if found else "")
            return FORBIDDEN, f'the origin "{origin}" is not answered: {hint}'
        return None


def _hint(text: str) -> str:
    named = host_of(text)
    if named is None:
        return "mcp.allowed_hosts names those that are"
    return f'if it is yours, add "{named.name}" to mcp.allowed_hosts'
