"""The lifespan of a mounted app: each way to start, live, stop, refuse, crash and hang."""

from __future__ import annotations

import asyncio
import re
import sys
import traceback
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from fps_lite import StartupError, create_app, hookimpl, mount
from fps_lite.errors import FPSError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    Step = Callable[[Receive, Send], Awaitable[bool]]
    """Says whether the app goes on."""

LIMIT = 0.4
APP = 'the app mounted at /x of plugin "p"'


async def raises(error: Exception) -> None:
    raise error


# The ways to start.


async def completes(receive: Receive, send: Send) -> bool:
    assert await receive() == {"type": "lifespan.startup"}
    await send({"type": "lifespan.startup.complete"})
    return True


async def completes_unasked(_: Receive, send: Send) -> bool:
    await send({"type": "lifespan.startup.complete"})
    return True


async def raises_at_once(_: Receive, __: Send) -> bool:
    raise ValueError("Unknown scope type: 'lifespan'")


async def asserts(_: Receive, __: Send) -> bool:
    raise AssertionError


async def returns_at_once(_: Receive, __: Send) -> bool:
    return False


async def returns_after_receive(receive: Receive, _: Send) -> bool:
    await receive()
    return False


async def answers_http(_: Receive, send: Send) -> bool:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})
    return False


async def answers_http_after_receive(receive: Receive, send: Send) -> bool:
    await receive()
    return await answers_http(receive, send)


async def answers_http_whatever_happens(receive: Receive, send: Send) -> bool:
    try:
        await answers_http(receive, send)
    except Exception:  # noqa: BLE001 - some do
        await asyncio.Event().wait()
    return False


async def says_why(receive: Receive, send: Send) -> bool:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database\ntry later"})
    return False


async def says_why_and_raises(receive: Receive, send: Send) -> bool:
    await says_why(receive, send)
    raise RuntimeError("start-up failed")


async def says_nothing(receive: Receive, send: Send) -> bool:
    await receive()
    await send({"type": "lifespan.startup.failed"})
    return False


async def says_none(receive: Receive, send: Send) -> bool:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": None})
    return False


async def says_what_is_no_message(receive: Receive, send: Send) -> bool:
    await receive()
    await send({"type": "lifespan.startup.bogus"})
    return True


async def is_cancelled(receive: Receive, _: Send) -> bool:
    await receive()
    raise asyncio.CancelledError


async def says_it_with_a_traceback(receive: Receive, send: Send) -> bool:
    await receive()
    try:
        await raises(ValueError("no\ndatabase"))
    except ValueError:
        message = traceback.format_exc()
        await send({"type": "lifespan.startup.failed", "message": message})
        raise
    return False


async def says_it_with_a_group_of_tracebacks(receive: Receive, send: Send) -> bool:
    await receive()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(raises(ValueError("no database")))
    except ExceptionGroup:
        message = traceback.format_exc()
        await send({"type": "lifespan.startup.failed", "message": message})
    return False


async def raises_after_receive(receive: Receive, _: Send) -> bool:
    await receive()
    raise ValueError("no database")


async def exits(receive: Receive, _: Send) -> bool:
    await receive()
    sys.exit(3)


async def exits_without_a_word(receive: Receive, _: Send) -> bool:
    await receive()
    raise SystemExit


async def hangs(_: Receive, __: Send) -> bool:
    await asyncio.Event().wait()
    return False


async def hangs_after_receive(receive: Receive, send: Send) -> bool:
    await receive()
    return await hangs(receive, send)


STARTS: dict[Step, str] = {
    completes: "",
    completes_unasked: "",
    raises_at_once: "",
    asserts: "",
    returns_at_once: "",
    returns_after_receive: "",
    answers_http: "",
    answers_http_after_receive: "",
    answers_http_whatever_happens: "",
    says_why: "did not start: no database; try later",
    says_why_and_raises: "did not start: no database; try later",
    says_nothing: "did not start: it says no more than that it failed",
    says_none: "did not start: it says no more than that it failed",
    says_what_is_no_message: (
        'did not start: RuntimeError: the lifespan protocol has no message "lifespan.startup.bogus"'
    ),
    is_cancelled: "did not start: its lifespan was cancelled",
    says_it_with_a_traceback: "did not start: ValueError: no database",
    says_it_with_a_group_of_tracebacks: "did not start: ValueError: no database",
    raises_after_receive: "did not start: ValueError: no database",
    exits: "did not start: SystemExit: 3",
    exits_without_a_word: "did not start: SystemExit",
    hangs: f"did not start within {LIMIT:g} s",
    hangs_after_receive: f"did not start within {LIMIT:g} s",
}


# The ways to live; each is told when a request has asked for its worst.


async def goes_on(_: asyncio.Event) -> bool:
    return True


async def returns_early(_: asyncio.Event) -> bool:
    return False


async def crashes(asked: asyncio.Event) -> bool:
    await asked.wait()
    raise ValueError("boom")


async def calls_exit(asked: asyncio.Event) -> bool:
    await asked.wait()
    sys.exit(3)


async def cancels_itself(asked: asyncio.Event) -> bool:
    await asked.wait()
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)
    return True


BODIES: dict[Callable[[asyncio.Event], Awaitable[bool]], str] = {
    goes_on: "",
    returns_early: "",
    crashes: "crashed: ValueError: boom",
    calls_exit: "crashed: SystemExit: 3",
    cancels_itself: "crashed: its lifespan was cancelled",
}


# The ways to stop.


async def stops(_: Receive, send: Send) -> bool:
    await send({"type": "lifespan.shutdown.complete"})
    return True


async def just_returns(_: Receive, __: Send) -> bool:
    return True


async def cannot_stop(_: Receive, send: Send) -> bool:
    await send({"type": "lifespan.shutdown.failed", "message": "cannot flush"})
    return True


async def raises_in_stopping(_: Receive, __: Send) -> bool:
    raise ValueError("cannot flush")


async def cannot_stop_and_raises(_: Receive, send: Send) -> bool:
    try:
        await raises(ValueError("cannot flush"))
    except ValueError:
        message = traceback.format_exc()
        await send({"type": "lifespan.shutdown.failed", "message": message})
        raise
    return True


async def goes_on_after_its_end(receive: Receive, send: Send) -> bool:
    await send({"type": "lifespan.shutdown.complete"})
    await receive()
    return True


STOPS: dict[Step, str] = {
    stops: "",
    just_returns: "",
    goes_on_after_its_end: "",
    cannot_stop: "did not stop: cannot flush",
    raises_in_stopping: "did not stop: ValueError: cannot flush",
    cannot_stop_and_raises: "did not stop: ValueError: cannot flush",
    hangs: f"did not stop within {LIMIT:g} s",
}


@dataclass
class Foreign:
    """An app of somebody else: its lifespan in three steps, and what it saw of the end."""

    start: Step = completes
    body: Callable[[asyncio.Event], Awaitable[bool]] = goes_on
    stop: Step = stops
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    entered: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self.entered += 1
            await self.live(receive, send)
            return
        if scope["path"] == "/x/worst":
            self.asked.set()
        await PlainTextResponse("alive")(scope, receive, send)

    async def live(self, receive: Receive, send: Send) -> None:
        if not await self.start(receive, send) or not await self.body(self.asked):
            return
        if self.start is completes_unasked:
            await receive()
        assert await receive() == {"type": "lifespan.shutdown"}
        await self.stop(receive, send)


class Plugin:
    def __init__(self, *routes: BaseRoute) -> None:
        self.given = routes

    @hookimpl
    def routes(self) -> list[BaseRoute]:
        return list(self.given)


def composed(*routes: BaseRoute, on_failure: str = "fatal") -> Any:
    limits = {"startup_timeout": LIMIT, "shutdown_timeout": LIMIT}
    config = {"fps": limits, "p": {"on_failure": on_failure}}
    return create_app(config, plugins={"p": Plugin(*routes)})


async def get(app: ASGIApp, path: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://host") as client:
        return await client.get(path)


def without_place(text: str) -> str:
    """Leave out where in this file an error was raised."""
    return re.sub(r" \(\S+\.py:\d+\)", "", text)


async def history(app: Any, *, falls: bool) -> dict[str, str]:
    """Return what is said in starting, running and stopping the app, without places."""
    said = dict.fromkeys(("start", "body", "answer", "stop"), "")
    context = app.router.lifespan_context(app)
    try:
        await context.__aenter__()
    except StartupError as error:
        return said | {"start": without_place(str(error))}
    said["answer"] = (await get(app, "/x/worst" if falls else "/x")).text
    if falls and app.collected.loaded.plugins["p"].isolated:
        await asyncio.sleep(0.05)
        said["body"] = without_place("; ".join(app.lifespans.down.values()))
        said["answer"] += (await get(app, "/x")).text
    elif falls:
        await app.crashed.wait()
        said["body"] = without_place(str(app.crash))
    try:
        await context.__aexit__(None, None, None)
    except FPSError as error:
        said["stop"] = without_place(str(error))
    return said


CASES = [
    (start, body, stop)
    for start, body, stop in product(STARTS, BODIES, STOPS)
    # One that never starts has no life, and one that fell has no end of its own.
    if (start in (completes, completes_unasked) or (body, stop) == (goes_on, stops))
    and (body is goes_on or stop is stops)
]


@pytest.mark.parametrize(
    "start, body, stop", CASES, ids=["-".join(one.__name__ for one in case) for case in CASES]
)
def test_mounted_app_starts_lives_and_stops_as_it_does_alone(
    start: Step, body: Callable[[asyncio.Event], Awaitable[bool]], stop: Step
) -> None:
    async def outcome() -> dict[str, str]:
        app = composed(mount("/x", Foreign(start, body, stop)))
        return await asyncio.wait_for(history(app, falls=bool(BODIES[body])), 10)

    expected = {"start": STARTS[start], "body": BODIES[body], "stop": BODIES[body] or STOPS[stop]}
    if STARTS[start]:
        expected |= {"body": "", "stop": ""}
    said = {step: f"{APP} {line}" if line else "" for step, line in expected.items()}
    assert asyncio.run(outcome()) == said | {"answer": "" if STARTS[start] else "alive"}


@pytest.mark.parametrize("body", [crashes, calls_exit, cancels_itself])
def test_crash_of_an_isolated_plugins_app_is_logged_and_closes_that_app(
    body: Callable[[asyncio.Event], Awaitable[bool]], caplog: pytest.LogCaptureFixture
) -> None:
    async def outcome() -> dict[str, str]:
        app = composed(mount("/x", Foreign(body=body)), on_failure="isolate")
        return await asyncio.wait_for(history(app, falls=True), 10)

    said = asyncio.run(outcome())
    assert said["body"] == BODIES[body]
    assert said["answer"] == "aliveService Unavailable: a mounted app is not running\n"
    assert said["stop"] == ""
    assert f"{APP} {BODIES[body]}" in map(without_place, caplog.messages)


def test_isolated_app_that_does_not_start_leaves_the_rest_running(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def answers() -> list[tuple[int, str]]:
        routes = [mount("/x", Foreign(says_why)), mount("/y", Foreign())]
        app = composed(*routes, on_failure="isolate")
        async with app.router.lifespan_context(app):
            found = [await get(app, path) for path in ("/x", "/y")]
            return [(one.status_code, one.text) for one in found]

    broken, fine = asyncio.run(answers())
    assert broken == (503, "Service Unavailable: a mounted app is not running\n")
    assert fine == (200, "alive")
    assert caplog.messages[0] == f"{APP} did not start: no database; try later"


def test_one_that_fails_to_start_ends_the_others_too() -> None:
    other = Foreign()

    async def start() -> None:
        app = composed(mount("/x", Foreign(says_why)), mount("/y", other))
        async with app.router.lifespan_context(app):
            pass

    with pytest.raises(
        StartupError, match=re.escape(f"{APP} did not start: no database; try later")
    ):
        asyncio.run(start())
    assert other.entered == 1


def test_app_can_be_started_again_after_it_stopped() -> None:
    foreign = Foreign()

    async def twice() -> list[str]:
        app = composed(mount("/x", foreign))
        return [(await history(app, falls=False))["answer"] for _ in range(2)]

    assert asyncio.run(twice()) == ["alive", "alive"]
    assert foreign.entered == 2


def test_app_stops_before_the_plugin_that_mounts_it_and_starts_after_it() -> None:
    order: list[str] = []

    @asynccontextmanager
    async def inner(_: Starlette) -> AsyncIterator[None]:
        order.append("app starts")
        yield
        order.append("app stops")

    class Owner(Plugin):
        @hookimpl
        async def lifespan(self) -> AsyncIterator[None]:
            order.append("plugin starts")
            yield
            order.append("plugin stops")

    async def run() -> None:
        app = create_app({}, plugins={"p": Owner(Mount("/x", Starlette(lifespan=inner)))})
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(run())
    assert order == ["plugin starts", "app starts", "app stops", "plugin stops"]


def test_lifespan_can_be_left_alone() -> None:
    foreign = Foreign(says_why)

    async def run() -> str:
        app = composed(mount("/x", foreign, lifespan=False))
        return (await history(app, falls=False))["answer"]

    assert asyncio.run(run()) == "alive"
    assert foreign.entered == 0


def test_whole_lifespan_runs_in_one_task() -> None:
    tasks: list[object] = []

    @asynccontextmanager
    async def inner(_: Starlette) -> AsyncIterator[None]:
        tasks.append(asyncio.current_task())
        # A cancel scope, say of anyio, must be left in the task that entered it.
        async with asyncio.timeout(5), asyncio.TaskGroup():
            yield
        tasks.append(asyncio.current_task())

    async def run() -> None:
        app = composed(mount("/x", Starlette(lifespan=inner)))
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(run())
    assert tasks[0] is tasks[1]


def test_crash_in_a_mounted_apps_own_task_group_is_told_with_its_reason() -> None:
    asked = asyncio.Event()

    async def boom() -> None:
        await asked.wait()
        raise ValueError("boom")

    @asynccontextmanager
    async def inner(_: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            group.create_task(boom())
            yield

    async def run() -> Any:
        app = composed(mount("/x", Starlette(lifespan=inner)))
        with suppress(FPSError):
            async with app.router.lifespan_context(app):
                asked.set()
                await asyncio.wait_for(app.crashed.wait(), 5)
        return app.crash

    line = rf"{APP} crashed: ValueError: boom \(.*test_mounting_lifespan\.py:\d+\)"
    assert re.fullmatch(line, str(asyncio.run(run())))


def test_message_that_is_no_text_for_a_person_is_one_line() -> None:
    message: Message = {"type": "lifespan.startup.failed", "message": "\n \n one\n\n- two\n"}

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(message)

    async def run() -> str:
        return (await history(composed(mount("/x", app)), falls=False))["start"]

    assert asyncio.run(run()) == f"{APP} did not start: one; two"
