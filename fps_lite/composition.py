"""What was collected becomes the parts of one app: lifespans, routes, middleware, handlers."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeGuard

from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Mount

from .conflicts import described, is_root_mount, ordered_routes, path_of
from .errors import FPSError, PluginError
from .gate import guarded, unavailable
from .hooks import RedirectException
from .lifespan import Lifespans, Unit, manager
from .mounting import ForeignMount, Residents
from .whose import PLUGIN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping

    from starlette.middleware import Middleware
    from starlette.requests import HTTPConnection

    from .contributions import Collected, Contribution
    from .mounting import Resident
    from .plugins import Hook, Loaded


def lifespans_of(
    collected: Collected, residents: Residents | None = None, *, names: Iterable[str] | None = None
) -> Lifespans:
    """Return the lifespans of the plugins, or of some and what they require, and of residents."""
    loaded = collected.loaded
    wanted = loaded.order.names if names is None else loaded.order.required_by(names)
    units = [_unit(one, loaded) for one in collected.contributions if one.name in wanted]
    return Lifespans(
        [*units, *(_resident_units(residents, collected) if residents else ())],
        core={"config_of": loaded.config_of},
        startup_timeout=loaded.settings.startup_timeout,
        shutdown_timeout=loaded.settings.shutdown_timeout,
        logger=logging.getLogger("fps_lite"),
        mask=collected.masked,
    )


def _unit(contribution: Contribution, loaded: Loaded) -> Unit:
    plugin = contribution.plugin
    return Unit(
        name=plugin.name,
        enter=partial(_enter, contribution),
        after=loaded.order.after[plugin.name],
        requires=loaded.order.requires[plugin.name],
        provides=frozenset(plugin.declared.provides),
        on_failure=plugin.settings.on_failure,
    )


def _resident_units(residents: Residents, collected: Collected) -> Iterator[Unit]:
    """Yield a unit for each mounted app: it runs while the plugins that mount it do."""
    loaded = collected.loaded
    isolated_plugins = {name for name, one in loaded.plugins.items() if one.isolated}
    for number, (resident, places) in enumerate(residents.places.items()):
        if resident.is_missing:
            continue
        owners = frozenset(place.owner for place in places) & loaded.plugins.keys()
        isolated = all(one.isolated or one.owner in isolated_plugins for one in places)
        of = f' of plugin "{places[0].owner}"' if owners else ""
        title = f"the app mounted at {places[0]}{places[0].written}{of}"
        watch = partial(collected.watches.factories, f"the factory of {title}")
        prefix = loaded.settings.root_path + places[0].path
        yield Unit(
            name=f"{places[0].owner} {number}",
            enter=partial(_inhabit, resident, prefix, watch, places[0].owner),
            after=owners,
            # With two of them, it is still wanted when one is down.
            requires=owners if len(owners) == 1 else frozenset(),
            on_failure="isolate" if isolated else "fatal",
            title=title,
        )


def _inhabit(
    resident: Resident, prefix: str, watch: Callable[[], Any], owner: str, _: Mapping[str, Any]
) -> Any:
    PLUGIN.set(owner)
    return resident.running(prefix, watch)


def _enter(contribution: Contribution, state: Mapping[str, Any]) -> Any:
    """Return the plugin's lifespan, several of one plugin as one, or None if it has none."""
    plugin = contribution.plugin
    PLUGIN.set(plugin.name)  # in the task of this lifespan, and of what it starts
    if plugin.failure:
        raise PluginError(plugin.failure)
    entered = [
        partial(_call, hook, contribution, state) for hook in plugin.implementations("lifespan")
    ]
    if len(entered) > 1:
        return _together(entered)
    return entered[0]() if entered else None


def _call(hook: Hook, contribution: Contribution, state: Mapping[str, Any]) -> Any:
    config, context = contribution.plugin.config, contribution.context
    return hook(config=config, context=context, state=state)


@asynccontextmanager
async def _together(entered: Iterable[Callable[[], Any]]) -> AsyncIterator[dict[str, Any]]:
    """Enter the lifespans of one plugin in the order written; yield all their services."""
    services: dict[str, Any] = {}
    async with AsyncExitStack() as stack:
        for one in entered:
            services.update(await stack.enter_async_context(manager(one())) or {})
        yield services


def mount_problems(collected: Collected) -> Iterator[FPSError]:
    """Yield what is wrong with the apps that are mounted, each as one error."""
    residents = Residents()
    for name, route in ordered_routes(collected):
        if _is_closed(route) and not _fails_alone(route, name, collected):
            yield PluginError(collected.masked(f"{route.where}: {route.failure}"))
        try:
            residents.settle(route, name)
        except FPSError as error:
            yield error


def closed_mounts(collected: Collected) -> Iterator[str]:
    """Yield a line for each mount of which nothing but a 503 is left."""
    for name, route in ordered_routes(collected):
        if _is_closed(route) and _fails_alone(route, name, collected):
            yield collected.masked(f"{route.where} is left out: {route.failure}")


def _is_closed(route: BaseRoute) -> TypeGuard[ForeignMount]:
    return isinstance(route, ForeignMount) and bool(route.failure)


def _fails_alone(route: ForeignMount, owner: str, collected: Collected) -> bool:
    plugin = collected.loaded.plugins.get(owner)
    return route.isolated or (plugin is not None and plugin.isolated)


def hidden_mounts(collected: Collected) -> Iterator[str]:
    """Yield a line for each mount of a plugin that another one of its own comes before."""
    first: dict[tuple[str, str], BaseRoute] = {}
    for name, route in ordered_routes(collected):
        if isinstance(route, Mount):
            other = first.setdefault((name, route.path), route)
            if other is not route and name in collected.loaded.plugins:
                both = f"{described(other)} answers, not {described(route)}"
                yield f'plugin "{name}" mounts two apps at {path_of(route)}: {both}'


def settled_routes(collected: Collected, residents: Residents) -> list[tuple[str, BaseRoute]]:
    """Return all routes with their owners in the order tried, mounted apps alive in them."""
    return [(name, residents.settle(one, name)) for name, one in ordered_routes(collected)]


def owned_routes(
    collected: Collected, settled: list[tuple[str, BaseRoute]], lifespans: Lifespans
) -> list[tuple[str, BaseRoute]]:
    """Return the app's routes with their owners, behind a guard if that plugin can be down."""
    isolated = _isolated(collected)
    down = {name: partial(lifespans.is_down, name) for name in isolated}
    routes = [
        (name, guarded(route, name, down[name]) if name in isolated else route)
        for name, route in settled
    ]
    closed = [
        (one.name, _closed(one))
        for one in collected.contributions
        if one.plugin.failure and one.plugin.settings.prefix
    ]
    return sorted([*routes, *closed], key=lambda pair: is_root_mount(pair[1]))


def _closed(contribution: Contribution) -> Mount:
    why = f'Service Unavailable: plugin "{contribution.name}" cannot be used'
    return Mount(contribution.plugin.settings.prefix, app=partial(unavailable, why=why))


def _isolated(collected: Collected) -> frozenset[str]:
    """Return the plugins that can be down while the app runs, by themselves or by requiring one."""
    isolated: set[str] = set()
    requires = collected.loaded.order.requires
    for one in collected.contributions:
        if one.plugin.isolated or requires.get(one.name, frozenset()) & isolated:
            isolated.add(one.name)
    return frozenset(isolated)


def middleware_of(collected: Collected) -> list[Middleware]:
    """Return the app's middleware, the outermost first."""
    placed = [pair for one in collected.contributions for pair in one.middleware]
    return [middleware for _, middleware in sorted(placed, key=lambda pair: pair[0])]


def owner_of_broken_middleware(collected: Collected) -> str:
    """Return whose middleware cannot be made, as `plugin "auth": `, by making each alone."""
    for contribution in collected.contributions:
        for _, (kind, args, kwargs) in contribution.middleware:
            try:
                kind(unavailable, *args, **kwargs)
            except Exception:  # noqa: BLE001 - any failure says whose it is
                return f"{contribution.plugin.found}: "
    return ""


def handlers_of(collected: Collected) -> dict[Any, Callable[..., Any]]:
    """Return the app's exception handlers."""
    handlers: dict[Any, Callable[..., Any]] = {RedirectException: redirect}
    for contribution in collected.contributions:
        handlers |= contribution.handlers
    return handlers


async def redirect(_: HTTPConnection, error: Exception) -> RedirectResponse:
    """Answer a `RedirectException`: 307 to its url."""
    assert isinstance(error, RedirectException)  # noqa: S101 - Starlette calls it for nothing else
    return RedirectResponse(error.url, 307)
