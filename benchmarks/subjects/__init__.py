"""What is compared: each module makes one framework's app of the same routes.

A module has `prepare(specs, shape)`, which is not timed and makes what a user has written before
the app is made (endpoints, plugins), and `build(parts)`, which makes the app of it. It runs in
its peer's environment, so it imports the peer, the standard library and its neighbours alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from benchmarks.shapes import Spec

ALL_SHAPES = frozenset({"flat", "mounted", "jupyverse"})


class Module(Protocol):
    """What a module here has."""

    prepare: Callable[[list[Spec], str], Any]
    build: Callable[[Any], Any]


@dataclass(frozen=True)
class Subject:
    """One row of a table: a framework in its environment."""

    name: str
    title: str
    environment: str
    shapes: frozenset[str] = frozenset({"flat"})
    quick_limit: int = 1_000  # routes; a quick run has no more of them


SUBJECTS = (
    Subject("stock", "Starlette", "starlette", ALL_SHAPES, 10_000),
    Subject("fastapi", "FastAPI", "fastapi", frozenset({"flat", "jupyverse"})),
    Subject("litestar", "Litestar", "litestar"),
    Subject("blacksheep", "BlackSheep", "blacksheep"),
    Subject("falcon", "Falcon", "falcon"),
    Subject("sanic", "Sanic", "sanic"),
    Subject("ffroute", "Starlette + ffroute", "ffroute", ALL_SHAPES),
    Subject("fps", "FPS 0.0.21", "fps", frozenset({"flat", "jupyverse"})),
    Subject("compiled", "Starlette + CompiledRouter", "fps-lite", ALL_SHAPES, 10_000),
    Subject("layered", "fps-lite with a middleware", "fps-lite", ALL_SHAPES, 10_000),
    Subject("composed", "fps-lite", "fps-lite", ALL_SHAPES, 10_000),
)
"""In the order of the tables; the last three are ours."""


def subject(name: str) -> Subject:
    """Return the subject of a name."""
    return next(one for one in SUBJECTS if one.name == name)


def module_of(name: str) -> Module:
    """Import a subject's module; raises ImportError where its peer, or a part of ours, is not."""
    module: ModuleType = import_module(f"{__name__}.{name}")
    return cast("Module", module)
