"""The acceptance list, discovery and composition of plugins: lines 1-5, 14, 16 and 35."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import product
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from fps_lite import Dependencies, PluginConfig, PluginError, create_app, hookimpl
from fps_lite.hooks import (
    register_config,
    register_exception_handler,
    register_lifespan,
    register_plugin_name,
    register_routes,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from starlette.requests import Request

    from tests.conftest import Server, Site

    Cli = Callable[..., subprocess.CompletedProcess[str]]
    Serve = Callable[..., Server]

ROUTE = """
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from fps_lite.hooks import register_routes

    async def page(request):
        return PlainTextResponse("{name}")

    routes = register_routes([Route("/{name}", page)])
"""


def answering(text: str) -> Callable[[Request], Any]:
    async def page(_: Request) -> PlainTextResponse:
        return PlainTextResponse(text)

    return page


def made_of(**attributes: Any) -> type:
    return type("Made", (), attributes)


def pages(*paths: str) -> Any:
    return register_routes([Route(path, answering(path)) for path in paths])


# 1-2: discovery and naming ----------------------------------------------------------------


def test_01_hello_behind_an_entry_point_greets_without_any_configuration(serve: Serve) -> None:
    server = serve()
    assert httpx2.get(server.url + "/hello").text == "hello world 0"
    assert server.stop() == 0


def test_02_a_plugin_in_a_list_is_named_after_its_module_without_fps(site: Site) -> None:
    site.module("company.fps_greeter", ROUTE.format(name="greeter"))
    from company import fps_greeter  # type: ignore[import-not-found]

    with TestClient(create_app({"greeter": {"prefix": "/x"}}, plugins=[fps_greeter])) as client:
        assert client.get("/x/greeter").text == "greeter"


def test_02_an_explicit_name_wins(site: Site) -> None:
    named = (
        'from fps_lite.hooks import register_plugin_name\nplugin_name = register_plugin_name("me")'
    )
    file = site.module("fps_greeter", ROUTE.format(name="greeter"))
    file.write_text(file.read_text() + named)
    import fps_greeter  # type: ignore[import-not-found]

    with TestClient(create_app({"me": {"prefix": "/x"}}, plugins=[fps_greeter])) as client:
        assert client.get("/x/greeter").text == "greeter"


def test_02_two_plugins_under_one_name_are_refused() -> None:
    one = made_of(plugin_name=register_plugin_name("same"), routes=pages("/1"))
    two = made_of(plugin_name=register_plugin_name("same"), routes=pages("/2"))
    with pytest.raises(PluginError, match='two plugins are named "same"'):
        create_app({}, plugins=[one, two])


def test_02_one_name_from_two_distributions_names_both(site: Site, cli: Cli) -> None:
    module = {"a_plugin": ROUTE.format(name="a")}
    site.install("first-dist", {"fps_lite.plugins": {"same": "a_plugin"}}, module)
    site.install("second-dist", {"fps_lite.routes": {"same": "a_plugin"}}, version="2.5")
    done = cli("check")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.splitlines() == [
        'two distributions name a plugin "same": first-dist 1.0, second-dist 2.5'
    ]


def test_02_a_plugin_that_names_itself_otherwise_is_refused(site: Site, cli: Cli) -> None:
    naming = """
        from fps_lite.hooks import register_plugin_name, register_routes
        plugin_name = register_plugin_name({name!r})
        routes = register_routes([])
    """
    site.plugin("outer", naming.format(name="inner"))
    site.plugin("numbered", naming.format(name=7))
    done = cli("check")
    assert done.returncode == 4
    assert done.stderr.splitlines() == [
        'plugin "numbered" (numbered 1.0): hook "plugin_name" returned 7, not a name',
        'plugin "outer" (outer 1.0): its hook "plugin_name" says "inner", its entry point "outer"',
        "2 problems",
    ]


@pytest.mark.parametrize("name", [7, None, "Not A Name", "fps"])
def test_02_a_name_that_cannot_name_a_plugin_is_refused(name: Any) -> None:
    nameless = made_of(plugin_name=register_plugin_name(name), routes=pages("/"))
    with pytest.raises(PluginError):
        create_app({}, plugins=[nameless])


def test_02_a_plugin_whose_name_hook_or_class_raises_is_refused() -> None:
    class Unmakable:
        def __init__(self) -> None:
            message = "not today"
            raise OSError(message)

    class Nameless:
        @hookimpl
        def plugin_name(self) -> str:
            raise LookupError

    with pytest.raises(PluginError) as raised:
        create_app({}, plugins=[Unmakable, Nameless])
    assert "OSError: not today" in str(raised.value)
    assert "LookupError" in str(raised.value)


# 3-5: contributions, failures, order ------------------------------------------------------


def test_03_a_plugin_may_contribute_only_config_or_only_routes_or_nothing() -> None:
    class Config(PluginConfig, frozen=True, kw_only=True):
        size: int = 1

    class Idle:
        @hookimpl
        def routes(self) -> None:
            return None

        @hookimpl
        def lifespan(self) -> None:
            return None

    plugins = {
        "idle": Idle,
        "only_config": made_of(config=register_config(Config)),
        "only_routes": made_of(routes=pages("/here")),
    }
    with TestClient(create_app({"only_config": {"size": 2}}, plugins=plugins)) as client:
        assert client.get("/here").text == "/here"
        assert client.get("/there").status_code == 404


def test_03_an_object_without_any_hook_is_refused() -> None:
    with pytest.raises(PluginError, match=r'"empty": .*no hook: mark a function with @hookimpl'):
        create_app({}, plugins={"empty": made_of(routers=[])})


def test_03_a_helper_set_on_an_instance_counts_too() -> None:
    class Half:
        def __init__(self) -> None:
            self.more = pages("/more")

        @hookimpl
        def middleware(self) -> None: ...

    app = create_app({}, plugins={"half": Half()})
    assert [getattr(route, "path", "") for route in app.routes] == ["/more"]


def test_04_one_package_may_hold_several_plugins_and_groups_of_routes(site: Site) -> None:
    source = """
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route
        from fps_lite.hooks import register_routes

        async def path(request):
            return PlainTextResponse(request.url.path)

        zeroth = register_routes([Route("/0", path), Route("/{any}", path)], prefix="/z")
        first = register_routes([Route("/1", path)], prefix="/a")
        second = register_routes([Route("/2", path)])
    """
    modules = {"pack.red": source, "pack.blue": ROUTE.format(name="blue")}
    site.install("pack", {"fps_lite.plugins": {"red": "pack.red", "blue": "pack.blue"}}, modules)
    app = create_app({"red": {"prefix": "/red"}})
    paths = [route.path for route in app.routes if isinstance(route, Route)]
    assert paths[0] == "/blue"
    assert paths[-4:] == ["/red/z/0", "/red/z/{any}", "/red/a/1", "/red/2"]
    with TestClient(app) as client:
        assert [client.get(path).text for path in ("/blue", "/red/a/1")] == ["blue", "/red/a/1"]


@pytest.mark.parametrize(
    "source, reason",
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def broken(:", "SyntaxError: invalid syntax"),
        ("import sys\nsys.exit(5)", "SystemExit: 5"),
    ],
)
def test_05_an_import_failure_names_plugin_distribution_version_and_reason(
    site: Site, cli: Cli, source: str, reason: str
) -> None:
    site.install("some-dist", {"fps_lite.routes": {"bad": "bad_mod"}}, version="0.3")
    site.module("bad_mod", source)
    done = cli("check")
    assert (done.returncode, done.stdout) == (4, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f'plugin "bad" (some-dist 0.3): cannot import bad_mod: {reason}')
    assert "bad_mod.py:" in line


def test_05_a_hook_that_returns_none_contributes_nothing() -> None:
    class Silent:
        @hookimpl
        def config(self) -> None: ...
        @hookimpl
        def dependencies(self) -> None: ...
        @hookimpl
        def routes(self) -> None: ...
        @hookimpl
        def middleware(self) -> None: ...
        @hookimpl
        def exception_handlers(self) -> None: ...
        @hookimpl
        def lifespan(self) -> None: ...

    app = create_app({}, plugins={"silent": Silent, "z": made_of(routes=pages("/z"))})
    assert len(app.routes) == 1
    with TestClient(app) as client:
        assert client.get("/z").text == "/z"


DEPENDENCIES = {
    "ant": 'after=("zebra", "nobody")',
    "bee": 'requires=("storage",)',
    "cat": "",
    "dog": 'before=("cat",)',
    "zebra": 'provides=("storage",)',
    "last": 'after=("*",)',
}
ORDER = ["dog", "cat", "zebra", "zebra", "ant", "bee", "last"]
ORDERED = """
    from fps_lite import Dependencies, hookimpl

    @hookimpl
    def dependencies():
        return Dependencies({dependencies})
"""


@pytest.mark.slow
def test_05_twenty_starts_in_any_hash_and_install_order_give_one_route_table(
    site: Site, tmp_path: Path, work: Path
) -> None:
    for name, dependencies in DEPENDENCIES.items():
        file = site.module(f"{name}_plugin", ROUTE.format(name=name))
        ordered = site.module(f"{name}_order", ORDERED.format(dependencies=dependencies))
        file.write_text(file.read_text() + ordered.read_text())
    site.module("zebra_more", ROUTE.format(name="more"))

    def start(seed: int) -> list[dict[str, Any]]:
        chance = random.Random(seed)
        places = [type(site)(tmp_path / str(seed) / name) for name in ("a", "b")]
        for place in places:
            place.path.mkdir(parents=True)
        for name in chance.sample(sorted(DEPENDENCIES), len(DEPENDENCIES)):
            points = {"fps_lite.plugins": {name: f"{name}_plugin"}}
            if name == "zebra":
                points["fps_lite.routes"] = {name: "zebra_more"}
            chance.choice(places).install(name, points)
        chance.shuffle(places)
        path = os.pathsep.join([*(str(place.path) for place in places), os.environ["PYTHONPATH"]])
        done = subprocess.run(
            [sys.executable, "-m", "fps_lite", "routes", "--json"],
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": str(seed)},
            cwd=work, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        return rows

    with ThreadPoolExecutor(2) as pool:
        first, *others = pool.map(start, range(20))
    assert [row["plugin"] for row in first if row["plugin"] in DEPENDENCIES] == ORDER
    assert all(other == first for other in others)


def test_05_a_distribution_seen_twice_on_the_path_counts_once(
    site: Site, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = type(site)(tmp_path)
    for place in (site, other):
        place.plugin("once", ROUTE.format(name="once"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]))
    rows = json.loads(cli("routes", "--json").stdout)
    assert [row["path"] for row in rows if row["plugin"] == "once"] == ["/once"]


# 14 and 16: apps beside each other, plugins that are off ----------------------------------


class Greeter:
    """A plugin as an object, with state of its own in each app."""

    class Config(PluginConfig, frozen=True, kw_only=True):
        greeting: str = "hello"
        count: int = 0

    config = register_config(Config)

    @hookimpl
    def routes(self, config: Config) -> list[Route]:
        async def greet(request: Request) -> PlainTextResponse:
            calls = request.state["greeter"]
            calls.append(1)
            text = f"{config.greeting} world {config.count}"
            return PlainTextResponse(text, headers={"calls": str(len(calls))})

        return [Route("/greet", greet)]

    @hookimpl
    async def lifespan(self) -> AsyncIterator[Mapping[str, Any]]:
        yield {"greeter": []}


def test_14_two_apps_in_one_process_share_nothing() -> None:
    plugins = {"greeter": Greeter()}
    one = create_app({"greeter": {"greeting": "one"}}, plugins=plugins)
    two = create_app({"greeter": {"greeting": "two", "prefix": "/x"}}, plugins=plugins)
    with TestClient(one) as first, TestClient(two) as second:
        assert first.get("/greet").text == "one world 0"
        assert second.get("/x/greet").text == "two world 0"
        assert first.get("/x/greet").status_code == second.get("/greet").status_code == 404
        assert first.get("/greet").headers["calls"] == "2"
        assert second.get("/x/greet").headers["calls"] == "2"


OFF = """
    raise RuntimeError("a plugin that is off is not imported")
"""


@pytest.mark.parametrize(
    "toml, argv",
    [
        ("[off]\nenabled = false", []),
        ('[fps]\ndisabled_plugins = ["off"]', []),
        ('[fps]\nenabled_plugins = ["hello"]', []),
        ('[fps]\nenabled_plugins = ["hello", "off"]\ndisabled_plugins = ["off"]', []),
        ("", ["--disable", "off"]),
        ('[fps]\nenabled_plugins = ["off", "hello"]', ["--disable=off"]),
        ("[off]\nwhatever = { is = 'not checked' }", ["--off.enabled=false"]),
    ],
)
def test_16_a_plugin_that_is_off_is_not_imported(
    site: Site, cli: Cli, work: Path, toml: str, argv: list[str]
) -> None:
    site.plugin("off", OFF)
    (work / "fps.toml").write_text(toml)
    done = cli("routes", "--json", *argv)
    assert (done.returncode, done.stderr) == (0, "")
    assert {row["plugin"] for row in json.loads(done.stdout)} == {"hello"}


def test_16_enable_turns_a_plugin_on_whichever_list_kept_it_off(
    site: Site, cli: Cli, work: Path
) -> None:
    site.plugin("on", ROUTE.format(name="on"))
    fps = '[fps]\nenabled_plugins = ["hello"]\ndisabled_plugins = ["on"]\n[on]\nenabled = false'
    (work / "fps.toml").write_text(fps)
    done = cli("routes", "--json", "--enable", "on")
    assert {row["plugin"] for row in json.loads(done.stdout)} == {"hello", "on"}


def test_16_nothing_of_a_plugin_that_is_off_is_active() -> None:
    entered: list[str] = []

    @asynccontextmanager
    async def enter() -> AsyncIterator[None]:
        entered.append("off")
        yield

    async def handle(_: Request, __: Exception) -> PlainTextResponse:
        return PlainTextResponse("handled")

    off = made_of(
        first=register_routes([Route("/off", answering("off"))]),
        second=register_routes([Mount("/mount", app=PlainTextResponse("off"))]),
        handler=register_exception_handler(404, handle),
        lifespan=register_lifespan(enter),
    )
    on = made_of(routes=pages("/on"))
    for enabled in (True, False):
        entered.clear()
        app = create_app({"off": {"enabled": enabled}}, plugins={"off": off, "on": on})
        with TestClient(app) as client:
            found = [client.get(path).text for path in ("/on", "/off", "/mount/x", "/nowhere")]
        active = ["/on", "off", "off", "handled"]
        assert found == (active if enabled else ["/on", *["Not Found"] * 3])
        assert entered == (["off"] if enabled else [])


def test_16_a_plugin_that_requires_one_that_is_off_is_refused() -> None:
    needs = made_of(dependencies=hookimpl(lambda _: Dependencies(requires=("off",))))
    plugins = {"needs": needs, "off": made_of(routes=pages("/"))}
    with pytest.raises(PluginError, match=r'"needs" requires "off".*not enabled.*disabled_plugins'):
        create_app({"fps": {"disabled_plugins": ["off"]}}, plugins=plugins)


# 35: fixtures for tests -------------------------------------------------------------------

GRID = list(product(["hello", "hi", "hei", ""], [0, 1, 10, 250]))


@pytest.mark.parametrize(
    "fps_config", [{"greeter": {"greeting": text, "count": count}} for text, count in GRID]
)
@pytest.mark.parametrize("fps_plugins", [{"greeter": Greeter}])
def test_35_a_grid_of_configurations_reaches_an_injected_plugin(
    fps_client: TestClient, fps_config: Mapping[str, Any]
) -> None:
    wanted = "{greeting} world {count}".format(**fps_config["greeter"])
    assert fps_client.get("/greet").text == wanted


@pytest.mark.parametrize("fps_plugins", [None])
def test_35_the_installed_plugins_are_there_without_injection(
    fps_client: TestClient, fps_plugins: Sequence[object] | None
) -> None:
    assert fps_plugins is None
    assert fps_client.get("/hello").text == "hello world 0"


def test_35_the_command_is_a_fixture_too(fps_cli: Cli, work: Path) -> None:
    (work / "fps.toml").write_text("[hello]\ncount = 3\n")
    assert fps_cli("request", "/hello").stdout == "hello world 3"
