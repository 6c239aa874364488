"""`fps_lite.main:app`, for any ASGI server: composes all layers at its first call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .app import create_app
from .errors import FPSError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class _Deferred:
    """An ASGI app that is composed when it is first called: nothing happens on import."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            try:
                self._app = create_app()
            except FPSError as error:
                if scope["type"] != "lifespan":
                    raise
                await receive()
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
        await self._app(scope, receive, send)


app = _Deferred()
