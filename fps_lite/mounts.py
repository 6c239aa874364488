"""The apps of `[[fps.mounts]]`: mounted without a plugin, each fault at its place in the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import ConfigError, FPSError, PluginError
from .mounting import FactoryError, ForeignMount, WSGIAppError, mount
from .plugins import RAISED, reason
from .settings import MountConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.routing import BaseRoute

    from .effects import Watch
    from .plugins import Loaded

ARGUMENT = "MODULE:APP"


@dataclass(frozen=True)
class Wanted:
    """One app to mount, and where it is asked for."""

    mount: MountConfig
    key: str
    place: str

    @property
    def path(self) -> str:
        """Return the path as routes have it, without a slash at its end."""
        return self.mount.path.rstrip("/")

    @property
    def is_argument(self) -> bool:
        """Whether it is asked for on the command line."""
        return self.place == ARGUMENT

    @property
    def where(self) -> str:
        """Return what an error starts with."""
        return f"{self.place}: {self.key}"


def configured_mounts(
    loaded: Loaded, root: str | None, watch: Watch
) -> tuple[list[BaseRoute], list[FPSError]]:
    """Return a route for each configured app, the longest path first, and every fault.

    `root` is one more app, at the root. `watch` surrounds each import.
    """
    wanted = list(_wanted(loaded, root))
    routes: list[BaseRoute] = []
    errors: list[FPSError] = list(_mounted_twice(wanted))
    for one in sorted(wanted, key=lambda one: -len(one.path)):
        with watch(f"{one.key} ({one.mount.app})"):
            try:
                routes.append(_mounted(one))
            except FPSError as error:
                errors.append(PluginError(f"{one.where}: {error}"))
    return routes, errors


def _wanted(loaded: Loaded, root: str | None) -> Iterator[Wanted]:
    for index, one in enumerate(loaded.settings.mounts):
        place = loaded.config.where("fps", "mounts", index, "app")
        yield Wanted(one, f"fps.mounts[{index}].app", place)
    if root is not None:
        yield Wanted(MountConfig(path="", app=root), root, ARGUMENT)


def _mounted_twice(wanted: Sequence[Wanted]) -> Iterator[ConfigError]:
    first: dict[str, Wanted] = {}
    for one in wanted:
        other = first.setdefault(one.path, one)
        if other is not one:
            what = f'"{one.path or "/"}" is mounted at {other.place}, too'
            yield ConfigError(f"{one.where}: {what}")


def _mounted(wanted: Wanted) -> BaseRoute:
    try:
        route = _route(wanted)
    except FPSError:
        raise
    except RAISED as error:
        raise PluginError(f"cannot import {wanted.mount.app}: {reason(error)}") from error
    route.written, route.where = f"{wanted.mount.app}, {wanted.place}", wanted.where
    return route


def _route(wanted: Wanted) -> ForeignMount:
    one = wanted.mount
    app, factory = (None, one.app) if one.factory else (one.app, None)
    options: dict[str, Any] = {
        "factory": factory,
        "name": one.name,
        "strip_prefix": one.strip_prefix,
        "lifespan": one.lifespan,
    }
    try:
        return mount(one.path, app, **options, wsgi=one.wsgi)
    except WSGIAppError:
        if wanted.is_argument:  # nothing more can be said of an argument
            return mount(one.path, app, **options, wsgi=True)
        raise PluginError(f'"{one.app}" is a WSGI app: write wsgi = true beside it') from None
    except FactoryError as error:
        where = "in fps.toml: " if wanted.is_argument else ""
        raise PluginError(f"{error} ({where}factory = true)") from None
