"""The server commands that are compared, and what stands around them."""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .environments import worker_environ
from .pairs import Absent
from .processes import serving
from .sites import fps_lite_site, fps_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .environments import Pythons
    from .processes import Server

STARLETTE = "benchmarks.apps.stock:app"
FASTAPI = "benchmarks.apps.fast:app"
HYPERCORN = ("{bin}/hypercorn", "--bind", "127.0.0.1:{port}")
UVICORN = ("{bin}/uvicorn", "--port", "{port}", "--no-access-log", "--log-level", "warning")
GRANIAN = ("{bin}/granian", "--interface", "asgi", "--port", "{port}", "--log-level", "warning")
H11 = ("--http", "h11", "--loop", "asyncio")
HTTPTOOLS = ("--http", "httptools", "--loop", "uvloop")
FPS_LITE = ("{bin}/python", "-m", "fps_lite", "serve", "--port", "{port}")
NO_ACCESS_LOG = "--fps.logging.access=false"
FPS = ("{bin}/fps-uvicorn", "--port", "{port}")
PLUGIN = '[fps.plugins]\nbench = "benchmarks.apps.plugin"\n'


@dataclass(frozen=True)
class Command:
    """A server command; `{bin}` is its environment's, `{port}` a free port."""

    name: str
    title: str
    environment: str
    argv: tuple[str, ...]
    plugins: str = ""  # "fps-lite" or "fps": it composes plugins
    quick: bool = True


LOADED = (
    Command("hypercorn", "hypercorn", "servers", (*HYPERCORN, STARLETTE)),
    Command(
        "hypercorn uvloop",
        "hypercorn, uvloop",
        "servers",
        (*HYPERCORN, "--worker-class", "uvloop", STARLETTE),
        quick=False,
    ),
    Command(
        "hypercorn access log",
        "hypercorn, access log",
        "servers",
        (*HYPERCORN, "--access-logfile", "-", STARLETTE),
        quick=False,
    ),
    Command("uvicorn h11", "uvicorn, h11", "servers", (*UVICORN, *H11, STARLETTE)),
    Command("uvicorn", "uvicorn, httptools + uvloop", "servers", (*UVICORN, *HTTPTOOLS, STARLETTE)),
    Command(
        "uvicorn access log",
        "uvicorn by default, access log",
        "servers",
        ("{bin}/uvicorn", "--port", "{port}", STARLETTE),
        quick=False,
    ),
    Command("granian", "granian", "servers", (*GRANIAN, STARLETTE)),
    Command(
        "fastapi",
        "FastAPI on uvicorn, httptools + uvloop",
        "servers",
        (*UVICORN, *HTTPTOOLS, FASTAPI),
        quick=False,
    ),
    Command("fps", "FPS 0.0.21, access log", "fps", FPS, "fps"),
    Command("fps-lite quiet", "fps-lite serve", "fps-lite", (*FPS_LITE, NO_ACCESS_LOG)),
    Command("fps-lite", "fps-lite serve, access log", "fps-lite", FPS_LITE),
    Command(
        "fps-lite in process",
        "fps-lite serve --workers 0",
        "fps-lite",
        (*FPS_LITE, NO_ACCESS_LOG, "--workers", "0"),
        quick=False,
    ),
)
"""Servers under load; fps-lite with a plugin from its working directory."""

STARTED = (
    Command("hypercorn", "hypercorn + Starlette", "servers", (*HYPERCORN, STARLETTE), quick=False),
    Command("uvicorn", "uvicorn + Starlette", "servers", (*UVICORN, *HTTPTOOLS, STARLETTE)),
    Command("granian", "granian + Starlette", "servers", (*GRANIAN, STARLETTE), quick=False),
    Command(
        "fastapi", "uvicorn + FastAPI", "servers", (*UVICORN, *HTTPTOOLS, FASTAPI), quick=False
    ),
    Command("fps", "FPS 0.0.21", "fps", FPS, "fps"),
    Command("default", "fps-lite serve", "fps-lite", FPS_LITE, "fps-lite"),
    Command(
        "in process",
        "fps-lite serve --workers 0",
        "fps-lite",
        (*FPS_LITE, "--workers", "0"),
        "fps-lite",
    ),
)
"""Servers that are started; those that compose plugins, with one and with many."""


@dataclass(frozen=True)
class Place:
    """Where a command runs: its arguments, a working directory, installed plugins."""

    argv: list[str]
    directory: Path
    environ: dict[str, str]

    def serving(self, cpu: int | None = None) -> contextlib.AbstractContextManager[Server]:
        """Run it until it answers."""
        return serving(self.argv, directory=self.directory, environ=self.environ, cpu=cpu)


@contextlib.contextmanager
def placed(command: Command, pythons: Pythons, plugins: int = 1) -> Iterator[Place]:
    """Make the working directory and the plugins; raises `Absent` without the environment."""
    python = pythons.of(command.environment)
    if python is None:
        raise Absent("its environment is not installed")
    with tempfile.TemporaryDirectory() as made:
        directory, site = Path(made, "work"), Path(made, "site")
        directory.mkdir()
        site.mkdir()
        if command.plugins == "fps":
            fps_site(site, plugins)
        elif command.plugins == "fps-lite":
            fps_lite_site(site, plugins)
        else:
            (directory / "fps.toml").write_text(PLUGIN, encoding="utf-8")
        argv = [one.replace("{bin}", str(python.parent)) for one in command.argv]
        yield Place(argv, directory, _environ(site, Path(made)))


def _environ(site: Path, home: Path) -> dict[str, str]:
    kept = worker_environ()
    del kept["PYTHONDONTWRITEBYTECODE"]  # a second start finds what the first has compiled
    path = os.pathsep.join([str(site), kept["PYTHONPATH"]])
    return {**kept, "PYTHONPATH": path, "HOME": str(home)}
