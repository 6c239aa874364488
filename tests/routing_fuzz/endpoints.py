"""What the routes of random trees do, and the world that sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException, WebSocketException
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import NoMatchFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send
    from starlette.websockets import WebSocket

BEHAVIOURS = {
    "plain": 40, "json": 4, "url_for": 8, "status": 4, "status_204": 2, "status_500": 2,
    "value_error": 5, "own_error": 5, "runtime_error": 3, "nothing": 2, "started": 3,
    "stream": 4, "broken_stream": 4, "background": 3, "broken_background": 3, "file": 1,
    "app": 3, "broken_app": 3, "body": 4, "denial": 2, "cookie": 2, "sync": 1, "sync_error": 1,
    "push": 2, "status_404": 3, "base_error": 1, "group": 1,
}  # fmt: skip


class OwnError(Exception):
    """An exception that some apps handle."""


class CancelledLike(BaseException):
    """What no handler sees."""


class World:
    """Remembers what happened on one side of a comparison."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def saw(self, what: str, label: str, scope: Scope) -> None:
        self.seen.append((what, label, shown(scope)))

    def app(self, label: str) -> ASGIApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            self.saw("app", label, scope)
            if scope["type"] == "http":
                await PlainTextResponse(label)(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1000, "reason": label})

        app.label = label  # type: ignore[attr-defined]
        return app

    def middleware(self, app: ASGIApp, label: str) -> ASGIApp:
        async def passes(scope: Scope, receive: Receive, send: Send) -> None:
            self.saw("enters", label, scope)
            await app(scope, receive, send)
            self.saw("leaves", label, scope)

        passes.label = f"middleware {label}"  # type: ignore[attr-defined]
        return passes


def shown(scope: Scope) -> dict[str, Any]:
    """Return a scope as plain values that are the same on both sides."""
    return {key: _value(value) for key, value in scope.items()}


def _value(value: Any) -> Any:
    if value is None or isinstance(value, str | bytes | int | float | UUID):
        return value
    if isinstance(value, dict):
        return {key: _value(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_value(one) for one in value]
    label = vars(value).get("label") if hasattr(value, "__dict__") else None
    name: str = getattr(value, "__func__", type(value)).__qualname__
    return label or name.replace("CompiledRouter", "Router")


def endpoint(behaviour: str, label: str, world: World) -> Callable[..., Any]:
    """Return a function that behaves like that."""
    act = globals()[f"_{behaviour}"]
    if behaviour.startswith("sync"):

        def called(request: Request) -> Response:
            world.saw("endpoint", label, request.scope)
            return act(request, world)  # type: ignore[no-any-return]

    else:

        async def called(request: Request) -> Response:  # type: ignore[misc]
            world.saw("endpoint", label, request.scope)
            return await act(request, world)  # type: ignore[no-any-return]

    called.label = label  # type: ignore[attr-defined]
    return called


async def _plain(request: Request, _: World) -> Response:
    return PlainTextResponse(repr(request.path_params))


async def _json(request: Request, _: World) -> Response:
    return JSONResponse({"path": request.url.path})


async def _url_for(request: Request, _: World) -> Response:
    names = ["r1", "r2", "r3", "r4", "r2:r3", "r1:r2", "r3:r4"]
    found = []
    for name in names:
        for params in ({}, {"p": "a"}, {"path": "x"}):
            try:
                found.append(str(request.url_for(name, **params)))
            except (NoMatchFound, AssertionError, ValueError) as error:
                found.append(type(error).__name__)
    return PlainTextResponse("\n".join(found))


async def _status(_: Request, __: World) -> Response:
    raise HTTPException(418, "teapot", headers={"x-tea": "green"})


async def _status_404(_: Request, __: World) -> Response:
    raise HTTPException(404)


async def _status_204(_: Request, __: World) -> Response:
    raise HTTPException(204, headers={"x-empty": "yes"})


async def _status_500(_: Request, __: World) -> Response:
    raise HTTPException(500, "by hand")


async def _value_error(_: Request, __: World) -> Response:
    raise ValueError("value")


async def _own_error(_: Request, __: World) -> Response:
    raise OwnError("own")


async def _runtime_error(_: Request, __: World) -> Response:
    raise RuntimeError("runtime")


async def _base_error(_: Request, __: World) -> Response:
    raise CancelledLike("base")


async def _group(_: Request, __: World) -> Response:
    raise ExceptionGroup("group", [OwnError("own")])


async def _nothing(_: Request, __: World) -> Any:
    return None


async def _started(request: Request, _: World) -> Response:
    await PlainTextResponse("begun")(request.scope, request.receive, request._send)
    raise OwnError("after the start")


async def _push(request: Request, _: World) -> Response:
    await request.send_push_promise("/pushed")
    return PlainTextResponse("pushed")


async def _chunks(*, broken: bool) -> AsyncIterator[str]:
    yield "one"
    if broken:
        raise OwnError("in the stream")
    yield "two"


async def _stream(_: Request, __: World) -> Response:
    return StreamingResponse(_chunks(broken=False))


async def _broken_stream(_: Request, __: World) -> Response:
    return StreamingResponse(_chunks(broken=True))


async def _background(request: Request, world: World) -> Response:
    async def later() -> None:
        world.saw("background", "", request.scope)

    return PlainTextResponse("soon", background=BackgroundTask(later))


async def _broken_background(_: Request, __: World) -> Response:
    async def later() -> None:
        raise HTTPException(503, "later")

    return PlainTextResponse("soon", background=BackgroundTask(later))


async def _file(_: Request, __: World) -> Response:
    return FileResponse(__file__)


async def _app(request: Request, world: World) -> Any:
    return world.app(f"returned {request.url.path}")


async def _broken_app(_: Request, __: World) -> Any:
    async def app(*_: object) -> None:
        raise OwnError("in the response")

    return app


async def _body(request: Request, _: World) -> Response:
    await request.body()
    request.state.read = True
    if request.method == "POST":
        raise OwnError("with a body")
    return PlainTextResponse(await request.body())


async def _denial(_: Request, __: World) -> Response:
    return Response(status_code=403, headers={"content-length": "7"}, media_type="text/plain")


async def _cookie(_: Request, __: World) -> Response:
    response = PlainTextResponse("sweet")
    response.set_cookie("a", "b")
    response.headers["x-more"] = "1"
    return response


def _sync(request: Request, _: World) -> Response:
    return PlainTextResponse(request.url.path)


def _sync_error(_: Request, __: World) -> Response:
    raise OwnError("in a thread")


def websocket_endpoint(behaviour: str, label: str, world: World) -> Callable[..., Any]:
    """Return a websocket endpoint; some fail before they accept, some after."""

    async def called(websocket: WebSocket) -> None:
        world.saw("websocket", label, websocket.scope)
        if behaviour == "own_error":
            raise OwnError("before")
        if behaviour == "denial":
            await websocket.send_denial_response(PlainTextResponse("no", 403))
            return
        await websocket.accept()
        if behaviour == "status":
            raise WebSocketException(1008, "after")
        if behaviour == "value_error":
            raise ValueError("after")
        await websocket.send_text(repr(websocket.path_params))
        await websocket.close()

    called.label = label  # type: ignore[attr-defined]
    return called


def handlers(kinds: list[str], world: World) -> dict[Any, Any]:
    """Return exception handlers by the names of what they handle."""
    keys: dict[str, Any] = {
        "404": 404, "405": 405, "418": 418, "500": 500, "Exception": Exception,
        "HTTPException": HTTPException, "OwnError": OwnError, "RuntimeError": RuntimeError,
        "ValueError": ValueError, "raises": OwnError, "none": OwnError, "sync": OwnError,
        "group": ExceptionGroup, "LookupError": LookupError,
    }  # fmt: skip
    return {keys[kind]: _handler(kind, world) for kind in kinds}


HANDLED = [
    "404", "405", "418", "500", "Exception", "HTTPException", "OwnError", "RuntimeError",
    "ValueError", "raises", "none", "sync", "group", "LookupError", "OwnError", "404", "405", "500",
]  # fmt: skip


def _handler(kind: str, world: World) -> Callable[..., Any]:
    async def handle(conn: Any, error: Exception) -> Any:
        world.saw(f"handles {error!r}", kind, conn.scope)
        world.seen.append(hasattr(conn, "_body"))
        if kind == "raises":
            raise ValueError("in the handler")
        if kind == "none" or conn.scope["type"] == "websocket":
            return None
        return JSONResponse({"handled": kind}, 599)

    def handle_in_thread(conn: Any, error: Exception) -> Any:
        world.saw(f"handles {error!r}", kind, conn.scope)
        return PlainTextResponse(kind, 598)

    return handle_in_thread if kind == "sync" else handle
