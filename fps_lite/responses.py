"""`JSONResponse`: JSON as msgspec writes it."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from .secret import Secret


class JSONResponse(Response):
    """An `application/json` response, about four times as fast as Starlette's.

    Takes what `msgspec.json.encode` does: beside JSON's own types structs, dataclasses,
    attrs classes, enums, dates and times (RFC 3339), timedeltas (ISO 8601), UUIDs, decimals
    (as text), sets, and bytes (as base64). A NaN or an infinity is null, and a `Secret` is
    `***`. Raises `TypeError` for what is none of these.
    """

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return `content` as UTF-8 without spaces."""
        return _ENCODER.encode(content)


def _plain(value: object) -> str | int | float:
    if isinstance(value, Secret):
        return str(value)
    # The standard library writes those of a subclass, too.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int | float):
        return int(value) if isinstance(value, int) else float(value)
    raise TypeError(f'a "{type(value).__name__}" cannot be written as JSON')


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
