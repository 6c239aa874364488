"""A WSGI app as PEP 3333 has it, in threads that no client can keep.

a2wsgi makes the environ, calls the app in a thread and brings to the event loop what it
sends. It is given an app and a request that do what it leaves out: the body is a file, the
head waits for what follows it, errors cut nothing that was sent before them.
"""

from __future__ import annotations

import asyncio
import io
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .exchanges import UNREAD, Exchange, LostError
from .shapes import wsgi_middleware

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

THREADS = 40
"""Of each app: as many as Starlette has for plain functions."""
EXCHANGE = "fps_lite.exchange"


@contextmanager
def threads_for(app: Any) -> Iterator[ASGIApp]:
    """Run a WSGI app's requests in threads that end with the body; yield it as an ASGI app.

    Up to 40 requests are answered side by side, in threads called `WSGI_<number>`; others
    wait for one. An app whose client has left is stopped when it reads, writes or yields,
    with a `ConnectionResetError` out of `read` and `write`: a thread that does none of these
    is not free before.
    """
    threads = _Threads(app)
    try:
        yield threads
    finally:
        # Not waited for: a request that hangs is cut with its connection.
        threads.adapter.executor.shutdown(wait=False, cancel_futures=True)


class _Threads:
    def __init__(self, app: Any) -> None:
        self.app = app
        self.adapter = wsgi_middleware()(self._begin, workers=THREADS)
        self.answering: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.adapter(scope, receive, send)
            return
        exchange = Exchange(scope)
        # A task of its own, not cancelled with the request: a2wsgi would leave its thread
        # waiting for ever.
        answering = asyncio.create_task(self._answer(exchange, receive))
        self.answering.add(answering)
        answering.add_done_callback(self.answering.discard)
        listening = asyncio.create_task(exchange.listen(receive))
        try:
            await exchange.forward(send)
        finally:
            listening.cancel()
            exchange.end()
            if not exchange.begun:
                answering.cancel()
        await answering
        exchange.conclude()

    async def _answer(self, exchange: Exchange, receive: Receive) -> None:
        try:
            await self.adapter(_simplified(exchange), receive, exchange.send)
        finally:
            await exchange.send(None)

    def _begin(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> _Answer:
        exchange: Exchange = environ["asgi.scope"][EXCHANGE]
        exchange.begun = True
        return _Answer(self.app, environ | _corrected(exchange), exchange, start_response)


def _simplified(exchange: Exchange) -> Scope:
    """Return the scope without what a2wsgi makes of it otherwise than PEP 3333 has it."""
    scope, replaced = exchange.scope, {"path": "", "root_path": "", "query_string": b""}
    cookies = [value for name, value in scope["headers"] if name == b"cookie"]
    # In an environ, `X_User` would pass for the `X-User` that a proxy vouches for.
    headers = [one for one in scope["headers"] if one[0] != b"cookie" and b"_" not in one[0]]
    if cookies:  # several in HTTP/2
        headers.append((b"cookie", b"; ".join(cookies)))
    return {**scope, **replaced, "headers": headers, EXCHANGE: exchange}


def _corrected(exchange: Exchange) -> dict[str, Any]:
    """Return what the app's environ has instead of what a2wsgi put there."""
    scope = exchange.scope
    root, path = scope.get("root_path", ""), scope["path"]
    if path == root or path.startswith(f"{root}/"):
        path = path[len(root) :]
    return {
        "SCRIPT_NAME": _native(root),
        "PATH_INFO": _native(path),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "wsgi.input": io.BufferedReader(exchange.body, UNREAD),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "asgi.scope": scope,
    }


def _native(text: str) -> str:
    """Return text as WSGI has it: bytes, each of them a character."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


class _Answer:
    """What a2wsgi iterates in a thread; what the app raises is kept for the event loop.

    If a2wsgi saw it, it would drop what was sent before.
    """

    def __init__(
        self,
        app: Any,
        environ: dict[str, Any],
        exchange: Exchange,
        start_response: Callable[..., Callable[[bytes], None]],
    ) -> None:
        self.app = app
        self.environ = environ
        self.exchange = exchange
        self.send_head = start_response
        self.send: Callable[[bytes], None] | None = None
        self.head: tuple[str, list[tuple[str, str]]] | None = None
        self.iterable: Any = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._chunks()
        except BaseException as error:  # noqa: BLE001 - a SystemExit is the request's, too
            self.exchange.cut, self.exchange.error = True, error

    def close(self) -> None:
        """Close what the app returned."""
        try:
            getattr(self.iterable, "close", lambda: None)()
        except BaseException as error:  # noqa: BLE001 - as above
            if self.exchange.error is None or isinstance(self.exchange.error, LostError):
                self.exchange.error = error

    def _chunks(self) -> Iterator[bytes]:
        self.iterable = self.app(self.environ, self._start_response)
        for chunk in self.iterable:
            if chunk:
                self._begun(chunk)
                yield chunk
            self.exchange.body.check()
        self._begun(b"")

    def _start_response(
        self, status: str, headers: Iterable[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], None]:
        if exc_info and self.exchange.head_sent:
            raise exc_info[1].with_traceback(exc_info[2])
        if self.head is not None and not exc_info:
            raise AssertionError(
                "start_response was called twice, the second time without exc_info"
            )
        if not status[:3].isdecimal() or status[3:4].strip():
            raise ValueError(f'a WSGI status is like "200 OK", not "{status}"')
        # a2wsgi wants the space, whatever follows it.
        self.head = (f"{status} ", list(headers))
        return self._write

    def _write(self, data: bytes) -> None:
        self.exchange.body.check()
        if data:
            self._begun(data)(data)

    def _begun(self, chunk: bytes) -> Callable[[bytes], None]:
        """Send the head, if it is not sent yet; return what sends more."""
        if not isinstance(chunk, bytes):
            raise TypeError(f"a WSGI app answers with bytes, not with {type(chunk).__name__}")
        if self.send is None:
            if self.head is None:
                raise AssertionError("the WSGI app answered without calling start_response")
            self.send = self.send_head(*self.head)
            self.exchange.head_sent = True
        return self.send
