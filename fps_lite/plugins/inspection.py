"""Which hooks an object has, and everything about them that would fail in silence.

The marks are pluggy's, its manager is not asked: that ignores a misspelt hook, an unmarked
function and a submodule that shadows a hook, and sorts attributes by name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from types import FunctionType, MemberDescriptorType, MethodType, ModuleType, NoneType
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from fps_lite import hookspecs
from fps_lite.config.wording import did_you_mean
from fps_lite.hooks import ALL_HOOKS, PROJECT, REGISTERED, HookType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MARK = f"{PROJECT}_impl"
_INSTEAD = {"lifespan": "an async def that yields once"}
_ONE_ONLY = ("plugin_name", "config")
_LOOKED_UP = (FunctionType, MemberDescriptorType, classmethod, staticmethod)
"""What is bound when it is looked up, without running the plugin's code, as a property does."""
_UNMARKABLE = (str, int, float, bool, bytes, tuple, list, dict, NoneType)
"""What has no attributes, a third of what a module has: not looked at for a mark, which is slow."""


class Hook(Struct, frozen=True):
    """One implementation of a hook, ready to be called."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]
    tryfirst: bool
    trylast: bool
    registered: bool
    """Made by a `register_…` helper, of which several may stand in one object."""

    def __call__(self, **offered: Any) -> Any:
        """Call it with those of the offered arguments that it names."""
        return self.function(*(offered[name] for name in self.arguments))


class Inspection(Struct, frozen=True):
    """The hooks of one object in the order written, and what is wrong with them."""

    hooks: tuple[Hook, ...]
    problems: tuple[str, ...]


def inspect_hooks(subject: object, collected: frozenset[str]) -> Inspection:
    """Find the hooks of `subject`, of which those in `collected` are its group's."""
    attributes = dict(_attributes(subject))
    marks = {name: found for name, value in attributes.items() if (found := _options(value))}
    problems = tuple(_problems(attributes, marks, collected))
    if problems:
        return Inspection((), problems)
    hooks = tuple(_hook(name, attributes[name], options) for name, options in marks.items())
    if not hooks:
        return Inspection((), ("has no hook: mark a function with @hookimpl",))
    return Inspection(hooks, tuple(_doubled(hooks)))


def _hook(name: str, value: Any, options: Mapping[str, Any]) -> Hook:
    return Hook(
        name=options["specname"] or name,
        function=value,
        arguments=tuple(inspect.signature(value).parameters),
        tryfirst=options["tryfirst"],
        trylast=options["trylast"],
        registered=getattr(value, REGISTERED, False),
    )


def _attributes(subject: object) -> Iterator[tuple[str, Any]]:
    """Yield the attributes that may be hooks, in the order written; run no code for it."""
    if isinstance(subject, ModuleType):
        for name, value in list(vars(subject).items()):
            yield name, _bound(subject, name, value)
        return
    bodies = [*map(vars, reversed(type(subject).__mro__)), getattr(subject, "__dict__", {})]
    for name in dict.fromkeys(name for body in bodies for name in body):
        yield name, _bound(subject, name, inspect.getattr_static(subject, name, None))


def _bound(subject: object, name: str, written: Any) -> Any:
    # Not isinstance: a proxy, like Flask's `request`, may raise when it is asked for its class.
    if not issubclass(type(written), _LOOKED_UP):
        return written
    value = getattr(subject, name, None)
    if isinstance(value, staticmethod):  # as a helper makes it; only a class looks through it
        value = value.__func__
    # Whoever marks a staticmethod rather than the function in it is to hear of it.
    return written if _options(written) and not _options(value) else value


def _options(value: object) -> dict[str, Any] | None:
    holder = value.__func__ if type(value) is MethodType else value
    if type(holder) in _UNMARKABLE:
        return None
    if type(holder) is FunctionType:  # nearly all that is marked; the other way takes longer
        options = vars(holder).get(MARK)
    else:
        options = inspect.getattr_static(holder, MARK, None)
    return options if isinstance(options, dict) else None


def _problems(
    attributes: Mapping[str, Any], marks: Mapping[str, dict[str, Any]], collected: frozenset[str]
) -> Iterator[str]:
    for name, value in attributes.items():
        options = marks.get(name)
        if options:
            hook = options.get("specname") or name
            problem = _misplaced(hook, collected) or _malformed(hook, value, options)
            if problem:
                yield problem
        elif name in collected:
            yield _unmarked(name, value)


def _misplaced(hook: str, collected: frozenset[str]) -> str | None:
    if hook not in ALL_HOOKS:
        hint = did_you_mean(hook, sorted(ALL_HOOKS)) or f": write one of {_listed(ALL_HOOKS)}"
        return f'"{hook}" is no hook{hint}'
    if hook not in collected:
        group = next(
            kind for kind in HookType if kind != "fps_lite.plugins" and hook in kind.collects
        )
        return f'hook "{hook}" is collected from the group {group}: name it in an entry point there'
    return None


def _malformed(hook: str, value: Any, options: dict[str, Any]) -> str | None:
    first, last = options.get("tryfirst"), options.get("trylast")
    is_static = isinstance(value, staticmethod | classmethod)
    faults = {
        "is marked above another decorator: put @hookimpl right above def": is_static,
        f"is no function: write def {hook}(…)": not isinstance(value, FunctionType | MethodType),
        "is a pluggy wrapper: write a plain function": options["wrapper"] or options["hookwrapper"],
        f"is a coroutine: write {_INSTEAD.get(hook, 'def, not async def')}": (
            inspect.iscoroutinefunction(
                value.__wrapped__ if hook == "lifespan" and hasattr(value, REGISTERED) else value
            )
        ),
        "is an async generator: write a plain function": (
            inspect.isasyncgenfunction(value) and hook != "lifespan"
        ),
        "takes no tryfirst or trylast: order plugins with dependencies": (
            (first or last) and hook != "middleware"
        ),
        "is both tryfirst and trylast: choose one": first and last,
    }
    what = next((what for what, is_so in faults.items() if is_so), None)
    return f'hook "{hook}" {what}' if what else _bad_argument(hook, value)


def _bad_argument(hook: str, function: Callable[..., Any]) -> str | None:
    offered = _offered(hook)
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return f'hook "{hook}" takes *{name}: name the arguments, of {_listed(offered)}'
        if name not in offered:
            return f'hook "{hook}" takes "{name}", which is not offered: {_listed(offered)}'
        if parameter.kind is parameter.KEYWORD_ONLY:
            return f'argument "{name}" of hook "{hook}" is keyword-only: remove the *'
        if parameter.default is not parameter.empty:
            return f'argument "{name}" of hook "{hook}" has a default: it is always given'
    return None


@cache
def _offered(hook: str) -> tuple[str, ...]:
    return tuple(inspect.signature(getattr(hookspecs, hook)).parameters)


def _unmarked(name: str, value: Any) -> str:
    if issubclass(type(value), ModuleType):
        # Python sets a submodule as an attribute of its package, however it is imported.
        what = "import it as another name, or rename it if it is a submodule"
        return f'"{name}" is the module {value.__name__} and hides the hook: {what}'
    if callable(value):
        return f'"{name}" has the name of a hook and is not marked: put @hookimpl before it'
    return f'"{name}" has the name of a hook and is none: rename it, or write def {name}(…)'


def _doubled(hooks: Sequence[Hook]) -> Iterator[str]:
    for name in dict.fromkeys(hook.name for hook in hooks):
        same = [hook for hook in hooks if hook.name == name]
        written = [hook for hook in same if not hook.registered]
        if len(written) > 1 or (len(same) > 1 and name in _ONE_ONLY):
            yield f'has {len(same)} hooks "{name}": keep one'


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)) if names else "no arguments"
