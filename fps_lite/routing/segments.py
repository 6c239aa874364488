"""A route's path, cut at its slashes: what can be told from a request's segments alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.convertors import (
    Convertor,
    FloatConvertor,
    IntegerConvertor,
    StringConvertor,
    UUIDConvertor,
)
from starlette.routing import PARAM_REGEX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


Param = tuple[int, str, "Callable[[str], object]"]
"""A parameter that is a whole segment, without a slash in it and never empty: its place, its name,
and what tells by a true value whether the convertor's regex matches the segment."""
Conversion = tuple[str, "Callable[[str], Any]"]
"""The name of a parameter that is more than text, and what makes its value."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The leading segments of a path that stand alone, a parameter as None."""

    segments: tuple[str | None, ...]
    params: tuple[Param, ...] = ()
    conversions: tuple[Conversion, ...] = ()
    is_whole: bool = True
    """Whether that is all of the path."""


def shape_of(path: str, convertors: Mapping[str, Convertor[Any]]) -> Shape:
    """Return the shape of a route's path; it ends before what is not a lone segment.

    `/v{n:int}`, `{rest:path}` and convertors of others end it: their regexes may match several
    segments, or none.
    """
    segments: list[str | None] = []
    params: list[Param] = []
    conversions: list[Conversion] = []
    is_whole = True
    for position, segment in enumerate(segments_of(path)):
        found = PARAM_REGEX.search(segment)
        if found is None:
            segments.append(segment)
            continue
        name, convertor = found[1], convertors[found[1]]
        takes = _reader(convertor) if found[0] == segment else None
        if takes is None:
            is_whole = False
            break
        segments.append(None)
        params.append((position, name, takes))
        if type(convertor) is not StringConvertor:
            conversions.append((name, convertor.convert))
    return Shape(tuple(segments), tuple(params), tuple(conversions), is_whole)


def segments_of(path: str) -> list[str]:
    """Return what is between the slashes of a path that begins with one."""
    return path[1:].split("/") if path else []


def pattern_of(path: str, convertors: Mapping[str, Convertor[Any]]) -> str:
    """Return the regex that Starlette makes of a path."""
    made, end = "^", 0
    for found in PARAM_REGEX.finditer(path):
        regex = convertors[found[1]].regex
        made += f"{re.escape(path[end : found.start()])}(?P<{found[1]}>{regex})"
        end = found.end()
    return f"{made}{re.escape(path[end:])}$"


def _are_digits(segment: str) -> bool:
    return segment.isascii() and segment.isdigit()


_FLOAT = r"[0-9]+(\.[0-9]+)?"
_UUID = "[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}"
_READERS: dict[type[Convertor[Any]], tuple[str, Callable[[str], object]]] = {
    StringConvertor: ("[^/]+", bool),
    IntegerConvertor: ("[0-9]+", _are_digits),
    FloatConvertor: (_FLOAT, re.compile(_FLOAT).fullmatch),
    UUIDConvertor: (_UUID, re.compile(_UUID).fullmatch),
}


def _reader(convertor: Convertor[Any]) -> Callable[[str], object] | None:
    """Return what tells whether the convertor's regex matches a segment, if that is known."""
    regex, takes = _READERS.get(type(convertor), (None, None))
    return takes if convertor.regex == regex and not vars(convertor) else None
