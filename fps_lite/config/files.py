"""A TOML file → its values, or one line that says where and why not."""

from __future__ import annotations

from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any

from fps_lite.config.positions import key_before
from fps_lite.config.toml import TomlError, place_after, read_toml
from fps_lite.config.wording import dotted, printable
from fps_lite.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 1024 * 1024


def read_bytes(path: Path, *, pipes: bool) -> bytes:
    """Return a file's first MiB and one byte; OSError if it cannot be read.

    What is no file is not opened, unless `pipes`: a pipe that only happens to lie there would
    wait for a writer that may never come.
    """
    mode = path.stat().st_mode
    if not pipes and not S_ISREG(mode) and not S_ISDIR(mode):
        message = "not a regular file"
        raise OSError(None, message)
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def reason_of(error: Exception) -> str:
    """Return why a file cannot be read."""
    return printable(getattr(error, "strerror", None) or str(error)).lower()


def read_source(path: Path, label: str, *, pipes: bool) -> str:
    """Return a file's text without its byte order mark; raise a one-line `ConfigError`.

    A file that is not there raises FileNotFoundError.
    """
    try:
        data = read_bytes(path, pipes=pipes)
    except FileNotFoundError:
        raise
    except NotADirectoryError as error:
        raise FileNotFoundError(path) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{label}: {reason_of(error)}") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{label}: larger than 1 MiB")
    return _text(data, label)


def _text(data: bytes, label: str) -> str:
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line, column = place_after(data[: error.start].decode())
        raise ConfigError(f"{label}:{line}:{column}: not UTF-8") from None


def parse(source: str, label: str) -> dict[str, Any]:
    """Return the values of a TOML text; raise a one-line `ConfigError`."""
    try:
        return read_toml(source)
    except TomlError as error:
        raise ConfigError(_bad_toml(error, source, label)) from None


def _bad_toml(error: TomlError, source: str, label: str) -> str:
    if error.place is None:
        return f"{label}: {error.what}"
    what, place = error.what, error.place
    # tomllib finds what is there already only after reading it, and does not name the key.
    twice = key_before(source, place) if what.startswith("invalid TOML: Cannot ") else None
    if twice:
        what, place = f"{dotted(twice[0])}: the key or a table around it is already set", twice[1]
    return f"{label}:{place.line}:{place.column}: {what}"
