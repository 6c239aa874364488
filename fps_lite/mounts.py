"""The apps of `[[fps.mounts]]`: mounted without a plugin, each fault at its place in the file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from .errors import ConfigError, FPSError, PluginError
from .mounting import FactoryError, ForeignMount, WSGIAppError, closed, mount, path_problem
from .plugins import RAISED, reason
from .settings import MountConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from starlette.routing import BaseRoute

    from .effects.watching import Watch
    from .plugins import Loaded

ARGUMENT = "MODULE:APP"


@dataclass(frozen=True)
class Wanted:
    """One app to mount, and where it is asked for."""

    mount: MountConfig
    key: str
    """Of its table; empty on the command line."""
    place_of: Callable[[str], str]
    """Where a key of the table is written."""

    @property
    def path(self) -> str:
        """Return the path as routes have it, without a slash at its end."""
        return self.mount.path.rstrip("/")

    @property
    def is_argument(self) -> bool:
        """Whether it is asked for on the command line."""
        return not self.key

    @property
    def title(self) -> str:
        """Return what it is called where more is said of it."""
        return f"{self.key}.app" if self.key else self.mount.app

    def where(self, key: str = "app") -> str:
        """Return what an error about one of its keys starts with."""
        return f"{self.place_of(key)}: {f'{self.key}.{key}' if self.key else self.mount.app}"


def configured_mounts(
    loaded: Loaded, root: str | None, watch: Watch
) -> tuple[list[BaseRoute], list[ConfigError]]:
    """Return a route for each configured app, the longest path first, and what is wrong with them.

    The route of an app that cannot be had is closed, and says why. `root` is one more app, at the
    root. `watch` surrounds each import.
    """
    wanted = list(_wanted(loaded, root))
    routes: list[BaseRoute] = []
    errors: list[ConfigError] = [*_given_twice(wanted, "path"), *_given_twice(wanted, "name")]
    for one in sorted(wanted, key=lambda one: -len(one.path)):
        if problem := path_problem(one.path):
            errors.append(ConfigError(f"{one.where('path')}: {problem}"))
            continue
        with watch(f"{one.title} ({one.mount.app})"):
            routes.append(_mounted(one))
    return routes, errors


def _wanted(loaded: Loaded, root: str | None) -> Iterator[Wanted]:
    for index, one in enumerate(loaded.settings.mounts):
        place_of = partial(loaded.config.where, "fps", "mounts", index)
        yield Wanted(one, f"fps.mounts[{index}]", place_of)
    if root is not None:
        yield Wanted(MountConfig(path="", app=root), "", lambda _: ARGUMENT)


def _given_twice(wanted: Sequence[Wanted], key: str) -> Iterator[ConfigError]:
    """Yield an error for each mount whose path or name another one has."""
    first: dict[str, Wanted] = {}
    for one in wanted:
        value = one.path if key == "path" else one.mount.name
        other = one if value is None else first.setdefault(value, one)
        if other is not one:
            what = "is mounted" if key == "path" else "is the name of the mount"
            yield ConfigError(
                f'{one.where(key)}: "{value or "/"}" {what} at {other.place_of(key)}, too'
            )


def _mounted(wanted: Wanted) -> ForeignMount:
    try:
        route = _route(wanted)
    except RAISED as error:
        told = isinstance(error, FPSError)
        problem = str(error) if told else f"cannot import {wanted.mount.app}: {reason(error)}"
        route = closed(wanted.path, problem, name=wanted.mount.name)
    route.written = f"{wanted.mount.app}, {wanted.place_of('app')}"
    route.place = "" if wanted.is_argument else wanted.place_of("app")
    route.where, route.isolated = wanted.where(), wanted.mount.on_failure == "isolate"
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
