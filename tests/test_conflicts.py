"""Two owners of one thing are refused, all at once, before anything is served."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.convertors import CONVERTOR_TYPES, StringConvertor
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Host, Match, Mount, Route, Router, WebSocketRoute

from fps_lite import PluginError, create_app, hookimpl
from fps_lite.config import from_mapping
from fps_lite.conflicts import described, find_conflicts, ordered_routes
from fps_lite.contributions import Collected, collect
from fps_lite.plugins import from_objects, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send
    from starlette.websockets import WebSocket


async def page(_: Request) -> Response:
    return PlainTextResponse("page")


async def other_page(_: Request) -> Response:
    return PlainTextResponse("other")


async def talk(websocket: WebSocket) -> None:
    await websocket.close()


class Resource(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return await page(request)


async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("asgi")(scope, receive, send)


def plugin(routes: Sequence[BaseRoute] = (), handlers: dict[Any, Any] | None = None) -> object:
    return SimpleNamespace(
        routes=hookimpl(lambda: list(routes)), exception_handlers=hookimpl(lambda: handlers or {})
    )


def collected(plugins: dict[str, object], config: dict[str, Any] | None = None) -> Collected:
    merged = from_mapping(config or {}, directory=Path.cwd())
    return collect(load(merged, from_objects(plugins)))


def conflicts(
    a: Sequence[BaseRoute], b: Sequence[BaseRoute], config: dict[str, Any] | None = None
) -> list[str]:
    found = find_conflicts(collected({"a": plugin(a), "b": plugin(b)}, config))
    return [problem for error in found for problem in error.problems]


# The same method and path shape


@pytest.mark.parametrize(
    "one, other",
    [
        (Route("/x", page), Route("/x", other_page)),
        (Route("/x/{a}", page), Route("/x/{b}", other_page)),
        (Route("/x/{a:int}", page), Route("/x/{b:int}", other_page)),
        (Route("/x/{a}.{b}", page), Route("/x/{c}.{d}", other_page)),
        (Route("/x", page), Route("/x", page, methods=["HEAD"])),
        (Route("/x", Resource), Route("/x", page, methods=["DELETE"])),
        (Route("/x", page, methods=["get", "put"]), Route("/x", page, methods=["PUT", "POST"])),
        (WebSocketRoute("/x/{a}", talk), WebSocketRoute("/x/{b}", talk)),
        (Mount("/x", app=asgi), Mount("/x/", app=asgi)),
        (Mount("", app=asgi), Mount("/", app=asgi)),
        (Mount("/x", app=asgi), Route("/x/{rest:path}", page)),
        (Host("api.example.org", asgi), Host("API.example.org", asgi)),
        (Route("/", page), Route("/", page)),
    ],
)
def test_one_method_and_path_shape_has_one_owner(one: BaseRoute, other: BaseRoute) -> None:
    for first, second in ((one, other), (other, one)):
        (said,) = conflicts([first], [second])
        assert "claim the same requests" in said
        assert '"a"' in said
        assert '"b"' in said


@pytest.mark.parametrize(
    "one, other",
    [
        (Route("/x", page), Route("/x", page, methods=["POST"])),
        (Route("/x", page), Route("/x/", page)),
        (Route("/x", page), WebSocketRoute("/x", talk)),
        (Route("/x/{a:int}", page), Route("/x/{b:float}", page)),
        (Route("/x/{a:int}", page), Route("/x/{b}", page)),
        (Mount("/lab", app=asgi), Route("/labels", page)),
        (Mount("/lab", app=asgi), Mount("/labels", app=asgi)),
        (Mount("/lab", app=asgi), Route("/lab", page)),
        (Mount("/{a:int}", app=asgi), Route("/x/a", page)),
        (Route("/{a}", page), Route("/x/a", page)),
        (Route("/{a}", page, methods=["POST"]), Route("/x", page)),
        (Route("/{a}", page), Route("/x", Resource)),
        (Route("/{a}", page), WebSocketRoute("/x", talk)),
        (Route("/{a}", page), Mount("/x", app=asgi)),
        (Route("/{a}", page), Route("/{b:path}", page)),
        (Route("/x/{a}", page), Route("/x/", page)),
        (Route("/x.{a}", page), Route("/x", page)),
        (Route("/x.{a}", page), Route("/xyz", page)),
        (Host("a.example.org", asgi), Host("b.example.org", asgi)),
        (Host("example.org", asgi), Route("/example.org", page)),
        (Host("example.org", asgi), Mount("/x", app=asgi)),
        (Mount("/x", app=asgi), Host("example.org", asgi)),
    ],
)
def test_what_can_be_told_apart_may_have_two_owners(one: BaseRoute, other: BaseRoute) -> None:
    assert conflicts([one], [other]) == []


# What an earlier route of another plugin hides


@pytest.mark.parametrize(
    "one, other",
    [
        (Mount("/x", app=asgi), Route("/x/a", page)),
        (Mount("/x", app=asgi), Route("/x/", page)),
        (Mount("/x", app=asgi), Route("/x/{a}", page)),
        (Mount("/x", app=asgi), WebSocketRoute("/x/{a}", talk)),
        (Mount("/x", app=asgi), Mount("/x/y", app=asgi)),
        (Mount("/{any}", app=asgi), Route("/x/{a:int}", page)),
        (Mount("/{any}", app=asgi), Mount("/x", app=asgi)),
        (Mount("/{n:int}", app=asgi), Route("/7/a", page)),
        (Route("/{a}", page), Route("/x", page)),
        (Route("/{a}", page), Route("/{b:int}", page)),
        (Route("/{a}", page), Route("/v{b:int}.js", page)),
        (Route("/x/{a}/y", page), Route("/x/{a:uuid}/y", page)),
        (Route("/x/{a}/y", page), Route("/x/b/y", page)),
        (Route("/x.{a}", page), Route("/x.js", page)),
        (Route("/{a:int}", page), Route("/7", page)),
        (Route("/{a:path}", page), Route("/x/y", page)),
        (Route("/x/{a:path}", page), Route("/x/{b}/{c}", page)),
        (Route("/{a:path}/end", page), Route("/x/end", page)),
        (Route("/{a}", page, methods=["GET", "POST"]), Route("/x", page, methods=["POST"])),
        (Route("/{a}", Resource), Route("/x", Resource)),
        (WebSocketRoute("/{a}", talk), WebSocketRoute("/x", talk)),
    ],
)
def test_a_route_that_is_hidden_for_good_is_refused(one: BaseRoute, other: BaseRoute) -> None:
    (said,) = conflicts([one], [other])
    assert re.fullmatch(
        r'.* of "b" \(.*\) is never reached: .* of "a" \(.*\) comes before it and answers \w+ /\S*',
        said,
    )
    assert conflicts([other], [one]) == []


def test_a_prefix_counts() -> None:
    same = [Route("/", page), Route("/a", page)]
    assert conflicts(same, same, {"a": {"prefix": "/x"}}) == []
    assert len(conflicts(same, same, {"a": {"prefix": "/x"}, "b": {"prefix": "/x"}})) == 3
    hidden = conflicts([Mount("/", app=asgi)], [Route("/x/b", page)], {"a": {"prefix": "/x"}})
    assert "never reached" in hidden[0]


def test_within_one_plugin_the_first_wins() -> None:
    both = [Route("/x", page), Route("/x", other_page), Mount("/y", app=asgi), Route("/y/a", page)]
    assert conflicts(both, []) == []
    app = create_app({}, plugins={"a": plugin(both)})
    assert [getattr(route, "endpoint", None) for route in app.routes][:2] == [page, other_page]


def test_a_convertor_of_ones_own_may_take_slashes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deep(StringConvertor):
        regex = r"[^/]*(/[^/]*)?"

    monkeypatch.setitem(CONVERTOR_TYPES, "deep", Deep())
    assert conflicts([Route("/x/{a}", page)], [Route("/x/{b:deep}", page)]) == []
    assert "same requests" in conflicts([Route("/{a:deep}", page)], [Route("/{b:deep}", page)])[0]


# The root


@pytest.mark.parametrize("path", ["", "/"])
def test_a_mount_at_the_root_comes_last_of_all(path: str) -> None:
    root, after = Mount(path, app=asgi), Route("/z", page)
    assert conflicts([root], [after]) == []
    names = ordered_routes(collected({"a": plugin([root]), "b": plugin([after])}))
    assert [name for name, _ in names] == ["b", "a"]


def test_two_mounts_at_the_root_are_a_conflict() -> None:
    (said,) = conflicts([Mount("/", app=asgi)], [Mount("", routes=[Route("/a", page)])])
    assert '"a"' in said
    assert '"b"' in said


# Names


def test_one_name_given_twice_is_refused() -> None:
    (said,) = conflicts([Route("/1", page, name="home")], [Route("/2", page, name="home")])
    assert said.startswith('route name "home" is given twice: by GET /1 of "a" (')
    assert 'GET /2 of "b" (' in said
    assert conflicts([Mount("/1", app=asgi, name="m")], [Mount("/2", app=asgi, name="m")])
    assert conflicts([Host("1.org", asgi, name="h")], [Route("/2", page, name="h")])


def test_a_name_that_comes_from_the_endpoint_is_not_given() -> None:
    assert conflicts([Route("/1", page)], [Route("/2", page)]) == []
    assert conflicts([Route("/1", page)], [Route("/2", other_page, name="page")]) == []
    assert conflicts([Route("/1", Resource)], [Route("/2", Resource)]) == []
    partial = functools.partial(page)
    assert conflicts([Route("/1", partial)], [Route("/2", partial)]) == []
    assert conflicts([Mount("/1", app=asgi)], [Mount("/2", app=asgi)]) == []


def test_a_plugin_may_give_a_name_twice() -> None:
    both = [Route("/1", page, name="home"), Route("/2", page, name="home")]
    assert conflicts(both, []) == []
    assert conflicts([Route("/", page, name="home")], [], {"a": {"prefix": "/x"}}) == []


# Exception handlers


async def handle(_: Request, __: Exception) -> Response:
    return PlainTextResponse("handled")


@pytest.mark.parametrize(
    "one, other, said",
    [
        (404, 404, "404"),
        (KeyError, KeyError, "KeyError"),
        (Exception, Exception, "Exception"),
        (500, Exception, "Exception"),
        (Exception, 500, "500"),
    ],
)
def test_two_handlers_for_one_exception_are_refused(one: Any, other: Any, said: str) -> None:
    plugins = {name: plugin(handlers={key: handle}) for name, key in (("a", one), ("b", other))}
    (error,) = find_conflicts(collected(plugins))
    assert f"exceptions {said} have two handlers" in str(error)
    assert '"a"' in str(error)
    assert '"b"' in str(error)


def test_handlers_of_a_class_and_of_its_subclass_are_two() -> None:
    plugins = {
        "a": plugin(handlers={LookupError: handle}),
        "b": plugin(handlers={KeyError: handle}),
    }
    assert find_conflicts(collected(plugins)) == ()


# How they are said


def test_all_conflicts_are_refused_at_once_with_both_owners_and_where_they_are_written() -> None:
    plugins = {
        "a": plugin([Route("/x", page), Mount("/m", app=asgi)], {404: handle}),
        "b": plugin([Route("/x", other_page), Route("/m/a", page)], {404: handle}),
    }
    with pytest.raises(PluginError) as refused:
        create_app({}, plugins=plugins)
    assert len(refused.value.problems) == 3
    file = r"\S*test_conflicts\.py:\d+"
    assert re.fullmatch(
        rf'GET /x of "a" \(\S*\.page, {file}\) and '
        rf'GET /x of "b" \(\S*\.other_page, {file}\) claim the same requests, like GET /x',
        refused.value.problems[0],
    )


def test_the_line_is_that_of_the_endpoint() -> None:
    here = Path(__file__).read_text(encoding="utf-8").splitlines()
    for endpoint, written in ((page, "async def page("), (Resource, "class Resource(")):
        number = int(described(Route("/", endpoint)).rpartition(":")[2])
        assert here[number - 1].startswith(written)


def test_a_decorated_or_partial_endpoint_is_described_as_what_it_is() -> None:
    @functools.wraps(page)
    async def wrapped(request: Request) -> Response:
        return await page(request)

    assert described(Route("/", wrapped)) == described(Route("/", page))
    assert described(Route("/", functools.partial(page))) == described(Route("/", page))


@pytest.mark.parametrize("endpoint", [PlainTextResponse("x"), dict, SimpleNamespace()])
def test_anything_that_answers_can_be_described(endpoint: Any) -> None:
    assert described(Route("/", endpoint))
    assert described(Mount("/", app=endpoint))


def test_an_original_route_is_not_changed() -> None:
    route = Route("/a", page)
    for _ in range(2):
        create_app({"a": {"prefix": "/x"}}, plugins={"a": plugin([route])})
    assert route.path == "/a"


# Properties

SEGMENT = st.sampled_from(
    ["a", "b", "7", "{p}", "{p:int}", "{p:float}", "{p:path}", "{p}.js", "a{p}"]
)


@st.composite
def random_routes(draw: st.DrawFn) -> BaseRoute:
    drawn = draw(st.lists(SEGMENT, max_size=3))
    path = "".join("/" + one.replace("{p", "{p" + str(place)) for place, one in enumerate(drawn))
    kind = draw(st.sampled_from(["http", "http", "websocket", "mount"]))
    if kind == "mount":
        return Mount(path, app=marked())
    slash = draw(st.sampled_from(["", "/"])) if path else "/"
    if kind == "websocket":
        return WebSocketRoute(path + slash, marked())
    methods = draw(st.sampled_from([None, ["GET"], ["POST"], ["HEAD"], ["GET", "POST"]]))
    return Route(path + slash, marked(), methods=methods)


def marked() -> Any:
    # Of no module, as looking its line up would take most of the time.
    return type("Answer", (), {"__module__": "nowhere"})


ROUTES = st.lists(random_routes(), max_size=4)
PATHS = st.lists(st.sampled_from(["a", "b", "7", "7.5", "ab", "c.js", ".js", ""]), max_size=4)
REQUESTS = st.tuples(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "websocket"]),
    PATHS.map(lambda p: "/" + "/".join(p)),
)


def named(routes: Sequence[BaseRoute], first: int) -> None:
    """Give each endpoint its number, by which it is found in what is said."""
    for number, route in enumerate(routes, first):
        target: Any = route.app if isinstance(route, Mount) else getattr(route, "endpoint", None)
        target.__qualname__ = f"e{number}"


def numbers(line: str) -> list[int]:
    return [int(number) for number in re.findall(r"\.e(\d+)\b", line)]


def number_of(route: Any) -> int:
    target = route.app if isinstance(route, Mount) else route.endpoint
    return int(target.__qualname__.removeprefix("e"))


def scope_of(method: str, path: str) -> dict[str, Any]:
    kind = "websocket" if method == "websocket" else "http"
    return {"type": kind, "method": method, "path": path, "headers": [], "root_path": ""}


def answers(router: Router, method: str, path: str) -> int | None:
    for route in router.routes:
        if route.matches(scope_of(method, path))[0] is Match.FULL:
            return number_of(route)
    return None


@settings(max_examples=300)
@given(ROUTES, ROUTES, st.lists(REQUESTS, min_size=10, max_size=40))
def test_what_is_never_reached_is_reached_by_no_request(
    a: list[BaseRoute], b: list[BaseRoute], requests: list[tuple[str, str]]
) -> None:
    named(a, 0)
    named(b, len(a))
    found = collected({"a": plugin(a), "b": plugin(b)})
    router = Router([route for _, route in ordered_routes(found)])
    reached = {answers(router, method, path) for method, path in requests}
    for error in find_conflicts(found):
        if "never reached" in str(error):
            assert numbers(str(error))[0] not in reached


@settings(max_examples=300)
@given(ROUTES, ROUTES)
def test_the_same_requests_are_claimed_exactly_where_shape_and_methods_meet(
    a: list[BaseRoute], b: list[BaseRoute]
) -> None:
    named(a, 0)
    named(b, len(a))
    said = {
        tuple(sorted(numbers(str(error))))
        for error in find_conflicts(collected({"a": plugin(a), "b": plugin(b)}))
        if "same requests" in str(error)
    }
    assert said == {
        (number_of(one), number_of(other)) for one in a for other in b if meet(one, other)
    }


def meet(one: BaseRoute, other: BaseRoute) -> bool:
    return shape(one) == shape(other) and bool(methods_of(one) & methods_of(other))


def shape(route: Any) -> str:
    path = route.path + "/{p:path}" if isinstance(route, Mount) else route.path
    return re.sub(r"{p\d*:", "{:", re.sub(r"{(p\d*)}", r"{\1:str}", path))


def methods_of(route: BaseRoute) -> set[str]:
    every = {"GET", "HEAD", "POST", "PUT", "DELETE"}
    if isinstance(route, Mount):
        return every | {"websocket"}
    if isinstance(route, Route):
        return set(route.methods or every)
    return {"websocket"}
