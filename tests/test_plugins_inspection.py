"""Whatever would fail in silence in an object with hooks is said, with what to write."""

from __future__ import annotations

import functools
import json
from contextlib import asynccontextmanager
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from fps_lite import HookType, PluginConfig, hookimpl
from fps_lite.hooks import (
    ALL_HOOKS,
    register_config,
    register_lifespan,
    register_plugin_name,
    register_routes,
)
from fps_lite.plugins.inspection import inspect_hooks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

PLUGIN = HookType.PLUGIN.collects


def module(**attributes: object) -> ModuleType:
    made = ModuleType("made")
    vars(made).update(attributes)
    return made


def instance(**attributes: object) -> object:
    return SimpleNamespace(**attributes)


def of_class(**attributes: object) -> object:
    """Return an instance whose functions take no `self`, as they are static."""
    body = {
        name: staticmethod(value) if callable(value) and not isinstance(value, type) else value
        for name, value in attributes.items()
    }
    return type("Made", (), body)()


EVERYWHERE = pytest.mark.parametrize("kind", [module, instance, of_class])


def problems(subject: object, collected: frozenset[str] = PLUGIN) -> str:
    inspection = inspect_hooks(subject, collected)
    assert not inspection.hooks or not inspection.problems or "keep one" in inspection.problems[0]
    return "; ".join(inspection.problems)


def routes() -> list[Any]:
    return []


@EVERYWHERE
def test_a_marked_function_is_a_hook(kind: Callable[..., object]) -> None:
    inspection = inspect_hooks(kind(routes=hookimpl(lambda: [1])), PLUGIN)
    assert inspection.problems == ()
    assert [(hook.name, hook()) for hook in inspection.hooks] == [("routes", [1])]


@EVERYWHERE
def test_a_misspelt_hook_is_refused_with_the_name_meant(kind: Callable[..., object]) -> None:
    said = problems(kind(routs=hookimpl(lambda: None)))
    assert said == '"routs" is no hook (did you mean "routes"?)'


def test_a_hook_that_resembles_none_is_refused_with_all_names() -> None:
    said = problems(module(zzz=hookimpl(lambda: None)))
    assert said.startswith('"zzz" is no hook: write one of ')
    assert all(name in said for name in ALL_HOOKS)


def test_a_hook_that_pluggy_may_ignore_is_refused_all_the_same() -> None:
    assert "no hook" in problems(module(routs=hookimpl(lambda: None, optionalhook=True)))
    assert "no hook" in problems(module(fine=hookimpl(lambda: None, specname="routs")))


def test_a_hook_under_another_name_counts_as_what_it_says() -> None:
    (hook,) = inspect_hooks(module(mine=hookimpl(lambda: None, specname="routes")), PLUGIN).hooks
    assert hook.name == "routes"


@pytest.mark.parametrize("subject", [module(), object(), 5, "text", module(other=1)])
def test_an_object_without_a_hook_is_refused(subject: object) -> None:
    assert problems(subject) == "has no hook: mark a function with @hookimpl"


@EVERYWHERE
@pytest.mark.parametrize(
    "value, said",
    [
        (json, '"routes" is the module json and hides the hook'),
        (routes, '"routes" has the name of a hook and is not marked: put @hookimpl before it'),
        ([], '"routes" has the name of a hook and is none: rename it, or write def routes'),
        (None, '"routes" has the name of a hook and is none: rename it, or write def routes'),
    ],
)
def test_an_attribute_with_the_name_of_a_hook_that_is_none_is_refused(
    kind: Callable[..., object], value: object, said: str
) -> None:
    assert said in problems(kind(routes=value, middleware=hookimpl(lambda: None)))


def test_an_unmarked_method_is_refused() -> None:
    class Plugin:
        @hookimpl
        def middleware(self) -> None: ...

        def routes(self) -> None: ...

    assert "put @hookimpl before it" in problems(Plugin())


def test_only_the_hooks_of_the_group_hide_something() -> None:
    subject = module(routes=json, lifespan=hookimpl(lambda: None))
    assert problems(subject, HookType.LIFESPAN.collects) == ""
    assert "hides" in problems(subject)


def test_a_property_is_not_run_and_refused_if_it_has_the_name_of_a_hook() -> None:
    class Plugin:
        @property
        def other(self) -> object:
            raise AssertionError

        @functools.cached_property
        def another(self) -> object:
            raise AssertionError

        @hookimpl
        def middleware(self) -> None: ...

    class Worse(Plugin):
        @property
        def routes(self) -> object:
            raise AssertionError

    assert problems(Plugin()) == ""
    assert problems(Worse()) == (
        '"routes" has the name of a hook and is none: rename it, or write def routes(…)'
    )


def test_two_hooks_of_a_kind_in_one_object_are_refused() -> None:
    one: Any = hookimpl(lambda: None)
    two: Any = hookimpl(lambda: None, specname="routes")
    assert problems(module(routes=one, more=two)) == 'has 2 hooks "routes": keep one'


def test_helpers_of_a_kind_add_up_but_for_name_and_config() -> None:
    assert problems(module(a=register_routes([]), b=register_routes([]))) == ""
    names = module(a=register_plugin_name("a"), b=register_plugin_name("b"))
    assert problems(names) == 'has 2 hooks "plugin_name": keep one'
    models = module(a=register_config(PluginConfig), config=hookimpl(lambda: PluginConfig))
    assert problems(models) == 'has 2 hooks "config": keep one'


@pytest.mark.parametrize("options", [{"wrapper": True}, {"hookwrapper": True}])
def test_a_pluggy_wrapper_is_refused(options: dict[str, bool]) -> None:
    def wrapper() -> Iterator[None]:
        yield

    said = problems(module(routes=hookimpl(wrapper, **options)))  # type: ignore[call-overload]
    assert said == 'hook "routes" is a pluggy wrapper: write a plain function'


@pytest.mark.parametrize("name", sorted(ALL_HOOKS))
def test_a_coroutine_is_refused(name: str) -> None:
    async def coroutine() -> None: ...

    said = problems(module(**{name: hookimpl(coroutine)}), ALL_HOOKS)
    instead = "an async def that yields once" if name == "lifespan" else "def, not async def"
    assert said == f'hook "{name}" is a coroutine: write {instead}'


def test_a_registered_coroutine_is_refused() -> None:
    async def coroutine() -> None: ...

    said = problems(module(a=register_lifespan(coroutine)))
    assert said == 'hook "lifespan" is a coroutine: write an async def that yields once'


@pytest.mark.parametrize("name", sorted(ALL_HOOKS))
def test_an_async_generator_is_a_lifespan_and_nothing_else(name: str) -> None:
    async def generator() -> AsyncIterator[None]:
        yield

    said = problems(module(**{name: hookimpl(generator)}), ALL_HOOKS)
    assert said == (
        "" if name == "lifespan" else f'hook "{name}" is an async generator: write a plain function'
    )


def test_a_lifespan_may_be_an_async_context_manager() -> None:
    @hookimpl
    @asynccontextmanager
    async def lifespan(state: object) -> AsyncIterator[None]:  # noqa: ARG001 - named is enough
        yield

    (hook,) = inspect_hooks(module(lifespan=lifespan), PLUGIN).hooks
    assert hook.arguments == ("state",)


def keyword_only(*, config: object) -> None: ...
def unknown(request: object) -> None: ...
def unknown_keyword(*, request: object) -> None: ...
def defaulted(config: object = None) -> None: ...
def all_positional(*args: object) -> None: ...
def all_named(**kwargs: object) -> None: ...
def of_lifespan(state: object) -> None: ...
def positional_only(config: object, /) -> None: ...
def reversed_(context: object, config: object) -> None: ...


@pytest.mark.parametrize(
    "function, said",
    [
        (keyword_only, 'argument "config" of hook "routes" is keyword-only: remove the *'),
        (unknown, 'hook "routes" takes "request", which is not offered: config, context'),
        (unknown_keyword, 'hook "routes" takes "request", which is not offered: config, context'),
        (defaulted, 'argument "config" of hook "routes" has a default: it is always given'),
        (all_positional, 'hook "routes" takes *args: name the arguments, of config, context'),
        (all_named, 'hook "routes" takes *kwargs: name the arguments, of config, context'),
        (of_lifespan, 'hook "routes" takes "state", which is not offered: config, context'),
        (positional_only, ""),
        (reversed_, ""),
    ],
)
@EVERYWHERE
def test_only_arguments_that_are_offered_may_be_taken(
    kind: Callable[..., object], function: Callable[..., Any], said: str
) -> None:
    copied = functools.wraps(function)(lambda *_: function)
    assert problems(kind(routes=hookimpl(copied))) == said


def test_a_hook_without_offers_may_take_nothing() -> None:
    said = problems(module(config=hookimpl(lambda config: config)))
    assert said == 'hook "config" takes "config", which is not offered: no arguments'


def test_arguments_go_to_the_names_that_ask_for_them() -> None:
    def swapped(context: object, config: object) -> object:
        return [context, config]

    (hook,) = inspect_hooks(module(routes=hookimpl(swapped)), PLUGIN).hooks
    assert hook(config="config", context="context", state="state") == ["context", "config"]


@pytest.mark.parametrize(
    "name, group, home",
    [
        ("routes", HookType.CONFIG, HookType.ROUTES),
        ("config", HookType.ROUTES, HookType.CONFIG),
        ("lifespan", HookType.CLI, HookType.LIFESPAN),
        ("cli_setup", HookType.CONFIG, HookType.CLI),
        ("commands", HookType.PLUGIN, HookType.CLI),
    ],
)
def test_a_hook_of_another_group_is_refused_with_its_group(
    name: str, group: HookType, home: HookType
) -> None:
    said = problems(module(**{name: hookimpl(lambda: None)}), group.collects)
    assert said.startswith(f'hook "{name}" is collected from the group {home.value}:')


@pytest.mark.parametrize("options", [{"tryfirst": True}, {"trylast": True}])
def test_only_middleware_may_be_tried_first_or_last(options: dict[str, bool]) -> None:
    for name in sorted(ALL_HOOKS - {"middleware"}):
        subject = module(**{name: hookimpl(lambda: None, **options)})  # type: ignore[call-overload]
        assert "takes no tryfirst or trylast" in problems(subject, ALL_HOOKS)
    subject = module(middleware=hookimpl(lambda: None, **options))  # type: ignore[call-overload]
    (hook,) = inspect_hooks(subject, PLUGIN).hooks
    assert (hook.tryfirst, hook.trylast) == ("tryfirst" in options, "trylast" in options)


def test_middleware_is_not_both_first_and_last() -> None:
    subject = module(middleware=hookimpl(lambda: None, tryfirst=True, trylast=True))
    assert "both tryfirst and trylast" in problems(subject)


@pytest.mark.parametrize(
    "value", [type("Routes", (), {}), functools.partial(routes), functools.cache(lambda: None)]
)
def test_what_is_marked_and_no_function_is_refused(value: Any) -> None:
    for kind in (module, instance):
        said = problems(kind(routes=hookimpl(value)))
        assert said == 'hook "routes" is no function: write def routes(…)'


def test_a_mark_above_staticmethod_is_refused_and_below_counts() -> None:
    class Above:
        @hookimpl
        @staticmethod
        def routes() -> list[Any]:
            return []

    class Below:
        @staticmethod
        @hookimpl
        def routes() -> list[Any]:
            return []

        @classmethod
        @hookimpl
        def middleware(cls) -> list[Any]:
            return []

    assert "put @hookimpl right above def" in problems(Above())
    assert [hook() for hook in inspect_hooks(Below(), PLUGIN).hooks] == [[], []]


def test_an_inherited_hook_counts_and_an_overridden_one_counts_once() -> None:
    class Base:
        @hookimpl
        def routes(self) -> str:
            return "base"

        @hookimpl
        def middleware(self) -> str:
            return "base"

    class Derived(Base):
        @hookimpl
        def routes(self) -> str:
            return "derived"

    found = {hook.name: hook() for hook in inspect_hooks(Derived(), PLUGIN).hooks}
    assert found == {"routes": "derived", "middleware": "base"}


def test_a_method_of_an_instance_knows_its_instance() -> None:
    class Plugin:
        def __init__(self, path: str) -> None:
            self.path = path

        @hookimpl
        def routes(self, config: object) -> tuple[str, object]:
            return self.path, config

    for path in ("/a", "/b"):
        (hook,) = inspect_hooks(Plugin(path), PLUGIN).hooks
        assert hook(config=1, context=2) == (path, 1)


def test_an_instance_with_slots_may_hold_hooks() -> None:
    class Plugin:
        __slots__ = ("routes",)

        def __init__(self) -> None:
            self.routes = hookimpl(lambda: ["slot"])

    (hook,) = inspect_hooks(Plugin(), PLUGIN).hooks
    assert hook() == ["slot"]


def test_hooks_come_in_the_order_written_not_of_their_names() -> None:
    written = {name: register_routes([]) for name in ("z", "a", "m", "b")}
    marked = {id(value.__func__): name for name, value in written.items()}  # type: ignore[attr-defined]
    for kind in (module, instance, lambda **body: type("Made", (), body)()):
        found = inspect_hooks(kind(**written), PLUGIN).hooks
        assert [marked[id(hook.function)] for hook in found] == ["z", "a", "m", "b"]


def test_all_problems_are_said_at_once() -> None:
    subject = module(routs=hookimpl(lambda: None), lifespan=5, config=hookimpl(lambda x: x))
    assert len(inspect_hooks(subject, PLUGIN).problems) == 3


def test_an_attribute_that_raises_when_looked_at_is_not_looked_at() -> None:
    class Raising:
        def __get__(self, instance: object, owner: object) -> object:
            raise RuntimeError

    class Plugin:
        odd = Raising()

        @hookimpl
        def routes(self) -> None: ...

    assert problems(Plugin()) == ""


class Proxy:
    """As Flask's `request` and Django's `settings` are outside of what they stand for."""

    __slots__ = ()

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        raise RuntimeError("working outside of a request")

    def __getattr__(self, name: str) -> object:
        raise RuntimeError("working outside of a request")


def test_a_proxy_among_the_attributes_is_asked_nothing() -> None:
    subject = module(request=Proxy(), routes=hookimpl(lambda: [1]))
    assert [hook.name for hook in inspect_hooks(subject, PLUGIN).hooks] == ["routes"]
    said = problems(module(routes=Proxy()))
    assert said.startswith('"routes" has the name of a hook')
