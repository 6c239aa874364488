"""What a request's scope says, and a header more in its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import Message, Scope, Send


def is_secure(scope: Scope, *, forwarded_proto: bool) -> bool:
    """Tell whether the client came by TLS, to here or to the proxy in front."""
    if scope.get("scheme") in ("https", "wss"):
        return True
    told = Headers(scope=scope).get("x-forwarded-proto", "") if forwarded_proto else ""
    return told.partition(",")[0].strip().lower() in ("https", "wss")


def is_under(scope: Scope, prefixes: Collection[str]) -> bool:
    """Tell whether the path is one of `prefixes`, or below one.

    A path with `..` is below none: an app may take `/hooks/../admin` for `/admin`.
    """
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    if ".." in path:
        return False
    return any(path == one or path.startswith(one + "/") for one in prefixes)


def adding(send: Send, name: bytes, value: bytes) -> Send:
    """Return a `send` that adds a header to an answer that has none of that name."""

    async def added(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            if all(key.lower() != name for key, _ in headers):
                message = {**message, "headers": [*headers, (name, value)]}
        await send(message)

    return added
