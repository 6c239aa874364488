"""Lifespans are started in order, kept, and stopped in reverse, whatever a plugin does."""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
import time
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fps_lite.errors import FPSError, StartupError, StoppedError
from fps_lite.lifespan import Lifespans, Unit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
    from typing import TypeAlias

    Step: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

LOGGER = logging.getLogger("test_lifespan")
SOON = 0.05  # a limit that is meant to be reached
LONG = 20.0  # a limit that is not
LOOP_ENDERS = [asyncio.CancelledError, SystemExit, KeyboardInterrupt, GeneratorExit]


def without_places(text: str) -> str:
    """Leave out where an error was raised: the line's number in this file."""
    return re.sub(r" \(\S+\.py:\d+\)", "", text)


def lifespans(units: Sequence[Unit], **options: Any) -> Lifespans:
    given_ones: dict[str, Any] = {
        "mask": without_places,
        "startup_timeout": LONG,
        "shutdown_timeout": LONG,
        "patience": SOON,
    }
    return Lifespans(units, logger=LOGGER, **(given_ones | options))


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run it in bounded time, and see that it leaves no task behind."""

    async def bounded() -> None:
        async with asyncio.timeout(LONG / 2):
            await main
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(bounded())


async def nothing() -> None:
    pass


async def start_and_stop(lives: Lifespans, body: Step = nothing) -> None:
    async with lives.running():
        await body()


class Diary:
    """What happened, in order; and units that write it."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def unit(
        self,
        name: str,
        *,
        start: Step = nothing,
        stop: Step = nothing,
        gives: object = None,
        **options: Any,
    ) -> Unit:
        async def lifespan() -> AsyncIterator[object]:
            self.lines.append(f"+{name}")
            await start()
            yield gives
            # Not in a `finally`: an error in the `yield` would skip it.
            self.lines.append(f"-{name}")
            await stop()

        after = frozenset(options.pop("after", ()))
        requires = frozenset(options.pop("requires", ()))
        provides = frozenset(options.pop("provides", ()))
        return Unit(name, lambda _: lifespan(), after, requires, provides, **options)


def raising(error: BaseException) -> Step:
    async def raise_it() -> None:
        raise error

    return raise_it


async def forever() -> None:
    await asyncio.Event().wait()


async def deaf() -> None:
    """Swallow two cancellations; the third one is that of the loop that ends."""
    for _ in range(2):
        with suppress(asyncio.CancelledError):
            await forever()
    await forever()


async def soon(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - it is tested, not told
        await asyncio.sleep(0.001)


def messages(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= level]


# Order


def test_start_is_in_order_and_stop_is_in_reverse() -> None:
    diary = Diary()
    units = [diary.unit("c", after="b"), diary.unit("b", requires="a"), diary.unit("a")]
    run(start_and_stop(lifespans(units)))
    assert diary.lines == ["+a", "+b", "+c", "-c", "-b", "-a"]


def test_independent_ones_start_in_the_given_order_and_are_woken_in_reverse() -> None:
    diary = Diary()
    run(start_and_stop(lifespans([diary.unit(name) for name in "bcad"])))
    assert diary.lines == ["+b", "+c", "+a", "+d", "-d", "-a", "-c", "-b"]


def test_independent_ones_start_and_stop_side_by_side() -> None:
    async def main() -> None:
        meeting = asyncio.Barrier(2)

        async def meet() -> None:
            await meeting.wait()

        diary = Diary()
        units = [diary.unit(name, start=meet, stop=meet) for name in "ab"]
        await start_and_stop(lifespans(units))

    run(main())


def test_each_unit_enters_and_exits_in_one_task_of_its_own() -> None:
    seen: dict[str, list[object]] = {"a": [], "b": []}

    def unit(name: str) -> Unit:
        async def lifespan() -> AsyncIterator[None]:
            seen[name].append(asyncio.current_task())
            yield
            seen[name].append(asyncio.current_task())

        return Unit(name, lambda _: lifespan())

    run(start_and_stop(lifespans([unit("a"), unit("b")])))
    assert seen["a"][0] is seen["a"][1]
    assert seen["b"][0] is seen["b"][1]
    assert seen["a"][0] is not seen["b"][0]


def test_one_that_is_not_there_is_not_waited_for() -> None:
    diary = Diary()
    run(start_and_stop(lifespans([diary.unit("a", after=["absent"], requires=["missing"])])))
    assert diary.lines == ["+a", "-a"]


def test_cycle_and_a_name_twice_are_refused() -> None:
    diary = Diary()
    with pytest.raises(ValueError, match=r"a cycle of units: [ab] after [ab] after [ab]"):
        lifespans([diary.unit("a", after="b"), diary.unit("b", after="a")])
    with pytest.raises(ValueError, match="two units of one name: a, a"):
        lifespans([diary.unit("a"), diary.unit("a")])


def test_eager_tasks_change_nothing() -> None:
    factory = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        pytest.skip("this Python has none")

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        diary = Diary()
        units = [diary.unit("c", after="a"), diary.unit("b"), diary.unit("a")]
        await start_and_stop(lifespans(units))
        assert diary.lines == ["+b", "+a", "+c", "-c", "-b", "-a"]
        failing = [diary.unit("x", start=raising(OSError("no"))), diary.unit("y", after="x")]
        with pytest.raises(StartupError, match='plugin "x" did not start: OSError: no'):
            await start_and_stop(lifespans(failing))

    run(main())


# The matrix: what comes out of a start, a body and a stop

START = {"ok": None, "raises": OSError("no such host"), "cancels": asyncio.CancelledError()}
BODY = {"ok": None, "raises": ValueError("body")}
STOP = {"ok": None, "raises": KeyError("gone"), "cancels": asyncio.CancelledError()}
STARTS = {
    "raises": 'plugin "b" did not start: OSError: no such host',
    "cancels": 'plugin "b" did not start: CancelledError',
}
STOPS = {
    "raises": "plugin \"b\" did not stop: KeyError: 'gone'",
    "cancels": 'plugin "b" did not stop: CancelledError',
}


@pytest.mark.parametrize("stop", STOP)
@pytest.mark.parametrize("body", BODY)
@pytest.mark.parametrize("start", START)
def test_outcome_of_start_body_and_stop(
    start: str, body: str, stop: str, caplog: pytest.LogCaptureFixture
) -> None:
    diary = Diary()
    stops = {key: raising(error) if error else nothing for key, error in STOP.items()}
    starts = {key: raising(error) if error else nothing for key, error in START.items()}
    does = {key: raising(error) if error else nothing for key, error in BODY.items()}
    units = [diary.unit("a"), diary.unit("b", start=starts[start], stop=stops[stop], after="a")]
    units.append(diary.unit("c", after="b"))
    caught: list[BaseException] = []

    async def main() -> None:
        try:
            await start_and_stop(lifespans(units), does[body])
        except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at below
            caught.append(error)

    run(main())
    logged = messages(caplog)
    if start != "ok":
        assert [(type(one), str(one)) for one in caught] == [(StartupError, STARTS[start])]
        assert (logged, diary.lines) == ([], ["+a", "+b", "-a"])
        return
    assert diary.lines == ["+a", "+b", "+c", "-c", "-b", "-a"]
    assert logged == ([STOPS[stop]] if stop != "ok" else [])
    if body != "ok":
        assert caught == [BODY[body]]
    elif stop != "ok":
        assert [(type(one), str(one)) for one in caught] == [(StoppedError, STOPS[stop])]
    else:
        assert not caught


# The ten traps of one stack of context managers over all


def task_group_unit(
    name: str, diary: Diary, child: Step, after: str = "", on_failure: Any = "fatal"
) -> Unit:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(child)
            diary.lines.append(f"+{name}")
            yield
            diary.lines.append(f"-{name}")
            group.cancel_scope.cancel()

    return Unit(name, lambda _: lifespan(), frozenset(after), on_failure=on_failure)


def test_task_groups_of_plugins_are_left_in_the_task_that_entered_them() -> None:
    diary = Diary()
    units = [
        task_group_unit("a", diary, anyio.sleep_forever),
        task_group_unit("b", diary, anyio.sleep_forever, after="a"),
        task_group_unit("c", diary, anyio.sleep_forever),
    ]
    run(start_and_stop(lifespans(units)))
    assert diary.lines == ["+a", "+b", "+c", "-c", "-b", "-a"]


def test_failed_start_is_not_thrown_into_the_others() -> None:
    diary = Diary()
    units = [
        task_group_unit("a", diary, anyio.sleep_forever),
        diary.unit("b", after="a"),
        diary.unit("c", after="b", start=raising(OSError("no"))),
    ]
    with pytest.raises(StartupError, match=r'^plugin "c" did not start: OSError: no$'):
        run(start_and_stop(lifespans(units)))
    assert diary.lines == ["+a", "+b", "+c", "-b", "-a"]


def test_failing_stops_are_all_named_and_the_others_stop(caplog: pytest.LogCaptureFixture) -> None:
    diary = Diary()
    units = [
        diary.unit("a"),
        diary.unit("b", after="a", stop=raising(OSError("b\nin two lines"))),
        diary.unit("c", after="b", stop=raising(OSError("c"))),
    ]
    with pytest.raises(FPSError) as caught:
        run(start_and_stop(lifespans(units)))
    lines = [
        'plugin "c" did not stop: OSError: c',
        'plugin "b" did not stop: OSError: b in two lines',
    ]
    assert list(caught.value.problems) == messages(caplog) == lines
    assert caught.value.exit_code == 1
    assert diary.lines[3:] == ["-c", "-b", "-a"]


def test_hanging_start_is_named_at_its_limit() -> None:
    diary = Diary()
    units = [diary.unit("a"), diary.unit("b", start=forever, after="a")]
    with pytest.raises(StartupError, match=r'^plugin "b" did not start within 0\.05 s$'):
        run(start_and_stop(lifespans(units, startup_timeout=SOON)))
    assert diary.lines == ["+a", "+b", "-a"]


def test_limit_works_around_a_task_group_and_lets_it_clean_up() -> None:
    lines: list[str] = []

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            try:
                await forever()
                yield
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(2 * SOON)
                lines.append("cleaned up")

    units = [Unit("a", lambda _: lifespan())]
    with pytest.raises(StartupError, match=r'^plugin "a" did not start within 0\.05 s$'):
        run(start_and_stop(lifespans(units, startup_timeout=SOON, patience=LONG)))
    assert lines == ["cleaned up"]


def test_crash_of_a_background_task_is_named_at_once_and_ends_only_its_own_plugin(
    caplog: pytest.LogCaptureFixture,
) -> None:
    diary = Diary()
    line = 'plugin "b" crashed: OSError: lost; ValueError: too'

    async def main() -> None:
        go = asyncio.Event()

        async def crash(error: Exception) -> None:
            await go.wait()
            raise error

        @asynccontextmanager
        async def two() -> AsyncIterator[None]:
            async with anyio.create_task_group() as group:
                group.start_soon(crash, OSError("lost"))
                group.start_soon(crash, ValueError("too"))
                yield

        units = [diary.unit("a"), Unit("b", lambda _: two(), frozenset("a"))]
        units.append(diary.unit("c", after="b"))
        lives = lifespans(units)
        async with lives.running():
            go.set()
            await lives.crashed.wait()
            assert not lives.is_running
            assert not lives.stopping.is_set()
            assert str(lives.crash) == line
            assert diary.lines == ["+a", "+c"]
            assert messages(caplog) == [line]
            assert caplog.records[0].levelno == logging.ERROR

    with pytest.raises(FPSError) as caught:
        run(main())
    assert caught.value.problems == (line,)
    assert diary.lines == ["+a", "+c", "-c", "-a"]


def test_hanging_stop_is_cancelled_at_its_limit_and_the_others_stop() -> None:
    diary = Diary()
    units = [diary.unit("a"), diary.unit("b", stop=forever, after="a"), diary.unit("c", after="b")]
    with pytest.raises(FPSError, match=r'^plugin "b" did not stop within 0\.05 s$'):
        run(start_and_stop(lifespans(units, shutdown_timeout=SOON)))
    assert diary.lines[3:] == ["-c", "-b", "-a"]


LEFT = ", ignores its cancellation and is left running"


def run_with_one_left(main: Coroutine[Any, Any, None]) -> None:
    """Run it; the loop's end cancels the task that was abandoned, as it would any other."""

    async def bounded() -> None:
        async with asyncio.timeout(LONG / 2):
            await main
        assert len(asyncio.all_tasks()) == 2

    asyncio.run(bounded())


def test_stop_that_swallows_cancellation_is_abandoned(caplog: pytest.LogCaptureFixture) -> None:
    diary = Diary()
    units = [diary.unit("a"), diary.unit("b", stop=deaf, after="a"), diary.unit("c", after="b")]
    line = f'plugin "b" did not stop within 0.05 s{LEFT}'

    async def main() -> None:
        with pytest.raises(FPSError) as caught:
            await start_and_stop(lifespans(units, shutdown_timeout=SOON))
        assert caught.value.problems == (line,)
        assert diary.lines[3:] == ["-c", "-b", "-a"]

    run_with_one_left(main())
    assert messages(caplog) == [line]


def test_start_that_swallows_cancellation_is_abandoned() -> None:
    diary = Diary()
    units = [diary.unit("a"), diary.unit("b", start=deaf, after="a")]

    async def main() -> None:
        with pytest.raises(StartupError) as caught:
            await start_and_stop(lifespans(units, startup_timeout=SOON, shutdown_timeout=SOON))
        assert caught.value.problems == (f'plugin "b" did not start within 0.05 s{LEFT}',)
        assert diary.lines == ["+a", "+b", "-a"]

    run_with_one_left(main())


def test_start_that_swallows_its_cancellation_and_yields_is_too_late_and_stopped() -> None:
    async def swallow() -> None:
        with suppress(asyncio.CancelledError):
            await forever()

    diary = Diary()
    lives = lifespans([diary.unit("a", start=swallow, gives={"a": 1})], startup_timeout=SOON)
    with pytest.raises(StartupError, match=r'^plugin "a" did not start within 0\.05 s$'):
        run(start_and_stop(lives))
    assert diary.lines == ["+a", "-a"]
    assert "a" not in lives.state


def test_manager_that_suppresses_hides_no_error_of_another() -> None:
    diary = Diary()

    async def suppressing() -> AsyncIterator[None]:
        try:
            yield
        except BaseException:  # noqa: BLE001 - what a careless plugin does
            diary.lines.append("suppressed")

    units = [Unit("b", lambda _: suppressing())]
    units.append(diary.unit("c", after="b", start=raising(OSError("no"))))
    with pytest.raises(StartupError, match=r'^plugin "c" did not start: OSError: no$'):
        run(start_and_stop(lifespans(units)))
    assert diary.lines == ["+c"]


@pytest.mark.parametrize("kind", LOOP_ENDERS)
def test_start_that_would_end_the_loop_is_a_named_error(kind: type[BaseException]) -> None:
    diary = Diary()
    units = [diary.unit("a"), diary.unit("b", start=raising(kind()), after="a")]
    with pytest.raises(StartupError, match=f'^plugin "b" did not start: {kind.__name__}$'):
        run(start_and_stop(lifespans(units)))
    assert diary.lines == ["+a", "+b", "-a"]


@pytest.mark.parametrize("kind", LOOP_ENDERS)
def test_stop_that_would_end_the_loop_is_a_named_error(kind: type[BaseException]) -> None:
    diary = Diary()
    units = [diary.unit("a"), diary.unit("b", stop=raising(kind("why")), after="a")]
    with pytest.raises(FPSError, match=f'^plugin "b" did not stop: {kind.__name__}: why$'):
        run(start_and_stop(lifespans(units)))
    assert diary.lines == ["+a", "+b", "-b", "-a"]


# What a plugin may return and yield


def refused(enter: Callable[[Mapping[str, Any]], Any], **options: Any) -> str:
    with pytest.raises(StartupError) as caught:
        run(start_and_stop(lifespans([Unit("a", enter, **options)])))
    assert len(caught.value.problems) == 1
    return str(caught.value).removeprefix('plugin "a" did not start: ')


def test_lifespan_may_be_a_manager_a_generator_or_nothing() -> None:
    diary = Diary()

    class Manager(AbstractAsyncContextManager[None]):
        async def __aenter__(self) -> None:
            diary.lines.append("+manager")

        async def __aexit__(self, *error: object) -> None:
            assert error == (None, None, None)
            diary.lines.append("-manager")

    nothing_to_run = Unit("none", lambda _: None, frozenset({"generator"}))
    units = [Unit("manager", lambda _: Manager()), diary.unit("generator"), nothing_to_run]
    run(start_and_stop(lifespans([*units, diary.unit("last", after=["none"])])))
    assert diary.lines == ["+manager", "+generator", "+last", "-last", "-manager", "-generator"]


async def no_generator() -> None:
    pass


async def no_yield() -> AsyncIterator[None]:
    for _ in ():
        yield


async def two_yields() -> AsyncIterator[None]:
    yield
    yield


@pytest.mark.parametrize(
    "enter, kind",
    [
        (lambda _: no_generator(), "coroutine"),
        (lambda _: iter(()), "tuple_iterator"),
        (lambda _: no_yield, "function"),
    ],
)
def test_anything_else_is_refused_with_what_to_write(enter: Any, kind: str) -> None:
    assert refused(enter) == (
        f'its lifespan is a "{kind}": write an "async def" that yields once, '
        "or return an async context manager"
    )


def test_lifespan_that_raises_when_it_is_called_is_named() -> None:
    assert refused(lambda seen: seen["absent"]) == "KeyError: 'absent'"


@pytest.mark.parametrize("enter", [no_yield, asynccontextmanager(no_yield)])
def test_lifespan_without_a_yield_is_a_failed_start(enter: Callable[[], Any]) -> None:
    assert refused(lambda _: enter()) == "its lifespan did not yield"


def test_lifespan_with_two_yields_fails_to_stop() -> None:
    with pytest.raises(FPSError, match='"a" did not stop: its lifespan yields more than once'):
        run(start_and_stop(lifespans([Unit("a", lambda _: two_yields())])))


def test_lifespan_that_ends_by_itself_crashed() -> None:
    async def main() -> None:
        async def suppressing() -> AsyncIterator[None]:
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(raising(OSError("lost")))
                    yield
            except BaseException:  # noqa: BLE001 - what a careless plugin does
                pass

        lives = lifespans([Unit("a", lambda _: suppressing())])
        async with lives.running():
            await lives.crashed.wait()

    line = 'plugin "a" crashed: its lifespan ended before it was told to'
    with pytest.raises(FPSError, match=f"^{line}$"):
        run(main())


@pytest.mark.parametrize(
    "gives, problem",
    [
        (1, 'it yields a "int": yield nothing, or a mapping like {"b": …}'),
        ({"fps": 1}, 'it yields "fps", which is reserved'),
        ({"b": 1, "x": 1}, 'it yields "x", which is neither its name nor one that it provides'),
        ({"b": 1, "db": 1}, 'it yields "db", which plugin "a" yields already'),
    ],
)
def test_wrong_services_fail_the_start_and_the_plugin_is_stopped(gives: Any, problem: str) -> None:
    diary = Diary()
    units = [
        diary.unit("a", gives={"db": 0}, provides=["db"]),
        diary.unit("b", gives=gives, provides=["db"], after="a"),
    ]
    lives = lifespans(units)
    with pytest.raises(StartupError) as caught:
        run(start_and_stop(lives))
    assert str(caught.value) == f'plugin "b" did not start: {problem}'
    assert diary.lines == ["+a", "+b", "-b", "-a"]
    assert lives.state["db"] == 0
    assert "b" not in lives.state


def test_unit_sees_the_services_of_those_it_comes_after_and_requests_see_all() -> None:
    seen: dict[str, Any] = {}
    diary = Diary()

    def look(state: Mapping[str, Any]) -> None:
        seen.update(state)
        with pytest.raises(TypeError):
            state["mine"] = 1  # type: ignore[index]

    units = [
        diary.unit("a", gives={"a": 1, "db": 2}, provides=["db"]),
        diary.unit("b", gives={"b": 3}),
        diary.unit("c", gives={"c": 4}),
        Unit("d", look, frozenset("a"), frozenset("b")),
    ]
    lives = lifespans(units, core={"config_of": dict})

    async def body() -> None:
        assert set(lives.state) == {"fps", "a", "db", "b", "c"}
        assert lives.state["fps"] == {"config_of": dict, "stopping": lives.stopping}
        with pytest.raises(TypeError):
            lives.state["mine"] = 1  # type: ignore[index]

    run(start_and_stop(lives, body))
    assert {key: value for key, value in seen.items() if key != "fps"} == {"a": 1, "db": 2, "b": 3}
    assert seen["fps"]["stopping"] is lives.stopping


# Failure policy


def test_all_that_failed_side_by_side_are_named() -> None:
    diary = Diary()
    units = [diary.unit(name, start=raising(OSError(name))) for name in "ab"]
    with pytest.raises(StartupError) as caught:
        run(start_and_stop(lifespans([*units, diary.unit("c", start=forever)])))
    assert list(caught.value.problems) == [
        'plugin "a" did not start: OSError: a',
        'plugin "b" did not start: OSError: b',
    ]


def test_failed_start_cancels_those_that_are_starting_and_logs_what_that_raises(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail_when_cancelled() -> None:
        try:
            await forever()
        finally:
            raise ValueError("second")

    diary = Diary()
    units = [
        diary.unit("a", stop=raising(KeyError("stop"))),
        diary.unit("b", start=fail_when_cancelled),
        diary.unit("c", start=raising(OSError("first")), after="a"),
        diary.unit("d", after="b"),
    ]
    with pytest.raises(StartupError) as caught:
        run(start_and_stop(lifespans(units)))
    assert caught.value.problems == ('plugin "c" did not start: OSError: first',)
    assert sorted(messages(caplog)) == [
        "plugin \"a\" did not stop: KeyError: 'stop'",
        'plugin "b" did not stop: ValueError: second',
    ]
    assert diary.lines == ["+a", "+b", "+c", "-a"]


def test_crash_before_the_last_has_started_is_a_failed_start() -> None:
    diary = Diary()

    async def crash() -> None:
        raise OSError("lost")

    units = [task_group_unit("a", diary, crash), diary.unit("b", start=forever)]
    with pytest.raises(StartupError, match=r'^plugin "a" crashed: OSError: lost$'):
        run(start_and_stop(lifespans(units)))
    assert diary.lines == ["+a", "+b"]


def test_crash_that_still_cleans_up_when_the_last_has_started_is_a_failed_start() -> None:
    diary = Diary()

    async def lifespan() -> AsyncIterator[None]:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(raising(OSError("lost")))
                yield
        finally:
            await asyncio.sleep(2 * SOON)

    async def a_while() -> None:
        await asyncio.sleep(SOON)

    async def body() -> None:
        diary.lines.append("served")

    units = [Unit("a", lambda _: lifespan()), diary.unit("b", start=a_while)]
    with pytest.raises(StartupError, match=r'^plugin "a" crashed: OSError: lost$'):
        run(start_and_stop(lifespans(units), body))
    assert diary.lines == ["+b", "-b"]


def test_slow_start_is_named_beside_a_failure_that_came_while_it_cleaned_up() -> None:
    async def main() -> None:
        is_late = asyncio.Event()

        async def clean_up_slowly() -> None:
            try:
                await forever()
            finally:
                is_late.set()
                await lives.stopping.wait()

        async def fail_meanwhile() -> None:
            with suppress(asyncio.CancelledError):
                await is_late.wait()
            raise OSError

        diary = Diary()
        units = [diary.unit("a", start=clean_up_slowly), diary.unit("b", start=fail_meanwhile)]
        lives = lifespans(units, startup_timeout=SOON)
        with pytest.raises(StartupError) as caught:
            await start_and_stop(lives)
        assert 'plugin "a" did not start within 0.05 s' in caught.value.problems
        assert len(caught.value.problems) == 2

    run(main())


def test_abandoned_start_that_ends_after_all_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        released = asyncio.Event()

        async def wait_for_release() -> None:
            while not released.is_set():
                with suppress(asyncio.CancelledError):
                    await released.wait()

        diary = Diary()
        unit = diary.unit(
            "a", start=wait_for_release, stop=forever, gives={"a": 1}, on_failure="isolate"
        )
        lives = lifespans([unit], startup_timeout=SOON, shutdown_timeout=SOON)
        async with lives.running():
            assert dict(lives.down) == {"a": f"did not start within 0.05 s{LEFT}"}
            released.set()
            await asyncio.sleep(5 * SOON)
            assert diary.lines == ["+a", "-a"]
            assert "a" not in lives.state

    run_with_one_left(main())
    assert messages(caplog) == [f'plugin "a" did not start within 0.05 s{LEFT}']


def test_isolated_failure_takes_down_those_that_require_it_and_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    diary = Diary()
    units = [
        diary.unit("a", start=raising(OSError("no")), gives={"a": 1}, on_failure="isolate"),
        diary.unit("b", requires="a"),
        diary.unit("c", requires="b", on_failure="isolate"),
        diary.unit("d", after="a"),
    ]
    lives = lifespans(units)

    async def body() -> None:
        assert lives.is_running
        assert [lives.is_down(name) for name in "abcd"] == [True, True, True, False]
        assert dict(lives.down) == {
            "a": "did not start: OSError: no",
            "b": 'requires "a" (did not start: OSError: no)',
            "c": 'requires "b" (requires "a" (did not start: OSError: no))',
        }

    run(start_and_stop(lives, body))
    assert diary.lines == ["+a", "+d", "-d"]
    assert messages(caplog) == [
        'plugin "b" is down: requires "a" (did not start: OSError: no)',
        'plugin "c" is down: requires "b" (requires "a" (did not start: OSError: no))',
        'plugin "a" did not start: OSError: no',
    ]


def test_isolated_crash_leaves_the_app_running_and_what_requires_it_down(
    caplog: pytest.LogCaptureFixture,
) -> None:
    diary = Diary()

    async def main() -> None:
        go = asyncio.Event()

        async def crash() -> None:
            await go.wait()
            raise OSError("lost")

        units = [
            task_group_unit("a", diary, crash, on_failure="isolate"),
            diary.unit("b", requires="a"),
            diary.unit("c"),
        ]
        lives = lifespans(units)
        async with lives.running():
            go.set()
            await soon(lambda: lives.down.get("a") == "crashed: OSError: lost")
            assert lives.is_running
            assert not lives.crashed.is_set()
            assert [lives.is_down(name) for name in "abc"] == [True, True, False]
            # The tasks of those that require it go on until all are stopped.
            assert diary.lines == ["+a", "+b", "+c"]

    run(main())
    assert diary.lines == ["+a", "+b", "+c", "-c", "-b"]
    assert messages(caplog)[-1] == 'plugin "a" crashed: OSError: lost'


@pytest.mark.parametrize("on_failure", ["fatal", "isolate"])
def test_gate_shuts_while_a_crashed_plugin_still_cleans_up(on_failure: Any) -> None:
    async def main() -> None:
        go, cleaned = asyncio.Event(), asyncio.Event()

        async def crash() -> None:
            await go.wait()
            raise OSError("lost")

        async def lifespan() -> AsyncIterator[None]:
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(crash)
                    yield
            finally:
                await cleaned.wait()

        lives = lifespans([Unit("a", lambda _: lifespan(), on_failure=on_failure)])
        async with lives.running():
            go.set()
            await soon(lambda: not lives.is_running or lives.is_down("a"))
            assert not lives.crashed.is_set()
            cleaned.set()
            await soon(lambda: lives.crashed.is_set() or "lost" in lives.down.get("a", ""))

    if on_failure == "isolate":
        run(main())
    else:
        with pytest.raises(FPSError, match=r'^plugin "a" crashed: OSError: lost$'):
            run(main())


def test_cleanup_after_a_crash_has_a_limit() -> None:
    async def main() -> None:
        async def lifespan() -> AsyncIterator[None]:
            try:
                yield
            finally:
                await deaf()

        lives = lifespans([Unit("a", lambda _: lifespan())], shutdown_timeout=SOON)

        async def body() -> None:
            for task in asyncio.all_tasks():
                if task.get_name() == "lifespan of a":
                    task.cancel()  # as a task group in it would
            await lives.crashed.wait()

        with pytest.raises(FPSError, match=f"crashed{LEFT}"):
            await start_and_stop(lives, body)

    run_with_one_left(main())


# The owner


def test_flags_tell_requests_and_the_server_where_it_is() -> None:
    diary = Diary()
    lives = lifespans([diary.unit("a")])

    def flags() -> tuple[bool, bool, bool]:
        assert lives.state["fps"]["stopping"] is lives.stopping
        return lives.is_running, lives.stopping.is_set(), lives.crashed.is_set()

    async def body() -> None:
        assert flags() == (True, False, False)
        assert lives.crash is None
        lives.begin_stopping()
        assert flags() == (True, True, False)  # requests are still answered
        assert diary.lines == ["+a"]

    assert flags() == (False, False, False)
    run(start_and_stop(lives, body))
    assert flags() == (False, True, False)


def test_end_of_the_body_says_that_draining_has_begun_before_anything_stops() -> None:
    async def main() -> None:
        seen: list[tuple[bool, bool]] = []

        async def look() -> None:
            seen.append((lives.stopping.is_set(), lives.is_running))

        lives = lifespans([Diary().unit("a", stop=look)])
        await start_and_stop(lives)
        assert seen == [(True, False)]

    run(main())


def test_one_app_can_be_started_again_in_another_loop_but_not_twice_at_once() -> None:
    diary = Diary()
    lives = lifespans([diary.unit("a", gives={"a": 1})])

    async def body() -> None:
        assert not lives.stopping.is_set()
        with pytest.raises(StartupError, match="this app is running already"):
            await start_and_stop(lives)
        assert lives.is_running

    run(start_and_stop(lives, body))
    run(start_and_stop(lives, body))
    assert diary.lines == ["+a", "-a"] * 2


def test_start_again_after_a_failed_start_and_after_a_crash() -> None:
    errors = [OSError("no"), None]

    async def fail_once() -> None:
        error = errors.pop(0)
        if error:
            raise error

    lives = lifespans([Diary().unit("a", start=fail_once)])
    with pytest.raises(StartupError):
        run(start_and_stop(lives))
    run(start_and_stop(lives))


@pytest.mark.parametrize("when", ["start", "body", "stop"])
def test_cancelled_owner_unwinds_everything_and_is_cancelled(when: str) -> None:
    diary = Diary()

    async def main() -> None:
        reached = asyncio.Event()

        async def here() -> None:
            reached.set()
            await (asyncio.sleep(SOON) if when == "stop" else forever())

        units = [
            diary.unit("a"),
            diary.unit("b", after="a", **({when: here} if when in {"start", "stop"} else {})),
            diary.unit("c", after="b"),
        ]
        lives = lifespans(units)
        owner = asyncio.create_task(start_and_stop(lives, here if when == "body" else nothing))
        await reached.wait()
        owner.cancel()
        with pytest.raises(asyncio.CancelledError):
            await owner
        assert owner.cancelled()
        assert not lives.is_running

    run(main())
    whole = ["+a", "+b", "+c", "-c", "-b", "-a"]
    assert diary.lines == (["+a", "+b", "-a"] if when == "start" else whole)


def test_unit_whose_task_is_cancelled_before_its_first_step_did_not_start() -> None:
    async def cancel_others() -> None:
        for task in asyncio.all_tasks():
            if task.get_name() == "lifespan of b":
                task.cancel()

    diary = Diary()
    units = [diary.unit("a", start=cancel_others), diary.unit("b")]
    with pytest.raises(StartupError, match=r'^plugin "b" did not start: CancelledError$'):
        run(start_and_stop(lifespans(units)))
    assert diary.lines == ["+a", "-a"]


def test_loop_that_makes_no_task_is_an_error_and_not_a_hang() -> None:
    diary = Diary()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def refuse_the_second(_: asyncio.AbstractEventLoop, living: Any, **options: Any) -> Any:
            made.append(living)
            if len(made) == 2:
                living.close()
                raise TypeError
            return asyncio.Task(living, loop=loop, **options)

        made: list[Any] = []
        loop.set_task_factory(refuse_the_second)
        try:
            with pytest.raises(TypeError):
                await start_and_stop(lifespans([diary.unit(name) for name in "abc"]))
        finally:
            loop.set_task_factory(None)

    run(main())
    assert not diary.lines


def test_limit_of_the_owner_comes_out_as_its_own() -> None:
    async def main() -> None:
        diary = Diary()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SOON):
                await start_and_stop(lifespans([diary.unit("a")]), forever)
        assert diary.lines == ["+a", "-a"]
        with anyio.move_on_after(SOON) as scope:
            await start_and_stop(lifespans([diary.unit("a")]), forever)
        assert scope.cancelled_caught
        assert diary.lines == ["+a", "-a"] * 2

    run(main())


def test_loop_that_ends_cleans_up_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    ended: list[str] = []

    async def lifespan() -> AsyncIterator[None]:
        try:
            yield
        finally:
            ended.append("a")

    async def main() -> None:
        owner = asyncio.create_task(
            start_and_stop(lifespans([Unit("a", lambda _: lifespan())]), forever)
        )
        await asyncio.sleep(SOON)
        assert not owner.done()

    asyncio.run(main())
    assert ended == ["a"]
    assert not messages(caplog)


# What is said


def test_slow_start_is_said_again_and_again(caplog: pytest.LogCaptureFixture) -> None:
    async def three() -> None:
        await soon(lambda: len(caplog.records) >= 3)

    diary = Diary()
    units = [diary.unit("db", start=three), diary.unit("b", after=["db"]), diary.unit("c")]
    run(start_and_stop(lifespans(units, remind_every=SOON)))
    assert messages(caplog)[:3] == [
        'still waiting for plugin "db" to start (0.05 s)',
        'still waiting for plugin "db" to start (0.1 s)',
        'still waiting for plugin "db" to start (0.15 s)',
    ]


def test_secrets_are_masked_wherever_an_error_goes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    diary = Diary()
    units = [
        diary.unit("a", start=raising(OSError("hunter2")), on_failure="isolate"),
        diary.unit("b", stop=raising(OSError("hunter2"))),
        diary.unit("c", after="b", start=raising(OSError("hunter2"))),
    ]
    lives = lifespans(units, mask=lambda text: text.replace("hunter2", "***"))
    with pytest.raises(StartupError, match=r"OSError: \*\*\*"):
        run(start_and_stop(lives))
    assert "hunter2" not in caplog.text + str(lives.down)
    assert "***" in lives.down["a"]


def test_traceback_is_for_debugging_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(FPSError):
        run(start_and_stop(lifespans([Diary().unit("a", stop=raising(OSError("x")))])))
    debugged = [one.getMessage() for one in caplog.records if one.levelno == logging.DEBUG]
    assert any("Traceback" in line and "raise_it" in line for line in debugged)
    assert messages(caplog) == ['plugin "a" did not stop: OSError: x']


def test_failure_is_shown_with_the_place_where_the_plugin_raised_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    places: list[str] = []

    async def crash() -> None:
        places.append(f"({__file__}:{inspect.currentframe().f_lineno + 1})")  # type: ignore[union-attr]
        raise AssertionError

    async def main() -> None:
        lives = lifespans([task_group_unit("a", Diary(), crash)], mask=str)
        with suppress(StoppedError):
            async with lives.running():
                await lives.crashed.wait()

    run(main())
    assert messages(caplog) == [f'plugin "a" crashed: AssertionError {places[0]}']


def test_service_that_its_provider_did_not_yield_is_missed_by_name() -> None:
    diary = Diary()

    def lookup(state: Mapping[str, Any]) -> None:
        assert state.get("db") is None
        assert "db" not in state
        with pytest.raises(KeyError, match=r"^'other'$"):
            state["other"]
        state["db"]

    units = [diary.unit("a", provides=["db"]), Unit("b", lookup, requires=frozenset({"a"}))]
    line = 'plugin "b" did not start: MissingServiceError: "db": plugin "a" provides it and did not'
    with pytest.raises(StartupError, match=f"^{line} yield it$"):
        run(start_and_stop(lifespans(units)))


def test_start_that_blocks_the_loop_beyond_its_limit_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def block() -> None:
        time.sleep(2 * SOON)  # noqa: ASYNC251 - that is the point

    units = [Diary().unit("a", start=block), Diary().unit("b")]
    run(start_and_stop(lifespans(units, startup_timeout=SOON)))
    (line,) = messages(caplog)
    assert re.fullmatch(
        r'plugin "a" took 0\.1\d* s to start, over its 0\.05 s, and blocked the event loop', line
    )


def test_hurry_cuts_only_what_is_stopping(caplog: pytest.LogCaptureFixture) -> None:
    diary = Diary()

    async def slow() -> None:
        await asyncio.sleep(SOON)
        diary.lines.append("a has stopped")

    async def main() -> None:
        async def hang() -> None:
            asyncio.get_running_loop().call_soon(lives.hurry)
            await forever()

        units = [diary.unit("a", stop=slow), diary.unit("b", stop=hang, after="a")]
        lives = lifespans(units)
        async with lives.running():
            lives.hurry()
            await asyncio.sleep(0)

    with pytest.raises(StoppedError, match=r'^plugin "b" was cut short while it stopped$'):
        run(main())
    assert diary.lines == ["+a", "+b", "-b", "-a", "a has stopped"]
    assert messages(caplog) == ['plugin "b" was cut short while it stopped']


def test_hurry_abandons_what_swallows_its_cancellation() -> None:
    async def main() -> None:
        async def deaf_in_a_hurry() -> None:
            asyncio.get_running_loop().call_soon(lives.hurry)
            await deaf()

        lives = lifespans([Diary().unit("a", stop=deaf_in_a_hurry)])
        with pytest.raises(StoppedError, match=f"was cut short while it stopped{LEFT}"):
            await start_and_stop(lives)

    run_with_one_left(main())


def test_error_that_cannot_be_shown_is_named_by_its_type() -> None:
    class Unspeakable(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise ValueError

    lives = lifespans([Diary().unit("a", start=raising(Unspeakable()))])
    with pytest.raises(StartupError, match="did not start: Unspeakable: its message cannot be"):
        run(start_and_stop(lives))


# Whatever the graph and the failures

HOW = ["fine"] * 6 + ["start raises", "start exits", "bad key", "stop raises", "crash"]


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[str, frozenset[str], frozenset[str], str, bool, int]]:
    names = [f"p{number}" for number in range(draw(st.integers(1, 7)))]
    rows = []
    for number, name in enumerate(names):
        before = names[:number]
        after = frozenset(draw(st.sets(st.sampled_from(before)))) if before else frozenset()
        requires = frozenset(draw(st.sets(st.sampled_from(sorted(after))))) if after else after
        how, isolated = draw(st.sampled_from(HOW)), draw(st.booleans())
        rows.append((name, after, requires, how, isolated, draw(st.integers(0, 3))))
    return draw(st.permutations(rows))


def misbehaving(diary: list[str], row: tuple[Any, ...]) -> Unit:
    name, after, requires, how, isolated, steps = row

    async def lifespan() -> AsyncIterator[dict[str, int]]:
        for _ in range(steps):
            await asyncio.sleep(0)
        if how == "start raises":
            raise OSError
        if how == "start exits":
            raise SystemExit
        async with anyio.create_task_group() as group:
            if how == "crash":
                group.start_soon(raising(ValueError()))
            diary.append(f"+{name}")
            try:
                yield {"other" if how == "bad key" else name: 1}
            finally:
                if how != "crash":
                    for _ in range(steps):
                        await asyncio.sleep(0)
                diary.append(f"-{name}")
        if how == "stop raises":
            raise OSError

    failure: Any = "isolate" if isolated else "fatal"
    return Unit(name, lambda _: lifespan(), after, requires, on_failure=failure)


@settings(max_examples=300, deadline=None)
@given(graphs())
def test_whatever_fails_each_that_started_is_stopped_once_in_reverse_order(rows: Any) -> None:
    diary: list[str] = []
    lives = lifespans([misbehaving(diary, row) for row in rows])
    entered = False

    async def body() -> None:
        nonlocal entered
        entered = True
        await asyncio.sleep(0)

    async def main() -> None:
        try:
            await start_and_stop(lives, body)
        except FPSError as error:
            assert error.problems  # noqa: PT017 - it may also come out fine

    run(main())
    kinds = {row[0]: row for row in rows}
    assert len(diary) == len(set(diary))
    assert {line[1:] for line in diary if line[0] == "+"} == {
        line[1:] for line in diary if line[0] == "-"
    }
    for name, after, requires, how, _, _ in rows:
        if f"+{name}" not in diary:
            continue
        for other in after & {line[1:] for line in diary}:
            assert diary.index(f"+{other}") < diary.index(f"+{name}")
            if "crash" not in {how, kinds[other][3]} and kinds[other][3] != "bad key":
                assert diary.index(f"-{name}") < diary.index(f"-{other}")
        for other in requires:
            assert f"+{other}" in diary
            assert kinds[other][3] != "bad key"
    fatal = {"start raises", "start exits", "bad key"}
    reached = [row for row in rows if row[3] in fatal and not row[4]]
    if entered:
        assert all(lives.is_down(row[0]) for row in reached)
