"""What a command imports: nothing that it does not need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, TypeAlias
from urllib.request import urlopen

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Server, Site

Serve: TypeAlias = "Callable[..., Server]"

ONLY = "--fps.enabled_plugins=spy"
CONFIG = """
from fps_lite import PluginConfig
from fps_lite.hooks import register_config

class Config(PluginConfig, frozen=True):
    greeting: str = "hello"

config = register_config(Config)
"""
ROUTES = """
import sys
from starlette.routing import Route
from fps_lite import JSONResponse
from fps_lite.hooks import register_routes

def modules(_):
    return JSONResponse(sorted(sys.modules))

routes = register_routes([Route("/modules", modules)])
"""
RUN = """
import json, sys
from fps_lite.cli import main
try:
    main(sys.argv[1:])
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""

DRAWN = {"rich", "rich_click"}
MISTAKES = {"difflib", "tree_sitter", "tree_sitter_toml"}
RARE = {"a2wsgi", "aioquic", "packaging", "webbrowser"}
FOREIGN = {"httpx", "httpx2", "pytest", "starlette.testclient", "trio", "uvicorn"}
NEVER = MISTAKES | RARE | FOREIGN
TOML = {"tomllib", "tomlkit"}
METADATA = {"email.parser"}
"""What reads a distribution's metadata."""
SERVER = {"hypercorn", "uvloop"}
APP = {"starlette", "spy_routes"}


@pytest.fixture
def spy(site: Site) -> None:
    points = {"fps_lite.config": {"spy": "spy_config"}, "fps_lite.routes": {"spy": "spy_routes"}}
    site.install("spy", points, {"spy_config": CONFIG, "spy_routes": ROUTES})


def imported(work: Path, *argv: str) -> set[str]:
    """Return the modules of a command's process at its end."""
    # To be measured, a process imports more.
    environ = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    done = subprocess.run(
        [sys.executable, "-c", RUN, *argv],
        cwd=work, env=environ, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return set(json.loads(done.stderr))


@pytest.mark.usefixtures("spy")
def test_a_server_that_has_answered_has_imported_nothing_that_it_did_not_need(serve: Serve) -> None:
    server = serve(ONLY)
    with urlopen(f"{server.url}/modules", timeout=30) as answer:
        found = set(json.load(answer))
    assert {"hypercorn", "starlette", "spy_routes", "click"} <= found
    assert found & (DRAWN | NEVER | {"tomlkit"}) == set()


@pytest.mark.parametrize(
    "line, needed, unneeded",
    [
        ("check", {"hypercorn", "spy_routes"}, DRAWN | {"tomlkit", "uvloop"}),
        ("routes", {"spy_routes"}, DRAWN | {"tomlkit", "uvloop"}),
        ("plugins", {"spy_routes"}, DRAWN | SERVER | {"tomlkit"}),
        ("config", {"spy_config", "tomlkit"}, DRAWN | METADATA | SERVER | APP),
        ("config schema", {"spy_config"}, DRAWN | METADATA | SERVER | APP | {"tomlkit"}),
        ("--help", {"rich_click"}, SERVER | APP | {"spy_config", "tomlkit"}),
        ("serve --help", {"rich_click"}, SERVER | APP | {"spy_config", "tomlkit"}),
        ("--version", {"click"}, DRAWN | METADATA | TOML | SERVER | APP | {"spy_config"}),
    ],
)
@pytest.mark.usefixtures("spy")
def test_a_command_imports_nothing_that_it_does_not_need(
    work: Path, line: str, needed: set[str], unneeded: set[str]
) -> None:
    found = imported(work, *line.split(), ONLY)
    assert needed <= found
    assert found & (unneeded | NEVER) == set()
