"""Directories of installed plugins, for servers that compose them: of fps-lite, and of FPS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .shapes import IN_A_PLUGIN, flat

if TYPE_CHECKING:
    from pathlib import Path

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"

FPS_LITE = """\
from starlette.responses import JSONResponse
from starlette.routing import Route

from fps_lite import PluginConfig, hookimpl


class Settings(PluginConfig):
    greeting: str = "hello"


@hookimpl
def config():
    return Settings


{functions}


@hookimpl
def routes(config):
    return [
{routes}
    ]
"""
FPS_LITE_FUNCTION = """\
async def answer{number}(request):
    return JSONResponse({{"number": {number}}})
"""

FPS = """\
from fastapi import APIRouter
from starlette.responses import JSONResponse

from fps.hooks import register_router

router = APIRouter()


{functions}


registered = register_router(router)
"""
FPS_CONFIG = """\
from fps.config import PluginModel
from fps.hooks import register_config, register_plugin_name


class Settings(PluginModel):
    greeting: str = "hello"


config = register_config(Settings)
name = register_plugin_name("{name}")
"""
FPS_FUNCTION = """\
@router.get({path!r})
async def answer{number}({arguments}):
    return JSONResponse({{"number": {number}}})
"""


def fps_lite_site(directory: Path, plugins: int) -> None:
    """Install plugins of fps-lite, ten routes each; the first answers `/bench`, too."""
    for name, paths in _plugins(plugins):
        functions = "\n\n".join(FPS_LITE_FUNCTION.format(number=one) for one in range(len(paths)))
        routes = "\n".join(
            f"        Route({path!r}, answer{number})," for number, (path, _) in enumerate(paths)
        )
        source = FPS_LITE.format(functions=functions.rstrip(), routes=routes)
        _install(directory, name, {"routes": source}, {"fps_lite.plugins": "routes"})


def fps_site(directory: Path, plugins: int) -> None:
    """Install plugins of FPS that do the same."""
    for name, paths in _plugins(plugins):
        functions = "\n\n".join(
            FPS_FUNCTION.format(path=path, number=number, arguments=arguments)
            for number, (path, arguments) in enumerate(paths)
        )
        modules = {
            "routes": FPS.format(functions=functions.rstrip()),
            "config": FPS_CONFIG.format(name=name),
        }
        _install(directory, name, modules, {"fps_router": "routes", "fps_config": "config"})


def _plugins(count: int) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return each plugin's name, and its paths with their parameters as arguments."""
    specs = flat(count * len(IN_A_PLUGIN))
    plugins: list[tuple[str, list[tuple[str, str]]]] = []
    for number in range(count):
        own = specs[number * len(IN_A_PLUGIN) : (number + 1) * len(IN_A_PLUGIN)]
        paths = [
            (
                spec.prefix + spec.path(lambda parameter: "{" + parameter.name + "}"),
                ", ".join(f"{one.name}: {one.kind}" for one in spec.parameters),
            )
            for spec in own
        ]
        plugins.append((f"bench_plugin{number:05d}", [*paths, *([("/bench", "")][number:])]))
    return plugins


def _install(
    directory: Path, name: str, modules: dict[str, str], entry_points: dict[str, str]
) -> None:
    package = directory / name
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    for module, source in modules.items():
        (package / f"{module}.py").write_text(source, encoding="utf-8")
    info = directory / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA.format(name=name), encoding="utf-8")
    groups = [f"[{group}]\n{name} = {name}.{module}\n" for group, module in entry_points.items()]
    (info / "entry_points.txt").write_text("\n".join(groups), encoding="utf-8")
