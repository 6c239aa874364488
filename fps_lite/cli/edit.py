"""Edit a TOML file by hand, so to say: comments and layout stay."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from fps_lite.errors import ConfigError, StartupError, refuse
from fps_lite.settings import FPSConfig, PluginConfig

from .session import switch

if TYPE_CHECKING:
    from fps_lite.config import Config

BOM = "\ufeff"


def switch_in_file(file: Path, name: str, config: Config, *, on: bool) -> None:
    """Enable or disable a plugin in `file`; on any fault the file stays as it was."""
    refuse([*config.errors, *_faults(config, name)])
    text = _read(file)
    document = _parsed(text, file)
    for table, values in switch(config, name, on=on).items():
        for key, value in values.items():
            if _differs(config, table, key, value):
                _set(_section(document, table, file), key, value)
    edited = text[: text.startswith(BOM)] + _with_ends_of(text, tomlkit.dumps(document))
    if edited != text:
        _replace(file, edited)


def _with_ends_of(text: str, edited: str) -> str:
    """Return `edited` with the line ends of `text`: tomlkit writes new lines with its own."""
    if "\r\n" not in text:
        return edited
    return edited.replace("\r\n", "\n").replace("\n", "\r\n")


def _faults(config: Config, name: str) -> list[ConfigError]:
    """Return what is wrong with the tables that are edited: it may be what they hide."""
    lists = config.decode("fps", FPSConfig)
    return [*lists.errors, *config.decode(name, PluginConfig, only_known=True).errors]


def _differs(config: Config, table: str, key: str, value: Any) -> bool:
    """Tell whether setting a key says anything: an untouched file is the better one."""
    default: Any = True if key == "enabled" else []
    return bool(config.table(table).get(key, default) != value)


def _read(file: Path) -> str:
    """Return the file's text with its own line ends, an empty one if there is no file."""
    try:
        return file.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise _uneditable(file, error) from None


def _parsed(text: str, file: Path) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text.removeprefix(BOM))
    except TOMLKitError as error:
        raise _uneditable(file, error) from None


def _uneditable(file: Path, error: Exception) -> ConfigError:
    return ConfigError(f"{file}: cannot be edited: {error}")


def _section(document: tomlkit.TOMLDocument, table: str, file: Path) -> MutableMapping[str, Any]:
    """Return a table as the file spells it, a new one if it has none."""
    name = next((key for key in document if key.replace("-", "_") == table), table)
    if name not in document:
        document[name] = tomlkit.table()
    section: Any = document[name]
    if not isinstance(section, MutableMapping):
        message = f"{file}: {name}: expected table"
        raise ConfigError(message)
    return section


def _set(section: MutableMapping[str, Any], key: str, value: Any) -> None:
    if isinstance(value, list) and isinstance(section.get(key), list):
        _edit_list(section[key], value)
    else:
        section[key] = value


def _edit_list(written: list[str], wanted: list[str]) -> None:
    """Change only what differs, so that comments between items stay."""
    for item in [one for one in written if one not in wanted]:
        written.remove(item)
    for item in wanted:
        if item not in written:
            written.append(item)


def _replace(file: Path, text: str) -> None:
    """Put the whole new text in place at once, with the old file's permissions."""
    target = file.resolve()  # of a symlink
    try:
        _check_writable(target)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fps-lite-") as beside:
            new = Path(beside, target.name)
            new.write_bytes(text.encode())
            _take_on(new, target)
            new.replace(target)
    except OSError as error:
        message = f"{file}: cannot be written: {(error.strerror or str(error)).lower()}"
        raise StartupError(message) from None


def _check_writable(file: Path) -> None:
    # A new file could take its place all the same, and the protection would mean nothing.
    if file.exists() and not file.stat().st_mode & stat.S_IWUSR:
        raise PermissionError(errno.EACCES, "it is read-only")


def _take_on(new: Path, file: Path) -> None:
    """Give `new` the permissions and the owner of `file`, whose place it takes."""
    if not file.exists():
        new.chmod(0o644)
        return
    before = file.stat()
    new.chmod(before.st_mode & 0o777)
    if (before.st_uid, before.st_gid) != (new.stat().st_uid, new.stat().st_gid):
        os.chown(new, before.st_uid, before.st_gid)
