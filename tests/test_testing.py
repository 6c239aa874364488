"""The pytest plugin that ships with the package, used as a plugin author uses it."""

from __future__ import annotations

import os
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Site

    Pytest = Callable[..., str]

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent
PLUGIN = """
    from fps_lite.hooks import register_config, register_routes
    from fps_lite import PluginConfig, hookimpl
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    class Greeting(PluginConfig):
        greeting: str = "hello"

    config = register_config(Greeting)

    @hookimpl
    def routes(config):
        async def page(request):
            return PlainTextResponse(config.greeting)

        return [Route("/greet", page)]

    @hookimpl
    async def lifespan():
        print("started")
        yield {"greet": "service"}
        print("stopped")
"""


@pytest.fixture
def author(pytester: pytest.Pytester, site: Site, monkeypatch: pytest.MonkeyPatch) -> Pytest:
    """Run pytest on an author's test module; return what it wrote if all passed."""
    site.module("greet_plugin", PLUGIN)
    loading = [] if entry_points(group="pytest11", name="fps_lite") else ["-p", "fps_lite.testing"]
    # The command runs where the author's tests do.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site.path), str(ROOT)]))

    def run(source: str, *argv: str, passed: int, apart: bool = False) -> str:
        pytester.makepyfile(test_author=dedent(source))
        words = ["-p", "no:cacheprovider", "-p", "no:xdist", *loading, *argv]
        run = pytester.runpytest_subprocess if apart else pytester.runpytest_inprocess
        done = run(*words, timeout=60) if apart else run(*words)
        done.assert_outcomes(passed=passed)
        return done.stdout.str()

    return run


def test_the_plugin_is_declared_for_pytest() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"fps_lite": "fps_lite.testing"}


def test_config_and_plugins_are_overridden_and_app_and_client_follow(author: Pytest) -> None:
    source = """
        import greet_plugin
        import pytest
        from starlette.applications import Starlette

        @pytest.fixture
        def fps_plugins():
            return {"greet": greet_plugin}

        @pytest.fixture
        def fps_config():
            return {"greet": {"greeting": "hi", "prefix": "/x"}}

        def test_client(fps_client):
            assert fps_client.get("/x/greet").text == "hi"

        def test_app(fps_app, fps_client):
            assert isinstance(fps_app, Starlette)
            assert fps_client.app is fps_app
    """
    author(source, passed=2)


def test_config_is_parametrized(author: Pytest) -> None:
    source = """
        import greet_plugin
        import pytest

        @pytest.fixture(params=[{}, {"greet": {"greeting": "hi"}}])
        def fps_config(request):
            return request.param

        @pytest.mark.parametrize("fps_plugins", [{"greet": greet_plugin}])
        def test_client(fps_client, fps_config):
            expected = fps_config.get("greet", {}).get("greeting", "hello")
            assert fps_client.get("/greet").text == expected
    """
    author(source, passed=2)


def test_lifespans_run_while_the_test_does(author: Pytest) -> None:
    source = """
        import greet_plugin
        import pytest

        @pytest.fixture
        def fps_plugins():
            return {"greet": greet_plugin}

        def test_client(fps_client, capsys):
            print("tested")
            assert fps_client.app.lifespans.state["greet"] == "service"

        def test_app_alone_does_not_run(fps_app):
            assert "greet" not in fps_app.lifespans.state
    """
    said = author(source, "-s", passed=2)
    assert said.index("started") < said.index("stopped")
    assert said.count("started") == 1


def test_without_overriding_the_installed_plugins_are_there_and_no_file_is_read(
    author: Pytest, site: Site, pytester: pytest.Pytester
) -> None:
    site.install("greet", {"fps_lite.plugins": {"greet": "greet_plugin"}})
    (pytester.path / "fps.toml").write_text("this is no TOML")
    source = """
        def test_client(fps_client):
            assert fps_client.get("/greet").text == "hello"
    """
    author(source, passed=1)


def test_the_command_is_run_in_the_working_directory(
    author: Pytest, pytester: pytest.Pytester
) -> None:
    (pytester.path / "fps.toml").write_text("[fps]\nport = 'x'\n")
    source = """
        def test_bad(fps_cli):
            done = fps_cli("check")
            assert done.returncode == 3
            assert "fps.toml:2:8: fps.port: expected int" in done.stderr

        def test_options(fps_cli, tmp_path):
            done = fps_cli("check", cwd=tmp_path)
            assert done.returncode == 0
    """
    author(source, passed=2)


def test_nothing_is_imported_for_tests_that_do_not_use_it(author: Pytest) -> None:
    source = """
        import sys

        def test_other():
            assert "starlette.applications" not in sys.modules
            assert "fps_lite.app" not in sys.modules
    """
    author(source, passed=1, apart=True)
