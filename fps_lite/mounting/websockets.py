"""A websocket for an app that may know nothing of them: refused as a websocket is."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fps_lite.plugins import reason

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY_VIOLATION = 1008  # a websocket close code
REFUSED = {"type": "websocket.close", "code": POLICY_VIOLATION, "reason": ""}


async def answer_websocket(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Pass a websocket on to `app`, and refuse it if the app does not answer websockets.

    An app has to raise for a kind of connection that it does not know. It is taken at its word
    if it has neither asked nor said anything, and no route of it was found; then one line says
    what it raised. What comes later is an error as any other.
    """
    begun = False
    endpoint = scope.get("endpoint")
    translated = _as_websocket(send, scope)

    async def asked() -> Message:
        nonlocal begun
        begun = True
        return await receive()

    async def said(message: Message) -> None:
        nonlocal begun
        begun = True
        await translated(message)

    why = "it did nothing"
    try:
        await app(scope, asked, said)
    except Exception as error:
        if begun or scope.get("endpoint") is not endpoint:
            raise
        why = reason(error)
    if not begun:
        at = scope.get("root_path") or "/"
        message = "the app mounted at %s does not answer websockets: %s"
        logging.getLogger("fps_lite").warning(message, at, why)
        await send(REFUSED)


def _as_websocket(send: Send, scope: Scope) -> Send:
    """Return a `send` that answers a websocket as one: some apps answer it like HTTP."""
    can_deny = "websocket.http.response" in (scope.get("extensions") or {})

    async def translated(message: Message) -> None:
        if not message["type"].startswith("http."):
            await send(message)
        elif can_deny:
            await send({**message, "type": f"websocket.{message['type']}"})
        elif message["type"] == "http.response.start":
            await send(REFUSED)

    return translated
