"""The acceptance list, the composed routes and handlers: lines 17-25."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.testclient import TestClient

from fps_lite import PluginError, RedirectException, create_app
from fps_lite.hooks import register_exception_handler, register_routes

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from starlette.requests import Request

    from tests.conftest import Site

    Cli = Callable[..., subprocess.CompletedProcess[str]]


async def first(_: Request) -> PlainTextResponse:
    return PlainTextResponse("first")


async def second(_: Request) -> PlainTextResponse:
    return PlainTextResponse("second")


def made_of(*routes: BaseRoute, **hooks: Any) -> type:
    return type("Made", (), {"own_routes": register_routes(routes), **hooks})


def answers(one: list[BaseRoute], two: list[BaseRoute], *targets: str) -> list[str]:
    """Return what two plugins, `one` before `two`, answer to `METHOD /path` targets."""
    app = create_app({}, plugins={"one": made_of(*one), "two": made_of(*two)})
    with TestClient(app) as client:
        return [client.request(*target.split()).text for target in targets]


def conflict(one: list[BaseRoute], two: list[BaseRoute]) -> str:
    """Return what is said of a conflict between two plugins, `one` before `two`."""
    with pytest.raises(PluginError) as raised:
        create_app({}, plugins={"one": made_of(*one), "two": made_of(*two)})
    return str(raised.value)


# 17-21: conflicts -------------------------------------------------------------------------


def test_17_same_path_and_method_in_two_plugins_names_both_and_their_endpoints() -> None:
    said = conflict([Route("/x", first)], [Route("/x", second, methods=["GET", "POST"])])
    assert len(said.splitlines()) == 1
    assert "GET /x" in said
    for name, endpoint in (("one", first), ("two", second)):
        line = inspect.getsourcelines(endpoint)[1]
        assert f'of "{name}"' in said
        assert f".{endpoint.__name__}, " in said
        assert f"{Path(__file__).name}:{line}" in said


def test_17_all_conflicts_are_found_at_once_and_exit_4(site: Site, cli: Cli) -> None:
    source = """
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route
        from fps_lite.hooks import register_routes

        async def page(request):
            return PlainTextResponse("page")

        routes = register_routes([Route("/a/{x}", page), Route("/b", page), Route("/c", page)])
    """
    site.plugin("one", source)
    site.plugin("two", source.replace("{x}", "{y}").replace("/c", "/d"))
    done = cli("check")
    assert (done.returncode, done.stdout) == (4, "")
    *lines, summary = done.stderr.splitlines()
    assert summary == "2 problems"
    assert ["/a/{x}" in lines[0], "/b" in lines[1]] == [True, True]
    for line in lines:
        assert all(part in line for part in ("one_plugin.py:6", "two_plugin.py:6"))


def test_18_one_path_may_have_two_owners_for_two_methods() -> None:
    found = answers(
        [Route("/x", first, methods=["GET"])],
        [Route("/x", second, methods=["POST", "PUT"])],
        "GET /x", "POST /x", "PUT /x", "DELETE /x",
    )  # fmt: skip
    assert found == ["first", "second", "second", "Method Not Allowed"]


def test_18_get_takes_head_with_it() -> None:
    said = conflict([Route("/x", first)], [Route("/x", second, methods=["HEAD"])])
    assert "HEAD /x" in said


def test_19_a_mount_hides_by_segment_and_only_what_comes_after_it() -> None:
    mount = Mount("/lab", app=PlainTextResponse("mount"))
    paths = "GET /labels", "GET /lab/x"
    assert answers([mount], [Route("/labels", second)], *paths) == ["second", "mount"]
    assert answers([Route("/lab/x", first)], [mount], *paths) == ["Not Found", "first"]


@pytest.mark.parametrize(
    "later",
    [
        Route("/lab/sub", second),
        Mount("/lab/sub", app=PlainTextResponse("inner")),
        Route("/lab/{any}", second),
    ],
)
def test_19_what_an_earlier_mount_hides_is_refused(later: BaseRoute) -> None:
    said = conflict([Mount("/lab", app=PlainTextResponse("mount"))], [later])
    assert "/lab/" in said
    assert '"two"' in said
    assert 'never reached: /lab/ of "one"' in said


@pytest.mark.parametrize(
    "earlier, later",
    [
        ("/{rest:path}", "/x"),
        ("/{rest:path}", "/x/{y}"),
        ("/x/{a}", "/x/y"),
        ("/x/{a}", "/x/{b}"),
        ("/x/{a}", "/x/{b:int}"),
        ("/x/{a}/z", "/x/{b}/z"),
    ],
)
def test_20_a_pattern_that_hides_a_later_route_is_refused(earlier: str, later: str) -> None:
    said = conflict([Route(earlier, first)], [Route(later, second)])
    assert f'{earlier} of "one"' in said
    assert f'{later} of "two"' in said


def test_20_a_pattern_hides_nothing_that_comes_before_it_or_that_it_does_not_match() -> None:
    paths = "GET /x/y", "GET /x/other", "GET /x/7/z"
    specific: list[BaseRoute] = [Route("/x/y", first), Route("/x/{n:int}/z", first)]
    general: list[BaseRoute] = [Route("/x/{a}", second)]
    assert answers(specific, general, *paths) == ["first", "second", "first"]
    by_type = answers([Route("/{n:int}", first)], [Route("/{a}", second)], "GET /7", "GET /seven")
    assert by_type == ["first", "second"]


def test_21_within_one_plugin_the_first_route_wins() -> None:
    app = create_app({}, plugins={"one": made_of(Route("/x", first), Route("/x", second))})
    with TestClient(app) as client:
        assert client.get("/x").text == "first"


# 22-23: prefixes and the route table ------------------------------------------------------

SITE = """
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route, Router
    from fps_lite import hookimpl
    from fps_lite.hooks import register_routes

    async def page(request):
        return PlainTextResponse(request.url.path)

    async def save(request):
        return PlainTextResponse("saved")

    plain = register_routes([
        Route("/", page, name="home"),
        Route("/save", save, methods=["PUT", "DELETE"]),
        Mount("/inner", routes=[Route("/page", page, name="page")], name="inner"),
        Mount("/files", app=Router()),
    ])
"""


def test_22_a_prefix_applies_to_routes_and_mounts_alike(site: Site, cli: Cli) -> None:
    site.plugin("pages", SITE)
    app = create_app({"pages": {"prefix": "/x"}})
    with TestClient(app) as client:
        for path in ("/x", "/x/", "/x/inner/page"):
            assert client.get(path).text == path
        assert [client.get(path).status_code for path in ("/", "/inner/page")] == [404, 404]
    assert app.url_path_for("inner:page") == "/x/inner/page"
    shown = cli("routes", "--pages.prefix=/x").stdout
    assert all(f" {path} " in shown for path in ("/x", "/x/", "/x/save", "/x/inner/page"))


def test_23_routes_shows_every_route_with_its_owner(site: Site, cli: Cli) -> None:
    site.plugin("pages", SITE, version="2.1")
    rows = json.loads(cli("routes", "--json").stdout)
    mine = [row for row in rows if row["plugin"] == "pages"]
    assert [(row["path"], row["methods"], row["name"]) for row in mine] == [
        ("/", ["GET", "HEAD"], "home"),
        ("/save", ["DELETE", "PUT"], "save"),
        ("/inner/page", ["GET", "HEAD"], "inner:page"),
        ("/files/", None, ""),
    ]
    assert {(row["distribution"], row["version"]) for row in mine} == {("pages", "2.1")}
    assert mine[1]["endpoint"] == f"pages_plugin.save, {site.path}/pages_plugin.py:10"
    listed = cli("routes").stdout.splitlines()
    assert listed[0].split() == ["plugin", "methods", "path", "name", "endpoint", "distribution"]
    assert [line.split()[0] for line in listed[1:]] == [row["plugin"] for row in rows]


# 24-25: exception handlers ----------------------------------------------------------------


async def handled(_: Request, error: Exception) -> PlainTextResponse:
    return PlainTextResponse(f"handled {type(error).__name__}", status_code=418)


async def looked_up(_: Request) -> PlainTextResponse:
    raise LookupError


def test_24_handlers_by_class_and_by_status_are_for_the_whole_app() -> None:
    handlers = {
        "by_class": register_exception_handler(LookupError, handled),
        "by_status": register_exception_handler(404, handled),
    }
    plugins = {"one": made_of(**handlers), "two": made_of(Route("/x", looked_up))}
    with TestClient(create_app({}, plugins=plugins)) as client:
        assert client.get("/x").text == "handled LookupError"
        assert client.get("/nowhere").text == "handled HTTPException"


@pytest.mark.parametrize("key, shown", [(LookupError, "LookupError"), (404, "404")])
def test_24_a_second_handler_names_both_plugins(key: Any, shown: str) -> None:
    plugins = {
        name: made_of(by=register_exception_handler(key, handled)) for name in ("one", "two")
    }
    with pytest.raises(PluginError) as raised:
        create_app({}, plugins=plugins)
    assert all(part in str(raised.value) for part in (shown, '"one"', '"two"'))


@pytest.mark.parametrize(
    "url, location",
    [
        ("/there?a=1#b", "/there?a=1#b"),
        ("https://example.org/å b", "https://example.org/%C3%A5%20b"),
        ("../up", "../up"),
    ],
)
def test_25_a_redirect_exception_answers_307(url: str, location: str) -> None:
    async def away(_: Request) -> PlainTextResponse:
        raise RedirectException(url)

    with TestClient(create_app({}, plugins={"one": made_of(Route("/x", away))})) as client:
        answer = client.get("/x", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, location)
