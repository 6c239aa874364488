"""The greeting, and two wrong ways to it."""

from __future__ import annotations

from random import randint
from typing import TYPE_CHECKING, NoReturn

from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import Route

from fps_lite import RedirectException, hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import ExceptionHandler

    from fps_lite import Context

    from .config import HelloConfig


class WrongHelloError(Exception):
    """Somebody said hello in the wrong place."""


@hookimpl
def routes(config: HelloConfig, context: Context) -> list[BaseRoute]:
    """Greet at `/hello`; `/wrong_hello` and `/bad_hello` lead there."""
    here = f"{context.prefix}/hello"

    async def hello(request: Request) -> Response:
        name = request.query_params.get("name", "world")
        # A greeting is no secret, so any random number will do.
        count = randint(0, 250) if config.random else config.count  # noqa: S311
        return PlainTextResponse(f"{config.greeting} {name} {count}")

    async def wrong_hello(request: Request) -> NoReturn:
        raise WrongHelloError(request.url.path)

    async def bad_hello(_: Request) -> NoReturn:
        raise RedirectException(here)

    return [
        Route("/hello", hello),
        Route("/wrong_hello", wrong_hello),
        Route("/bad_hello", bad_hello),
    ]


@hookimpl
def exception_handlers(context: Context) -> Mapping[int | type[Exception], ExceptionHandler]:
    """Log a `WrongHelloError` and lead to `/hello`."""

    async def redirect(_: Request, exc: Exception) -> Response:
        context.logger.warning("wrong hello at %s", exc)
        return RedirectResponse(f"{context.prefix}/hello", status_code=307)

    return {WrongHelloError: redirect}
