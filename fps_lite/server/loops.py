"""An event loop whose server can be drained within a known time.

From Python 3.12.1 hypercorn waits in `server.wait_closed()` for every connection, so its
`graceful_timeout` never begins; and on every Python a client that never reads holds its
connection open for ever. Both are cured where asyncio makes servers: `create_server`.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .reporting import Reports, report_but

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")
SLACK = 0.3
"""Seconds that each step of a forced end may take."""

GOAWAY = bytes.fromhex("0000080700000000007fffffff00000000")
"""A whole frame: no error, and no stream is refused. hypercorn, too, writes whole frames."""


class Connections:
    """The listening sockets that hypercorn serves, and what clients have open on them."""

    def __init__(self, on_close: Callable[[], None]) -> None:
        self.descriptors: set[int] = set()
        self.transports: set[asyncio.BaseTransport] = set()
        self.servers: list[asyncio.Server] = []
        self.on_close = on_close

    def stop_accepting(self) -> None:
        """Close the servers' own sockets; what is in their queue is for other processes."""
        for server in self.servers:
            server.close()

    def say_goodbye(self) -> None:
        """Tell HTTP/2 clients to open new streams elsewhere; those that run go on."""
        for transport in self.transports:
            secured = transport.get_extra_info("ssl_object")
            if secured is not None and secured.selected_alpn_protocol() == "h2":
                cast("asyncio.WriteTransport", transport).write(GOAWAY)

    def abort(self) -> None:
        """Cut every connection, with whatever is still to be sent."""
        for transport in tuple(self.transports):
            cast("asyncio.WriteTransport", transport).abort()

    def watch(self, make: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """Return `make`, with the transports of its protocols kept in `transports`."""

        def made() -> asyncio.Protocol:
            protocol = make()
            opened, closed = protocol.connection_made, protocol.connection_lost
            transports: list[asyncio.BaseTransport] = []

            def connection_made(transport: asyncio.BaseTransport) -> None:
                transports.append(transport)
                self.transports.add(transport)
                opened(transport)

            def connection_lost(error: Exception | None) -> None:
                self.transports.difference_update(transports)
                transports.clear()
                closed(error)

            vars(protocol).update(connection_made=connection_made, connection_lost=connection_lost)
            return protocol

        return made


class _Server:
    """A server whose end waits for no connection: hypercorn waits for its own."""

    def __init__(self, server: asyncio.Server, on_close: Callable[[], None]) -> None:
        self._server = server
        self._on_close = on_close

    def close(self) -> None:
        """Stop to accept connections."""
        self._on_close()
        self._server.close()

    async def wait_closed(self) -> None:
        """Return at once."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)


class Drainable:
    """Mixed into a loop class: servers on our own sockets are watched, others untouched."""

    connections: Connections

    async def create_server(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        """Serve as the loop does; on our sockets, `connections` knows every transport."""
        make = super().create_server  # type: ignore[misc]
        sock = options.get("sock")
        if sock is None or sock.fileno() not in self.connections.descriptors:
            return await make(protocol_factory, *args, **options)
        factory = self.connections.watch(protocol_factory)
        server = await make(factory, *args, **options)
        self.connections.servers.append(server)
        return _Server(server, self.connections.on_close)


def new_loop(connections: Connections) -> asyncio.AbstractEventLoop:
    """Return a new uvloop loop if uvloop is installed, else asyncio's."""
    kind = cast("type[asyncio.AbstractEventLoop]", type("Loop", (Drainable, _loop_class()), {}))
    loop = kind()
    cast("Drainable", loop).connections = connections
    loop.set_exception_handler(Reports().report)
    return loop


def _loop_class() -> type[asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 - an optional dependency
    except ImportError:
        return asyncio.SelectorEventLoop
    return cast("type[asyncio.AbstractEventLoop]", uvloop.Loop)


def run_alone(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` in a loop of its own; like `asyncio.run`, but wait for nothing without end.

    An interruption cancels `main`, which ends as it likes, and comes out then.
    """
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(Reports().report)
    task = loop.create_task(main)
    try:
        return loop.run_until_complete(task)
    finally:
        if not task.done():
            task.cancel()
            loop.run_until_complete(asyncio.wait({task}))
        close_loop(loop, within=SLACK)


def close_loop(loop: asyncio.AbstractEventLoop, *, within: float) -> None:
    """Cancel what still runs, wait at most `within` seconds for it, and close the loop.

    Unlike `asyncio.Runner`, wait for no thread and for no task that swallows its end.
    """
    try:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            left = loop.run_until_complete(asyncio.wait(tasks, timeout=within))[1]
            # Whose they are and that they were left running is said where that was found.
            loop.set_exception_handler(partial(report_but, left))
        generators = loop.create_task(loop.shutdown_asyncgens())
        loop.run_until_complete(asyncio.wait({generators}, timeout=within))
    finally:
        loop.close()
