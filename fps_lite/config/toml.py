"""A TOML text → its values, or what is wrong with it and where."""

from __future__ import annotations

import re
from typing import Any

from fps_lite.config.positions import Place, long_integer
from fps_lite.config.wording import printable

MAX_DEPTH = 100
DEEP = "tables or arrays nest too deep"

_AT = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")
_KEY = "value = "
_NESTS = (dict, list)


class TomlError(Exception):
    """What is wrong with a TOML text, and where unless that is everywhere."""

    def __init__(self, what: str, place: Place | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.place = place


def read_toml(source: str) -> dict[str, Any]:
    """Return the values of a TOML document, or raise `TomlError`."""
    import tomllib  # noqa: PLC0415 - only where there is a file

    try:
        values = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise _placed(str(error), source) from None
    except RecursionError:
        raise TomlError(DEEP) from None
    except ValueError:  # tomllib lets this one of Python's through
        what = "invalid TOML: an integer of too many digits"
        raise TomlError(what, long_integer(source)) from None
    if is_deep(values):
        raise TomlError(DEEP)
    return values


def _placed(said: str, source: str) -> TomlError:
    found = _AT.search(said)
    what = f"invalid TOML: {printable(_AT.sub('', said))}"
    if found is None:
        return TomlError(what)
    line, column = found[1], found[2]
    return TomlError(what, Place(int(line), int(column)) if line else place_after(source))


def place_after(text: str) -> Place:
    """Return the place of what follows `text`."""
    return Place(text.count("\n") + 1, len(text) - text.rfind("\n"))


def is_deep(value: object) -> bool:
    """Tell whether tables and arrays nest so deep that recursion is not safe."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, _NESTS)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def read_value(text: str) -> Any:
    """Return what `text` is as one TOML value, or raise `TomlError` that shows none of it."""
    try:
        found = read_toml(_KEY + text)
    except TomlError as error:
        raise TomlError(error.what + _column(error.place)) from None
    if len(found) > 1:
        raise TomlError("invalid TOML: more than one value")
    return found["value"]


def _column(place: Place | None) -> str:
    if place is None:
        return ""
    line, column = place
    return f" (line {line}, column {column})" if line > 1 else f" (column {column - len(_KEY)})"


def toml_value(text: str) -> Any:
    """Return what `text` is as one TOML value, None if it is none."""
    try:
        return read_value(text)
    except TomlError:
        return None
