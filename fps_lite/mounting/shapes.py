"""What can be mounted: found by its name, and told from what only looks like an app."""

from __future__ import annotations

import inspect
import posixpath
import re
from importlib import import_module
from typing import Any
from urllib.parse import unquote

from fps_lite.errors import PluginError

ASGI, WSGI, FACTORY = 3, 2, 1
"""How many arguments each takes."""
IS_MADE = ": if calling it makes one, it is a factory"


def imported(reference: str) -> Any:
    """Return the object that `module:object` names; raise `PluginError` if there is none."""
    module_name, colon, path = reference.partition(":")
    if not colon or not module_name or not path:
        raise PluginError(f'expected "module:object", got "{reference}"')
    if module_name.endswith(".py"):
        hint = f"{module_name.removesuffix('.py').replace('/', '.')}:{path}"
        raise PluginError(f'expected a module, not a file: write "{hint}"')
    found: Any = import_module(module_name)
    for attribute in path.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            raise PluginError(f'"{module_name}" has no "{path}"') from None
    return found


def path_problem(path: str) -> str:
    """Return why no request could match the path of a mount, and what to write; else nothing."""
    if path and not path.startswith("/"):
        return f'expected a path like "/x", or "" for the root, got "{path}"'
    if found := re.search("[?#]", path):
        return f'a path ends before "{found[0]}": write "{path[: found.start()]}", not "{path}"'
    if re.search(r"//|/\.\.?(/|$)", path):
        simple = posixpath.normpath(re.sub("/+", "/", path))
        return f'clients ask for the simple path: write "{simple}", not "{path}"'
    if found := re.search("(%[0-9A-Fa-f]{2})+", path):
        meant = unquote(found[0])
        decoded = path.replace(found[0], meant)
        # What is no part of a path in a file, either.
        instead = f'choose one without "{found[0]}"' if re.search(r"[\s/{}]", meant) else ""
        instead = instead or f'write "{decoded}"'
        return f'requests are matched as they are decoded: {instead}, not "{path}"'
    return ""


def check_app(app: object, *, wsgi: bool, name: str) -> None:
    """Raise `PluginError` for what is no ASGI app, or no WSGI app if `wsgi`."""
    if not callable(app):
        kind = f' of type "{type(app).__name__}"' if type(app).__name__ not in name else ""
        raise PluginError(f"{name}{kind} is no app")
    if is_only_class(app, wsgi=wsgi):
        raise FactoryError(f"{name} is a class and no app{IS_MADE}")
    if takes(app, WSGI if wsgi else ASGI):
        return
    if wsgi and takes(app, ASGI):
        raise PluginError(f"{name} is an ASGI app: leave wsgi out")
    if takes(app, WSGI):
        raise WSGIAppError(f"{name} is a WSGI app: mount it with wsgi=True")
    if makes(app):
        raise FactoryError(f"{name} is no app{IS_MADE}")
    raise PluginError(f"{name} is no app")


def check_factory(factory: object, *, name: str) -> None:
    """Raise `PluginError` for what cannot be called with the prefix, nor with nothing."""
    if not callable(factory):
        raise PluginError(f"{name} is no factory: it cannot be called")
    if makes(factory):
        return
    is_app = takes(factory, ASGI) or takes(factory, WSGI)
    what = "it is an app, leave factory out" if is_app else "it is called with the prefix alone"
    raise PluginError(f"{name} is no factory: {what}")


class WSGIAppError(PluginError):
    """A WSGI app where an ASGI app is expected."""


class FactoryError(PluginError):
    """What may make an app where an app is expected."""


def is_only_class(app: object, *, wsgi: bool = False) -> bool:
    """Tell whether `app` is a class whose instances may be apps, and no app itself.

    One that is an app is called for each request, and what it makes answers that: it is
    awaited, as Starlette's endpoints are, or iterated over.
    """
    return inspect.isclass(app) and not hasattr(app, "__iter__" if wsgi else "__await__")


def makes(function: object) -> bool:
    """Tell whether `function` can be called as a factory is."""
    return takes(function, FACTORY) or takes(function, 0)


def takes(function: Any, arguments: int) -> bool:
    """Tell whether `function` can be called with that many; where nobody knows, it can."""
    try:
        inspect.signature(function).bind(*range(arguments))
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def wsgi_middleware() -> Any:
    """Return what makes a WSGI app an ASGI app; raise `PluginError` if the extra is missing."""
    try:
        from a2wsgi import WSGIMiddleware  # noqa: PLC0415 - an extra
    except ImportError:
        raise PluginError('a WSGI app needs a2wsgi: pip install "fps-lite[wsgi]"') from None
    return WSGIMiddleware
