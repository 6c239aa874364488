"""`Secret`: a text that nothing shows, and masking what was once revealed."""

from __future__ import annotations

import hmac
import html
import json
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, quote_plus

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable


class Secret:
    """A text that only `reveal()` shows: `repr`, `str`, formatting and JSON give `***`.

    For JSON pass `str` as `default` (`json`) or as `enc_hook` (`msgspec`). Not a `str`, so
    that a masked text is never taken for the real one: use `reveal()`.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._encoded(), other._encoded())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def _encoded(self) -> bytes:
        # The environment may hold bytes that are no UTF-8.
        return self._text.encode(errors="surrogatepass")

    def __reduce__(self) -> NoReturn:
        # A pickle or a deep copy would hold the text in the open.
        message = "a Secret is not pickled or copied: pass reveal() on if you must"
        raise TypeError(message)


def secrets_of(value: Any) -> frozenset[str]:
    """Return the text of every `Secret` inside a struct, mapping or list."""
    others: list[Any] = []
    msgspec.to_builtins(value, enc_hook=others.append)  # asked for all that msgspec does not know
    return frozenset(one.reveal() for one in others if isinstance(one, Secret)) - {""}


def spellings(secrets: Iterable[str]) -> tuple[str, ...]:
    """Return each secret as it is, as `repr`, JSON, HTML and URLs write it, longest first."""
    found = set(secrets)
    in_urls = {one for secret in found for one in _in_urls(secret)}
    found |= {form(one)[1:-1] for one in found for form in (repr, ascii, json.dumps, _json)}
    found |= {html.escape(one) for one in found} | in_urls
    return tuple(sorted(found - {""}, key=lambda one: (-len(one), one)))


def _in_urls(text: str) -> tuple[str, ...]:
    try:
        data = text.encode(errors="surrogateescape")  # the bytes that the environment has
    except UnicodeEncodeError:
        data = text.encode(errors="surrogatepass")
    return quote(data), quote(data, safe=""), quote_plus(data)


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def mask(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with `***` for each of `secrets`, however it is written."""
    return hide(text, spellings(secrets))


def hide(text: str, spelled: Iterable[str]) -> str:
    """Return `text` with `***` for each of `spelled`, in their order."""
    for one in spelled:
        text = text.replace(one, "***")
    return text
