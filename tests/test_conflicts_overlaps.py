"""What a route loses to another plugin is told with a request that shows it, and refused if all."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.convertors import CONVERTOR_TYPES, StringConvertor
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Match, Mount, Route, Router, WebSocketRoute
from starlette.testclient import TestClient

from fps_lite import create_app, mount
from fps_lite.conflicts import find_conflicts, find_overlaps, ordered_routes
from tests.test_conflicts import (
    Resource,
    asgi,
    collected,
    named,
    number_of,
    numbers,
    other_page,
    page,
    plugin,
    random_routes,
    scope_of,
    talk,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence

    from starlette.types import Scope

    from tests.conftest import Site

    Cli = Callable[..., subprocess.CompletedProcess[str]]

DIGITS = Route("/x/{id:int}", page)
NAMES = Route("/x/{name}", other_page)


def overlaps(*plugins: Sequence[BaseRoute]) -> list[str]:
    """Return what is told of plugins "a", "b", …, without where endpoints are written."""
    found = collected({name: plugin(one) for name, one in zip("abc", plugins, strict=False)})
    assert find_conflicts(found) == ()
    return [re.sub(r" \([^)]*\)", "", line) for line in find_overlaps(found)]


def conflicts(*plugins: Sequence[BaseRoute]) -> list[str]:
    found = collected({name: plugin(one) for name, one in zip("abc", plugins, strict=False)})
    return [re.sub(r" \([^)]*\)", "", str(error)) for error in find_conflicts(found)]


def test_a_part_that_is_lost_is_told_and_all_of_it_is_refused() -> None:
    assert overlaps([DIGITS], [NAMES]) == [
        'GET /x/1 is answered by GET /x/{id:int} of "a" and never reaches GET /x/{name} of "b"'
    ]
    (said,) = conflicts([NAMES], [DIGITS])
    assert said == (
        'GET /x/{id:int} of "b" is never reached: '
        'GET /x/{name} of "a" comes before it and answers GET /x/1'
    )


@pytest.mark.parametrize(
    "one, other, request_",
    [
        (Route("/x/me", page), Route("/x/{a}", page), "GET /x/me"),
        (Route("/{a}/y", page), Route("/x/{b}", page), "GET /x/y"),
        (Route("/{a}.js", page), Route("/main.{b}", page), "GET /main.js"),
        (Route("/{a:float}", page), Route("/{b:uuid}", page), f"GET /{'1' * 32}"),
        (Route("/x/{a}", page), Route("/x/{b}", page, methods=["POST"]), ""),
        (Route("/x/{a}", Resource), Route("/x/b", page, methods=["PUT", "GET"]), None),
        (Route("/x/{a}", page), Route("/x/b", Resource), "GET /x/b"),
        (Route("/x/b", page, methods=["HEAD"]), Route("/x/{a}", page), "HEAD /x/b"),
        (WebSocketRoute("/x/b", talk), WebSocketRoute("/x/{a}", talk), "websocket /x/b"),
        (WebSocketRoute("/x/b", talk), Route("/x/{a}", page), ""),
        (Route("/{p:path}", page), Mount("/x", app=asgi), "GET /x/"),
        (WebSocketRoute("/{p:path}", talk), Mount("/x", app=asgi), "websocket /x/"),
        (Mount("/x/{a:int}", app=asgi), Route("/x/{b}/y", page), "GET /x/1/y"),
        (Mount("/{a}", app=asgi), Mount("/x", app=asgi), None),
        (mount("/x", asgi), Route("/{a}", page), "GET /x"),
        (Route("/x/{a:path}/end", page), Route("/x/{b:path}/{c}", page), "GET /x//end"),
        (Route("/a b/é", page), Route("/a b/{c}", page), "GET /a%20b/%C3%A9"),
        (Route("/x/{a}", page), Route("/x/", page), ""),
    ],
)
def test_each_overlap_has_a_request(one: BaseRoute, other: BaseRoute, request_: str | None) -> None:
    if request_ is None:  # all is lost
        assert "never reached" in conflicts([one], [other])[0]
    else:
        told = [line.partition(" is answered by ")[0] for line in overlaps([one], [other])]
        assert told == [request_] * bool(request_)


@pytest.mark.parametrize(
    "one, other",
    [
        (Route("/x/y", page), Route("/x/{rest:path}", page)),
        (Route("/x/{a}", page), Mount("/x", app=asgi)),
        (Mount("/x/y", app=asgi), Mount("/x", app=asgi)),
        (mount("/x/y", asgi), mount("/x", asgi)),
        (Route("/x", page), Mount("", app=asgi)),
        (Mount("", app=asgi), Route("/x", page)),
    ],
)
def test_what_is_there_for_the_rest_loses_nothing(one: BaseRoute, other: BaseRoute) -> None:
    assert overlaps([one], [other]) == []


def test_each_plugin_that_takes_something_is_named_once() -> None:
    takers = [Route("/x/1", page), Route("/x/{id:int}", page)], [Route("/x/a", page)]
    told = overlaps(*takers, [NAMES])
    assert [line.split(" and never")[0] for line in told] == [
        'GET /x/1 is answered by GET /x/1 of "a"',
        'GET /x/a is answered by GET /x/a of "b"',
    ]


def test_the_request_is_one_that_nobody_else_answers() -> None:
    told = overlaps([Route("/x/1", page)], [Route("/x/{a:int}", page)], [Route("/x/{b}", page)])
    assert told[-1].startswith('GET /x/0 is answered by GET /x/{a:int} of "b"')


def test_a_route_that_is_behind_its_own_plugins_loses_nothing() -> None:
    numbers = Route("/x/{n:float}", page)
    (told,) = overlaps([DIGITS], [numbers, NAMES])
    assert told.endswith('GET /x/{n:float} of "b"')
    (_, told) = overlaps([Route("/x/{id:int}.{end}", page)], [numbers, NAMES])
    assert told.startswith("GET /x/1.a ")
    dead = [Mount("/y", app=asgi), Route("/y/{n:int}", page)]
    assert overlaps([Route("/y/7", page)], dead) == []
    assert conflicts([Route("/y/{any}", page)], [Mount("/y", app=asgi), Route("/y/a", page)]) == []


def test_methods_that_several_take_together_hide_a_route() -> None:
    several = [Route("/{a}", page)], [Route("/x{b}", page, methods=["POST"])]
    (said,) = conflicts(*several, [Route("/xy", page, methods=["GET", "POST"])])
    assert said == (
        'GET POST /xy of "c" is never reached: '
        'GET /{a} of "a" comes before it and answers GET /xy, '
        'POST /x{b} of "b" comes before it and answers POST /xy'
    )
    assert conflicts(*several, [Route("/xy", page, methods=["GET", "PUT"])]) == []


def test_what_a_plugins_own_route_takes_is_not_counted_as_lost() -> None:
    own = [Route("/{a}", other_page, methods=["POST"]), Route("/x", page, methods=["GET", "POST"])]
    (said,) = conflicts([Route("/{a}", page)], own)
    assert said.endswith('GET /{a} of "a" comes before it and answers GET /x')
    own = [Route("/x", page), Route("/x", Resource)]
    (_, said) = conflicts([Route("/{a}", page), Route("/{a}", Resource)], own)
    assert said == ('/x of "b" is never reached: /{a} of "a" comes before it and answers POST /x')


def test_what_hides_a_route_may_be_behind_others_that_do(monkeypatch: pytest.MonkeyPatch) -> None:
    class Switch(StringConvertor):
        regex = "on|off"

    monkeypatch.setitem(CONVERTOR_TYPES, "switch", Switch())
    both = [Route("/x/on", page), Route("/x/off", page)]
    (said,) = conflicts(both, [Route("/x/{a}", page)], [Route("/x/{b:switch}", page)])
    assert said.endswith('GET /x/on of "a" comes before it and answers GET /x/on')


def test_a_request_is_found_behind_many_that_others_answer() -> None:
    many = [Route(f"/x/{char}", page) for char in "abcdefghijk1234567890_-."]
    (said,) = conflicts(many, [Route("/x/{a}", page)], [Route("/x/{b:int}", page)])
    assert re.search(r'GET /x/{a} of "b" comes before it and answers GET /x/\d\d$', said)


def test_a_convertor_that_raises_does_not_stop_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    class Never(StringConvertor):
        regex = "[a-z]+"

        def convert(self, value: str) -> str:
            raise LookupError(value)

    monkeypatch.setitem(CONVERTOR_TYPES, "never", Never())
    never = Route("/x/{a:never}", page)
    assert overlaps([never], [Route("/x/{b}", page)]) == []
    (said,) = conflicts([never], [Route("/x/a", page)])
    assert said.endswith('GET /x/{a:never} of "a" comes before it')
    assert "never reached" in conflicts([Route("/x/{b}", page)], [never])[0]
    assert conflicts([never], [Route("/x/{b:never}", page)])[0].endswith("like GET /x/a")


class OwnWay(Route):
    """A route that may match anything."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        return (match if scope["headers"] else Match.NONE), child


def test_a_route_that_matches_in_a_way_of_its_own_is_left_alone() -> None:
    own = OwnWay("/x/{a}", page)
    for one, other in ((own, NAMES), (NAMES, own), (own, OwnWay("/x/{a}", page))):
        assert overlaps([one], [other]) == []


def test_a_route_that_matches_in_a_way_of_its_own_has_a_name_all_the_same() -> None:
    own, other = OwnWay("/1", page, name="home"), Route("/2", page, name="home")
    assert 'route name "home" is given twice' in conflicts([own], [other])[0]


def test_check_warns_of_an_overlap_and_nothing_is_refused(site: Site, cli: Cli) -> None:
    source = """
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route
        from fps_lite.hooks import register_routes

        async def page(request):
            return PlainTextResponse("page")

        routes = register_routes([Route("/x/{id:int}", page)])
    """
    site.plugin("one", source)
    site.plugin("two", source.replace("{id:int}", "{name}"))
    done = cli("check")
    assert (done.returncode, done.stdout[:4]) == (0, "ok: ")
    (said,) = done.stderr.splitlines()
    assert said.startswith(
        'warning: GET /x/1 is answered by GET /x/{id:int} of "one" (one_plugin.page, '
    )
    assert ' and never reaches GET /x/{name} of "two" (two_plugin.page, ' in said
    assert cli("request", "/x/1").stderr == ""


def test_the_request_of_a_warning_is_answered_as_it_says() -> None:
    async def by(request: Any) -> PlainTextResponse:
        return PlainTextResponse(request.scope["route"].path)

    routes = {"a": [Route("/{n:float}/x", by)], "b": [Route("/{n:int}/{any}", by)]}
    plugins = {name: plugin(one) for name, one in routes.items()}
    (told,) = find_overlaps(collected(plugins))
    with TestClient(create_app({}, plugins=plugins)) as client:
        assert client.get(told.split()[1]).text == "/{n:float}/x"


# Properties

ROUTES = st.lists(random_routes(), max_size=4)
SEGMENTS = ["a", "7", "7.5", "ab", "c.js", ""]
REQUESTS = [
    (method, "/" + "/".join(segments))
    for size in range(1, 4)
    for segments in product(SEGMENTS, repeat=size)
    for method in ("GET", "HEAD", "POST", "PUT", "websocket")
]
SHOWN = re.compile(r"comes before it and answers (\w+) (\S+?)(?:,|$)")
LOST = re.compile(r"(\w+) (\S+) is answered by ")


def takers(router: Router, method: str, path: str) -> list[int]:
    """Return the numbers of the routes that take a request, in the order tried."""
    scope = scope_of(method, path)
    return [number_of(one) for one in router.routes if one.matches(scope)[0] is Match.FULL]


def is_behind_its_own(router: Router, number: int, of_a: int) -> bool:
    """Tell whether each request of a route is taken by an earlier one of its plugin."""
    taken = [takers(router, method, path) for method, path in REQUESTS]
    before = [one[: one.index(number)] for one in taken if number in one]
    return all(any((one < of_a) == (number < of_a) for one in some) for some in before)


def composed(a: list[BaseRoute], b: list[BaseRoute]) -> tuple[Any, Router]:
    named(a, 0)
    named(b, len(a))
    found = collected({"a": plugin(a), "b": plugin(b)})
    return found, Router([route for _, route in ordered_routes(found)])


@settings(max_examples=300, deadline=None)
@given(ROUTES, ROUTES)
def test_every_request_that_is_shown_is_answered_as_it_says(
    a: list[BaseRoute], b: list[BaseRoute]
) -> None:
    found, router = composed(a, b)
    for error in find_conflicts(found):
        if "never reached" in str(error):
            hidden, *by = numbers(str(error))
            shown = SHOWN.findall(str(error))
            assert len(shown) == len(by) or is_behind_its_own(router, hidden, len(a))
            for one, (method, path) in zip(by, shown, strict=False):
                first, *later = takers(router, method, path)
                assert first == one
                assert hidden in later
        elif "same requests" in str(error):
            method, path = str(error).rpartition(", like ")[2].split()
            assert set(numbers(str(error))) <= set(takers(router, method, path))
    for line in find_overlaps(found):
        method, path = LOST.match(line).groups()  # type: ignore[union-attr]
        one, other = numbers(line)
        first, *later = takers(router, method, path)
        assert first == one
        assert other in later


@settings(max_examples=200, deadline=None)
@given(ROUTES, ROUTES)
def test_whatever_a_route_loses_is_refused_or_told(a: list[BaseRoute], b: list[BaseRoute]) -> None:
    found, router = composed(a, b)
    errors = [numbers(str(error)) for error in find_conflicts(found)]
    refused = {
        one[-1] if "same" in str(error) else one[0]
        for one, error in zip(errors, find_conflicts(found), strict=True)
    }
    told = {(number, other) for other, number in (numbers(line) for line in find_overlaps(found))}
    by_number = {number_of(one): one for one in router.routes}
    for method, path in REQUESTS:
        first, *later = takers(router, method, path) or [-1]
        # All of "a" comes before all of "b", but for mounts at the root.
        losing = [other for other in later if (first < len(a)) != (other < len(a))][:1]
        for other in losing:
            if other not in refused and not is_for_rest(by_number[other]):
                owners = {(number, one < len(a)) for number, one in told}
                assert (other, first < len(a)) in owners, (method, path)


def is_for_rest(route: BaseRoute) -> bool:
    return isinstance(route, Mount) or getattr(route, "path", "").endswith(":path}")
