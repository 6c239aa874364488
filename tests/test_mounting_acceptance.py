"""One fps.toml without any plugin serves what others wrote, all at once, wherever it is put."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, contextmanager, suppress
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx2
import pytest
import websockets
from mcp.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Server, Site

Serve: TypeAlias = "Callable[..., Server]"

pytestmark = pytest.mark.timeout(180)

# The apps of others, configured: each factory returns one.
FOREIGN = """
import asyncio
from pathlib import Path

from datasette.app import Datasette
from mcp.server import MCPServer
from prometheus_client import CollectorRegistry, Counter, make_asgi_app
from sqladmin import Admin, ModelView
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route, WebSocketRoute
import pypiserver

server = MCPServer("weather")


@server.tool()
def forecast(city: str) -> str:
    return f"sunny in {city}"


def tools(prefix):
    return server.streamable_http_app(streamable_http_path="/")


def browse(prefix):
    return Datasette(["birds.db"], settings={"base_url": prefix + "/"}).app()


class Base(DeclarativeBase):
    pass


class Bird(Base):
    __tablename__ = "birds"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class BirdAdmin(ModelView, model=Bird):
    column_list = [Bird.id, Bird.name]


def admin(prefix):
    app = Starlette()
    Admin(app, create_engine("sqlite:///birds.db"), base_url="/").add_view(BirdAdmin)
    return app


registry = CollectorRegistry()
Counter("seen", "birds seen", registry=registry).inc()
metrics = make_asgi_app(registry)


def packages(prefix):
    return pypiserver.app(roots=[Path("packages")], disable_fallback=True)


async def numbers(websocket):
    await websocket.accept()
    for number in range(100):
        await websocket.send_text(f"{websocket.query_params['who']} {number}")
        await asyncio.sleep(0)
    await websocket.close()


async def events(request):
    async def body():
        for number in range(100):
            yield f"data: {request.query_params['who']} {number}\\n\\n"
            await asyncio.sleep(0)

    return StreamingResponse(body(), media_type="text/event-stream")


live = Starlette(routes=[WebSocketRoute("/numbers", numbers), Route("/events", events)])
"""
MOUNTS = """
[[fps.mounts]]
path = "/mcp"
app = "foreign:tools"
factory = true

[[fps.mounts]]
path = "/browse"
app = "foreign:browse"
factory = true
strip_prefix = true

[[fps.mounts]]
path = "/admin"
app = "foreign:admin"
factory = true

[[fps.mounts]]
path = "/metrics"
app = "foreign:metrics"

[[fps.mounts]]
path = "/packages"
app = "foreign:packages"
factory = true
wsgi = true

[[fps.mounts]]
path = "/live"
app = "foreign:live"
"""
HOST = """
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.routing import Mount
from fps_lite import create_app

inner = create_app(plugins={})

@asynccontextmanager
async def lifespan(app):
    async with inner.router.lifespan_context(inner):
        yield

app = Starlette(routes=[Mount("/outer", inner)], lifespan=lifespan)
"""


@pytest.fixture
def composed(site: Site, work: Path) -> None:
    site.module("foreign", FOREIGN)
    site.module("host", HOST)
    (work / "fps.toml").write_text(MOUNTS)
    (work / "packages").mkdir()
    (work / "packages" / "crane-1.0-py3-none-any.whl").write_bytes(b"no wheel")
    with closing(sqlite3.connect(work / "birds.db")) as database:
        database.execute("create table birds (id integer primary key, name text)")
        database.executemany("insert into birds (name) values (?)", [("wren",), ("crane",)])
        database.commit()


@pytest.fixture(params=["at the root", "behind a proxy that strips", "inside another app"])
def base(request: Any, composed: None, serve: Serve, work: Path) -> Iterator[str]:  # noqa: ARG001
    """Return the URL under which everything is mounted."""
    if request.param == "at the root":
        yield serve().url
    elif request.param == "behind a proxy that strips":
        with stripping_proxy("/public/~root", serve("--root-path", "/public/~root").url) as url:
            yield url
    else:
        (work / "fps.toml").write_text('[fps]\nroot_path = "/outer"\n' + MOUNTS)
        with uvicorn("host:app") as url:
            yield f"{url}/outer"


def test_everything_is_served_at_once_under_its_prefix(base: str) -> None:
    with httpx2.Client(timeout=30) as client:
        asyncio.run(speaks_mcp(f"{base}/mcp"))
        browses(client, f"{base}/browse")
        administers(client, f"{base}/admin")
        assert "seen_total 1.0" in client.get(f"{base}/metrics").text
        indexes(client, f"{base}/packages")


async def speaks_mcp(url: str) -> None:
    for mode in ("legacy", "auto"):
        async with Client(url, mode=mode) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["forecast"]
            answer: Any = await client.call_tool("forecast", {"city": "Oslo"})
            assert answer.content[0].text == "sunny in Oslo"


def browses(client: httpx2.Client, url: str) -> None:
    followed = crawl(client, url, depth=3)
    assert f"{url}/birds/birds/1" in followed
    assert f"{url}/birds/birds.csv?_size=max" in followed
    rows = client.get(f"{url}/birds/birds.json?_shape=array").json()
    assert [row["name"] for row in rows] == ["wren", "crane"]


@pytest.mark.usefixtures("composed")
def test_datasette_that_does_not_know_its_prefix_ends_in_an_answer(
    site: Site, work: Path, serve: Serve
) -> None:
    site.module("unaware", "from datasette.app import Datasette\napp = Datasette([]).app()")
    (work / "fps.toml").write_text('[[fps.mounts]]\npath = "/browse"\napp = "unaware:app"\n')
    url = f"{serve().url}/browse"
    for accept in ("text/html", "*/*"):
        headers = {"accept": accept}
        answer = httpx2.get(url, headers=headers, follow_redirects=True, timeout=30)
        assert (answer.status_code, str(answer.url)) == (404, url)


def administers(client: httpx2.Client, url: str) -> None:
    followed = crawl(client, url, depth=2)
    assert any(link.startswith(f"{url}/statics/") for link in followed)
    assert f"{url}/bird/list" in followed
    created = client.post(f"{url}/bird/create", data={"name": "heron", "save": "Save"})
    assert created.status_code == 302
    assert urljoin(f"{url}/bird/create", created.headers["location"]) == f"{url}/bird/list"
    assert "heron" in client.get(f"{url}/bird/list").text


def indexes(client: httpx2.Client, url: str) -> None:
    followed = crawl(client, url, depth=3)
    assert any(link.endswith("crane-1.0-py3-none-any.whl") for link in followed)
    assert f"{url}/simple/" in followed


class Links(HTMLParser):
    """Every `href` and `src` of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, _: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src") and value]


def absolute(page: str, link: str) -> str:
    """Return the URL of a link, encoded as a client does it."""
    return str(httpx2.URL(urldefrag(urljoin(page, link))[0]))


def crawl(client: httpx2.Client, start: str, *, depth: int) -> set[str]:
    """Follow a page's own links `depth` levels deep; each answers and is below `start`."""
    origin = urlsplit(start)[:2]
    followed: set[str] = set()
    pages = {start}
    for level in range(depth + 1):
        links: set[str] = set()
        for url in sorted(pages - followed):
            followed.add(url)
            answer = client.get(url, headers={"accept": "text/html"}, follow_redirects=True)
            assert answer.status_code == 200, f"{url}: {answer.status_code}"
            if level < depth and answer.headers["content-type"].startswith("text/html"):
                found = [absolute(str(answer.url), one) for one in Links(answer.text).found]
                links |= {one for one in found if urlsplit(one)[:2] == origin}
        outside = [one for one in links if not one.startswith(start) and "logout" not in one]
        assert not outside
        pages = {one for one in links if one.startswith(start)}
    return followed


@pytest.mark.usefixtures("composed")
def test_a_hundred_websockets_and_streams_lose_nothing(serve: Serve) -> None:
    server = serve("--fps.logging.access=false")
    expected = [[f"{who} {number}" for number in range(100)] for who in range(100)]

    async def listen(who: int) -> list[str]:
        url = server.url.replace("http", "ws")
        async with websockets.connect(f"{url}/live/numbers?who={who}") as websocket:
            return [str(message) async for message in websocket]

    async def read(client: httpx2.AsyncClient, who: int) -> list[str]:
        async with client.stream("GET", "/live/events", params={"who": who}) as stream:
            return [line[6:] async for line in stream.aiter_lines() if line]

    async def everyone() -> tuple[list[list[str]], list[list[str]]]:
        limits = httpx2.Limits(max_connections=100)
        async with httpx2.AsyncClient(base_url=server.url, limits=limits, timeout=60) as client:
            heard = asyncio.gather(*map(listen, range(100)))
            seen = asyncio.gather(*(read(client, who) for who in range(100)))
            return await heard, await seen

    heard, seen = asyncio.run(everyone())
    assert heard == expected
    assert seen == expected
    assert server.stop() == 0


@contextmanager
def uvicorn(app: str) -> Iterator[str]:
    command = [sys.executable, "-m", "uvicorn", app, "--port", "0", "--no-access-log"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = ""
        while not (running := re.search(r"running on (http://\S+)", said)):
            line = process.stderr.readline()
            assert line, said
            said += line
        yield running[1]
        process.terminate()
        # uvicorn ends by the signal that it was given.
        assert process.wait(20) == -signal.SIGTERM
    finally:
        process.kill()
        process.communicate(timeout=20)


@contextmanager
def stripping_proxy(root: str, upstream: str) -> Iterator[str]:
    """Serve `upstream` under `root`, cutting `root` from each path; yield the public URL."""
    loop = asyncio.new_event_loop()
    serving: set[object] = set()
    quoted = httpx2.URL(f"http://x{root}").raw_path
    at = urlsplit(upstream)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # One request for each connection, so that each has its path cut.
        head = await reader.readuntil(b"\r\n\r\n")
        method, path, rest = head.split(b" ", 2)
        assert path.startswith(quoted), path
        rest = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", rest)
        line, headers = rest.split(b"\r\n", 1)
        there, back = await asyncio.open_connection(at.hostname, at.port)
        with closing(back):
            cut = path.removeprefix(quoted) or b"/"
            back.write(b" ".join([method, cut, line]) + b"\r\nconnection: close\r\n" + headers)
            sending = asyncio.ensure_future(copy(reader, back))
            serving.add(sending)
            try:
                await copy(there, writer)
            finally:
                sending.cancel()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # asyncio itself keeps no task alive.
        serving.add(asyncio.current_task())
        with closing(writer), suppress(asyncio.IncompleteReadError, ConnectionError):
            await forward(reader, writer)

    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{quoted.decode()}"
    finally:
        asyncio.run_coroutine_threadsafe(ended(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def ended(server: asyncio.Server) -> None:
    server.close()
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in others:
            task.cancel()
        await asyncio.wait(others)
    # A transport is closed by the loop, in its own time.
    await asyncio.sleep(0.1)
