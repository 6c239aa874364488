"""The pytest plugin: fixtures to test plugins with, installed or as objects.

Override or parametrize `fps_config` and `fps_plugins`; `fps_app` and `fps_client` follow.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from starlette.applications import Starlette
    from starlette.testclient import TestClient


@pytest.fixture
def fps_config() -> Mapping[str, Any]:
    """Return all configuration above the defaults: no file and no environment is read."""
    return {}


@pytest.fixture
def fps_plugins() -> Mapping[str, object] | Sequence[object] | None:
    """Return the plugins, as `create_app` takes them; None is the installed ones."""
    return None


@pytest.fixture
def fps_app(
    fps_config: Mapping[str, Any], fps_plugins: Mapping[str, object] | Sequence[object] | None
) -> Starlette:
    """Compose `fps_config` and `fps_plugins` to an app."""
    from fps_lite import create_app  # noqa: PLC0415 - pytest loads this in every run

    return create_app(fps_config, plugins=fps_plugins)


@pytest.fixture
def fps_client(fps_app: Starlette) -> Iterator[TestClient]:
    """Return a client of `fps_app`, whose lifespans run until the test ends."""
    from starlette.testclient import TestClient  # noqa: PLC0415 - as above

    with TestClient(fps_app) as client:
        yield client


@pytest.fixture
def fps_cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `fps-lite` with the given arguments, in the test's working directory.

    Keyword arguments go to `subprocess.run`; the command is ended after 60 seconds.
    """

    def run(*argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
        given = {"capture_output": True, "text": True, "timeout": 60, **options}
        command = [sys.executable, "-m", "fps_lite", *argv]
        return subprocess.run(command, check=False, **given)  # noqa: S603 - the test's own words

    return run
