"""`fps-lite request`: one request through the composed app, without a port."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import click

from fps_lite.plugins import reason

from .check import checked
from .declared import Command

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope

    from fps_lite.app import Application
    from fps_lite.settings import FPSConfig

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
Headers = list[tuple[bytes, bytes]]
EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - nothing is listened on here
BAD_REQUEST = 400


@click.command("request", cls=Command)
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
    from fps_lite.server import run_alone  # noqa: PLC0415 - imports hypercorn

    if not path.startswith("/"):
        message = f"PATH starts with /: {path}"
        raise click.UsageError(message)
    if method and not TOKEN.fullmatch(method):
        raise click.UsageError(f'-X: "{method}" is no method')
    body = _body(data)
    given = [_header(line) for line in headers]
    collected = checked(ctx.obj)
    scope = _scope(collected.loaded.settings, path, method or ("GET" if data is None else "POST"))
    scope["headers"] = _with_defaults(given, collected.loaded.settings, body)
    answer = _Answer(include=include, without_body=scope["method"] == "HEAD")
    run_alone(_run(compose(collected), scope, body, answer))
    failed = answer.status >= BAD_REQUEST
    if failed and not include:
        click.echo(f"status {answer.status}", err=True)
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
    if not TOKEN.fullmatch(name.strip()):
        message = f'-H: "{name.strip()}" is no header\'s name'
        raise click.UsageError(message)
    if "\n" in value or "\r" in value:
        raise click.UsageError(f"-H: {name.strip()}: a header is one line")
    return name.strip().lower().encode(), os.fsencode(value.strip())


def _with_defaults(given: Headers, settings: FPSConfig, body: bytes) -> Headers:
    names = {name for name, _ in given}
    host = (b"host", f"{_name(settings.host)}:{settings.port}".encode())
    length = (b"content-length", str(len(body)).encode())
    defaults = [host, length] if body else [host]
    return [*given, *(pair for pair in defaults if pair[0] not in names)]


def _name(host: str) -> str:
    """Return what a client on this machine calls a server that listens on `host`."""
    if host in EVERYWHERE:
        return "localhost"
    return f"[{host}]" if ":" in host else host


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


async def _run(app: Application, scope: Scope, body: bytes, answer: _Answer) -> None:
    # What plugins print is no part of the answer.
    with redirect_stdout(sys.stderr):
        async with app.router.lifespan_context(app):
            try:
                await app(scope, _once(body), answer.send)
            except Exception as error:  # noqa: BLE001 - as below
                if answer.lost is not None:
                    raise answer.lost from None
                # Starlette raises on after it answered 500.
                answer.end()
                click.echo(app.collected.masked(reason(error)), err=True)
    answer.end()


def _once(body: bytes) -> Receive:
    incoming = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if not incoming:
            await asyncio.Event().wait()  # the client waits for the answer
        return incoming.pop()

    return receive


class _Answer:
    """Prints an answer as it comes."""

    def __init__(self, *, include: bool, without_body: bool) -> None:
        self.status = 500
        self.lost: Exception | None = None
        self._out = sys.stdout.buffer
        self._include = include
        self._without_body = without_body
        self._open_line = False

    async def send(self, message: Message) -> None:
        """Print a message, or remember why that cannot be done."""
        try:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self._print(_head(message) if self._include else b"")
            elif message["type"] == "http.response.body" and not self._without_body:
                self._print(message.get("body", b""))
        except OSError as error:  # `main` says what there is to say
            self.lost = error
            raise

    def end(self) -> None:
        """On a terminal, end the last line: what follows begins on its own."""
        if self._open_line and sys.__stdout__ is not None and sys.__stdout__.isatty():
            self._print(b"\n")

    def _print(self, data: bytes) -> None:
        if data:
            self._out.write(data)
            self._out.flush()
            self._open_line = not data.endswith(b"\n")


def _head(message: Message) -> bytes:
    lines = [b"HTTP/1.1 %d" % message["status"]]
    lines += [name + b": " + value for name, value in message["headers"]]
    return b"\n".join([*lines, b"", b""])
