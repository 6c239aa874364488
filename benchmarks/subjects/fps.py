"""FPS 0.0.21: a distribution for each plugin, found by its entry point, composed by FPS."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.routing import Mount

from .fastapi import Prepared, routers
from .fastapi import prepare as prepare_endpoints

if TYPE_CHECKING:
    from benchmarks.shapes import Spec

MODULE = "from benchmarks.subjects.fps import register\n\nrouter = register({number})\n"
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"

_prepared: dict[int, Prepared] = {}  # found by the plugins' modules when FPS imports them


def prepare(specs: list[Spec], shape: str) -> Path:
    """Make the endpoints, and install the plugins in a directory of their own."""
    for spec, handler in prepare_endpoints(specs, shape):
        _prepared.setdefault(spec.plugin, []).append((spec, handler))
    site = Path("site").resolve()
    for number in _prepared:
        name = f"fps_plugin{number:05d}"
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").touch()
        (site / name / "routes.py").write_text(MODULE.format(number=number), encoding="utf-8")
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(METADATA.format(name=name), encoding="utf-8")
        entry_points = f"[fps_router]\n{name} = {name}.routes\n"
        (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")
    return site


def register(number: int) -> Any:
    """Return the hook of one plugin."""
    from fps.hooks import register_router  # noqa: PLC0415 - after the prepared part

    ((prefix, router, mounts),) = routers(_prepared[number])
    for spec, handler in mounts:
        router.routes.append(Mount(prefix + spec.path(str), app=handler))
    if mounts:  # FPS joins its prefix to a mount's path for its check alone
        _move(router, prefix)
        return register_router(router)
    return register_router(router, prefix=prefix)


def _move(router: Any, prefix: str) -> None:
    mounts = [one for one in router.routes if isinstance(one, Mount)]
    moved = type(router)()
    router.routes[:] = [one for one in router.routes if not isinstance(one, Mount)]
    moved.include_router(router, prefix=prefix)
    router.routes[:] = [*moved.routes, *mounts]


def build(site: Path) -> Any:
    """Compose the plugins."""
    sys.path.insert(0, str(site))
    return import_module("fps.app").create_app()
