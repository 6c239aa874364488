"""`fps-lite request`: one request through the composed app, without a port."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import rich_click as click

from .check import checked

if TYPE_CHECKING:
    from starlette.types import Message, Scope

    from fps_lite.app import Application
    from fps_lite.settings import FPSConfig

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
Headers = list[tuple[bytes, bytes]]
BAD_REQUEST = 400


@click.command("request")
@click.argument("path")
@click.option("-X", "--method", help="The method; GET, or POST with -d.")
@click.option("-H", "--header", "headers", multiple=True, help='A header, as "Name: value".')
@click.option("-d", "--data", help="The body; @FILE reads a file, @- reads stdin.")
@click.option("-i", "--include", is_flag=True, help="Print status and headers, too.")
@click.pass_context
def command(  # noqa: PLR0913 - each is an option
    ctx: click.Context,
    path: str,
    method: str | None,
    headers: tuple[str, ...],
    data: str | None,
    *,
    include: bool,
) -> None:
    """Send one request through the composed app, lifespan included; print the body.

    Exits 1 if the answer is 4xx or 5xx.
    """
    from fps_lite.app import compose  # noqa: PLC0415 - imports Starlette

    if not path.startswith("/"):
        message = f"PATH starts with /: {path}"
        raise click.UsageError(message)
    body = _body(data)
    given = [_header(line) for line in headers]
    collected = checked(ctx.obj)
    scope = _scope(collected.loaded.settings, path, method or ("GET" if data is None else "POST"))
    scope["headers"] = _with_defaults(given, collected.loaded.settings, body)
    status = asyncio.run(_run(compose(collected), scope, body, include=include))
    failed = status >= BAD_REQUEST
    if sys.stdout.isatty():
        click.echo()  # the shell's prompt begins on its own line
    if failed and not include:
        click.echo(f"status {status}", err=True)
    ctx.exit(1 if failed else 0)


def _body(data: str | None) -> bytes:
    if data is None or not data.startswith("@"):
        return os.fsencode(data or "")
    try:
        with click.open_file(data[1:], "rb") as file:
            content: bytes = file.read()
    except OSError as error:
        message = f"-d: {data[1:]}: {error.strerror}"
        raise click.UsageError(message) from None
    return content


def _header(line: str) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(":")
    if not colon:
        message = f'-H: expected "Name: value", got "{line}"'
        raise click.UsageError(message)
    if not HEADER_NAME.fullmatch(name.strip()):
        message = f'-H: "{name.strip()}" is no header\'s name'
        raise click.UsageError(message)
    return name.strip().lower().encode(), os.fsencode(value.strip())


def _with_defaults(given: Headers, settings: FPSConfig, body: bytes) -> Headers:
    names = {name for name, _ in given}
    host = (b"host", f"{settings.host}:{settings.port}".encode())
    length = (b"content-length", str(len(body)).encode())
    defaults = [host, length] if body else [host]
    return [*given, *(pair for pair in defaults if pair[0] not in names)]


def _scope(settings: FPSConfig, target: str, method: str) -> dict[str, Any]:
    raw, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method.upper(),
        "scheme": "http",
        "path": unquote(raw),
        "raw_path": os.fsencode(raw),
        "query_string": os.fsencode(query),
        "root_path": settings.root_path,
        "client": ("127.0.0.1", 0),
        "server": (settings.host, settings.port),
        "extensions": {},
    }


async def _run(app: Application, scope: Scope, body: bytes, *, include: bool) -> int:
    async with app.router.lifespan_context(app):
        return await _exchange(app, scope, body, include=include)


async def _exchange(app: Application, scope: Scope, body: bytes, *, include: bool) -> int:
    status = 500
    incoming = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if incoming:
            return incoming.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            if include:
                _print_head(message)
        elif message["type"] == "http.response.body":
            sys.stdout.buffer.write(message.get("body", b""))
            sys.stdout.buffer.flush()

    try:
        await app(scope, receive, send)
    except BrokenPipeError:  # nobody reads what is printed
        raise
    except Exception as error:  # noqa: BLE001 - Starlette raises on after it answered 500
        click.echo(app.collected.masked(f"{type(error).__name__}: {error}"), err=True)
    return status


def _print_head(message: Message) -> None:
    click.echo(f"HTTP/1.1 {message['status']}")
    for name, value in message["headers"]:
        click.echo(f"{name.decode('latin-1')}: {value.decode('latin-1')}")
    click.echo()
