"""What a plugin says of itself: its name, the model of its config, its dependencies."""

from __future__ import annotations

from inspect import get_annotations, isclass
from typing import TYPE_CHECKING, Any

import msgspec

from fps_lite.errors import PluginError
from fps_lite.hooks import Dependencies
from fps_lite.settings import PluginConfig

from .asking import ask
from .discovery import normalized

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .discovery import Found
    from .inspection import Hook


def check_name(found: Found, hooks: Sequence[Hook]) -> None:
    """Raise `PluginError` if the plugin names itself otherwise than its entry point does."""
    for named in _answers(hooks, "plugin_name"):
        if not isinstance(named, str):
            message = f'hook "plugin_name" returned {named!r}, not a name'
            raise PluginError(message)
        if found.package and normalized(named) != found.name:
            message = f'its hook "plugin_name" says "{named}", its entry point "{found.name}"'
            raise PluginError(message)


def model_of(hooks: Sequence[Hook]) -> type[PluginConfig]:
    """Return what the plugin's table is decoded to."""
    for model in _answers(hooks, "config"):
        if not isclass(model) or not issubclass(model, PluginConfig):
            message = f'hook "config" returned {model!r}, not a subclass of PluginConfig'
            raise PluginError(message)
        _check_model(model)
        return model
    return PluginConfig


def _check_model(model: type[PluginConfig]) -> None:
    # The options can be undone in a subclass, and then typos would be taken in silence.
    if not model.__struct_config__.frozen or not model.__struct_config__.forbid_unknown_fields:
        message = f"{model.__name__} must stay frozen and forbid unknown fields"
        raise PluginError(message)
    bodies = model.__mro__[: model.__mro__.index(PluginConfig)]
    own = {name for body in bodies for name in get_annotations(body)}
    redefined = sorted(own & set(PluginConfig.__annotations__))
    if redefined:
        message = f"{model.__name__} redefines {', '.join(redefined)}"
        raise PluginError(message)
    try:
        msgspec.msgpack.Decoder(model)
    except Exception as error:  # noqa: BLE001 - msgspec evaluates annotations, which may be any code
        message = f"config model {model.__name__}: {_unusable(error)}"
        raise PluginError(message) from None


def _unusable(error: Exception) -> str:
    """Say why msgspec cannot use a model."""
    said = " ".join(str(error).replace("`", "").split())
    if isinstance(error, NameError):
        return f"{said} at run time: import it outside TYPE_CHECKING"
    if "containing a custom type" in said:
        said += ": write Secret | None, without more"
    return said if isinstance(error, TypeError) else f"{type(error).__name__}: {said}"


def dependencies_of(hooks: Sequence[Hook], config: PluginConfig) -> Dependencies:
    """Return where the plugin stands among the others."""
    parts = list(_answers(hooks, "dependencies", config=config))
    for part in parts:
        if not isinstance(part, Dependencies):
            message = f'hook "dependencies" returned {part!r}, not Dependencies(…)'
            raise PluginError(message)
        for key, names in vars(part).items():
            if isinstance(names, str) or not all(isinstance(name, str) for name in names):
                message = f"Dependencies({key}=…) is no list of names: {names!r}"
                raise PluginError(message)
    keys = ("requires", "after", "before", "provides")
    return Dependencies(
        **{key: tuple(name for part in parts for name in getattr(part, key)) for key in keys}
    )


def _answers(hooks: Sequence[Hook], name: str, **offered: Any) -> Iterator[Any]:
    found = [hook for hook in hooks if hook.name == name]
    if len(found) > 1 and name in ("plugin_name", "config"):
        message = f'has {len(found)} hooks "{name}": keep one'
        raise PluginError(message)
    for hook in found:
        answer, problem = ask(hook, **offered)
        if problem:
            raise PluginError(problem)
        if answer is not None:
            yield answer
