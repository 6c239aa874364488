"""A TOML file → its values, or one line that says where and why not."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from fps_lite.config.text import is_deep
from fps_lite.config.wording import printable
from fps_lite.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 1024 * 1024

_AT = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")
_DEEP = "tables or arrays nest too deep"


def read_source(path: Path, label: str) -> str:
    """Return a file's text without its byte order mark; raise a one-line `ConfigError`.

    A file that is not there raises FileNotFoundError.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except NotADirectoryError as error:
        raise FileNotFoundError(path) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{label}: {printable(reason).lower()}") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{label}: larger than 1 MiB")
    return _text(data, label)


def _text(data: bytes, label: str) -> str:
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line, column = _place_after(data[: error.start].decode())
        raise ConfigError(f"{label}:{line}:{column}: not UTF-8") from None


def parse(source: str, label: str) -> dict[str, Any]:
    """Return the values of a TOML text; raise a one-line `ConfigError`."""
    try:
        values = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_bad_toml(str(error), source, label)) from None
    except RecursionError:
        raise ConfigError(f"{label}: {_DEEP}") from None
    except ValueError as error:
        reason = str(error).partition(";")[0]
        raise ConfigError(f"{label}: invalid TOML: {printable(reason)}") from None
    if is_deep(values):
        raise ConfigError(f"{label}: {_DEEP}")
    return values


def _bad_toml(said: str, source: str, label: str) -> str:
    found = _AT.search(said)
    what = f"invalid TOML: {printable(_AT.sub('', said))}"
    if found is None:
        return f"{label}: {what}"
    line, column = found[1], found[2]
    if line is None:
        line, column = _place_after(source)
    return f"{label}:{line}:{column}: {what}"


def _place_after(text: str) -> tuple[int, int]:
    """Return the line and column of what follows `text`."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")
