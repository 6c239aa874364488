"""What each plugin contributes: ask it, alone, with its own config."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from inspect import isclass, signature
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ExceptionHandler

from .effects import UNWATCHED, Watches
from .errors import ConfigError, FPSError, PluginError
from .hooks import Context
from .mounts import configured_mounts
from .paths import prefixed
from .plugins import Found, Hook, Loaded, Plugin, ask
from .secret import mask
from .settings import PluginConfig
from .whose import PLUGIN

if TYPE_CHECKING:
    from .effects.watching import Watch

OUTSIDE, BETWEEN, INSIDE = range(3)


class Contribution(Struct, frozen=True):
    """Everything that one plugin gives to the app, its prefix applied."""

    plugin: Plugin
    context: Context
    routes: tuple[BaseRoute, ...] = ()
    middleware: tuple[tuple[int, Middleware], ...] = ()
    """Each with its place: OUTSIDE all, BETWEEN, or INSIDE all."""
    handlers: Mapping[int | type[Exception], ExceptionHandler] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the plugin's name."""
        return self.plugin.name


class Collected(Struct, frozen=True):
    """The contributions in order, with all that was known before, and every fault so far."""

    loaded: Loaded
    contributions: tuple[Contribution, ...]
    errors: tuple[FPSError, ...]
    watches: Watches = UNWATCHED
    """What surrounds foreign code from here on."""

    def masked(self, text: str) -> str:
        """Return `text` with every known secret masked."""
        return mask(text, self.loaded.secrets)


def context_of(plugin: Plugin, loaded: Loaded) -> Context:
    """Return what the hooks of `plugin` may know."""
    return Context(
        name=plugin.name,
        prefix=loaded.settings.root_path + plugin.settings.prefix,
        settings=loaded.settings,
        logger=logging.getLogger(f"fps_lite.{plugin.name}"),
        _configs=loaded.config_of,
        _places=partial(loaded.config.where, plugin.name),
    )


def collect(loaded: Loaded, *, root: str | None = None, watches: Watches = UNWATCHED) -> Collected:
    """Ask every plugin that takes part, going on after each fault.

    `root` is one more app to mount, at the root: `module:object`. `watches` are entered around
    the code of each plugin and of each app.
    """
    watch = watches.imports
    steps = [_watched(plugin, context_of(plugin, loaded), watch) for plugin in loaded.enabled]
    faults = [
        PluginError(mask(f"{contribution.plugin.found}: {problem}", loaded.secrets))
        for contribution, problems in steps
        for problem in problems
    ]
    mounted, errors = _core(loaded, root, watch)
    contributions = (*(contribution for contribution, _ in steps), *mounted)
    return Collected(loaded, contributions, (*loaded.errors, *faults, *errors), watches)


def _core(
    loaded: Loaded, root: str | None, watch: Watch
) -> tuple[list[Contribution], list[ConfigError]]:
    """Return what fps-lite itself contributes: the apps that are mounted by configuration."""
    routes, errors = configured_mounts(loaded, root, watch)
    core = Plugin(Found("fps", ()), PluginConfig())
    contribution = Contribution(core, context_of(core, loaded), tuple(routes))
    return [contribution] if routes else [], errors


def _watched(plugin: Plugin, context: Context, watch: Watch) -> tuple[Contribution, list[str]]:
    before = PLUGIN.set(plugin.name)
    try:
        with watch(plugin.found):
            return _asked(plugin, context)
    finally:
        PLUGIN.reset(before)


def _asked(plugin: Plugin, context: Context) -> tuple[Contribution, list[str]]:
    if plugin.failure or plugin.config is None:
        return Contribution(plugin, context), []
    routes, problems = _routes(plugin, context)
    middleware, more = _middleware(plugin, context)
    handlers, others = _handlers(plugin, context)
    problems = [*problems, *more, *others]
    if plugin.isolated and (middleware or more):
        # Without it, a guard that the middleware is would be gone and the app open.
        refusal = "has middleware, which cannot be left out: on_failure must be fatal"
        return Contribution(plugin, context), [*problems, refusal]
    if plugin.isolated and problems:
        failed = replace(plugin, failure="; ".join(problems))
        return Contribution(failed, context), []
    return Contribution(plugin, context, tuple(routes), tuple(middleware), handlers), problems


def _answers(
    plugin: Plugin, context: Context, hook: str
) -> tuple[list[tuple[Hook, Any]], list[str]]:
    answers, problems = [], []
    for one in plugin.implementations(hook):
        answer, problem = ask(one, config=plugin.config, context=context)
        if problem:
            problems.append(problem)
        elif answer is not None:
            answers.append((one, answer))
    return answers, problems


def _routes(plugin: Plugin, context: Context) -> tuple[list[BaseRoute], list[str]]:
    answers, problems = _answers(plugin, context, "routes")
    routes: list[BaseRoute] = []
    for _, answer in answers:
        if isinstance(answer, list | tuple) and all(isinstance(one, BaseRoute) for one in answer):
            problems += filter(None, map(_not_callable, answer))
            routes += prefixed(answer, plugin.settings.prefix)
        else:
            problems.append(f'hook "routes" returned {answer!r}, not a list of routes')
    return routes, problems


def _not_callable(route: BaseRoute) -> str:
    endpoint = getattr(route, "endpoint", None)
    if not isinstance(route, Route | WebSocketRoute) or callable(endpoint):
        return ""
    return f"route {route.path}: its endpoint {endpoint!r} cannot be called"


def _middleware(plugin: Plugin, context: Context) -> tuple[list[tuple[int, Middleware]], list[str]]:
    answers, problems = _answers(plugin, context, "middleware")
    placed: list[tuple[int, Middleware]] = []
    for hook, answer in answers:
        if isinstance(answer, list | tuple) and all(isinstance(one, Middleware) for one in answer):
            place = OUTSIDE if hook.tryfirst else INSIDE if hook.trylast else BETWEEN
            problems += filter(None, map(_misfit, answer))
            placed += [(place, one) for one in answer]
        else:
            problems.append(f'hook "middleware" returned {answer!r}, not a list of Middleware')
    return placed, problems


def _misfit(middleware: Middleware) -> str:
    """Return what is wrong with the arguments of a middleware that nobody has made yet."""
    kind, args, kwargs = middleware
    try:
        signature(kind).bind(None, *args, **kwargs)
    except TypeError as error:
        return f"middleware {getattr(kind, '__name__', kind)} cannot be made: {error}"
    except ValueError:  # of a kind whose arguments nobody can tell
        pass
    return ""


def _handlers(
    plugin: Plugin, context: Context
) -> tuple[dict[int | type[Exception], ExceptionHandler], list[str]]:
    answers, problems = _answers(plugin, context, "exception_handlers")
    handlers: dict[int | type[Exception], ExceptionHandler] = {}
    for _, answer in answers:
        if not isinstance(answer, Mapping) or not all(
            _is_handled(key) and callable(handler) for key, handler in answer.items()
        ):
            what = "not a mapping of exception class or status code to handler"
            problems.append(f'hook "exception_handlers" returned {answer!r}, {what}')
            continue
        twice = handlers.keys() & answer.keys()
        problems += [f"has two exception handlers for {handled(key)}" for key in twice]
        handlers |= answer
    return handlers, problems


def _is_handled(key: object) -> bool:
    return isinstance(key, int) or (isclass(key) and issubclass(key, Exception))


def handled(key: int | type[Exception]) -> str:
    """Return what an exception handler is for, as its author wrote it."""
    return str(key) if isinstance(key, int) else key.__name__
