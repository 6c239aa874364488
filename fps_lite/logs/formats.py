"""What a record looks like: on the console, as logfmt, as JSON; never with a secret in it."""

from __future__ import annotations

import json
import logging
import os
import time
from typing import TYPE_CHECKING, Any

from fps_lite.secret import hide, spellings

if TYPE_CHECKING:
    from fps_lite.settings import LoggingConfig

    from .about import About

COLOURS = {
    "debug": "\x1b[2m",
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[1;31m",
}
RESET = "\x1b[0m"
INDENT = "    "


def formatter_of(
    settings: LoggingConfig, *, terminal: bool, secrets: frozenset[str], about: About
) -> logging.Formatter:
    """Return what writes a record as one line, and more only on the console."""
    if settings.format == "json":
        return _Json(secrets, about)
    if settings.format == "logfmt" or (settings.format == "auto" and not terminal):
        return _Logfmt(secrets, about)
    return _Console(secrets, about, colour=terminal and _wants_colour())


def _wants_colour() -> bool:
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class _Formatter(logging.Formatter):
    """What the three formats share: texts whose secrets are masked before any escaping."""

    def __init__(self, secrets: frozenset[str], about: About) -> None:
        super().__init__()
        self.spelled = spellings(secrets)
        self.about = about

    def masked(self, text: str) -> str:
        return hide(text, self.spelled)

    def message(self, record: logging.LogRecord) -> str:
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - a wrong log call must not hide what it meant
            text = f"{record.msg} {record.args!r}"
        return self.masked(text)

    def traceback(self, record: logging.LogRecord) -> str:
        parts = []
        if record.exc_info and record.exc_info[0] is not None:
            # Not cached on the record: another handler's is not masked, nor is ours for it.
            parts.append(self.formatException(record.exc_info))
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return self.masked("\n".join(parts))

    def told(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return what is known of worker, plugin and request."""
        told = self.about.fields(record)
        if "request" in told:  # which a client may have written
            told["request"] = self.masked(told["request"])
        return told

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the record as flat fields, for a machine."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": self.masked(record.name),
            "pid": record.process,
            **self.told(record),
            "message": self.message(record),
        }
        for name, value in getattr(record, "fields", {}).items():
            fields[name] = self.masked(value) if isinstance(value, str) else value
        trace = self.traceback(record)
        return {**fields, "traceback": trace} if trace else fields


class _Console(_Formatter):
    """`12:00:01 info  [2] fps_lite.hello  message  request`, a traceback indented below."""

    def __init__(self, secrets: frozenset[str], about: About, *, colour: bool) -> None:
        super().__init__(secrets, about)
        self.colours = COLOURS if colour else {}

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = record.levelname.lower()
        shown = f"{level:<5}"
        if level in self.colours:
            shown = f"{self.colours[level]}{shown}{RESET}"
        told = self.told(record)
        name = _escaped(self.masked(record.name))
        if "worker" in told and not self.about.is_alone:
            name = f"[{told['worker']}] {name}"
        head = f"{moment} {shown} {name}  {_escaped(self.message(record))}"
        if "request" in told:
            dim, plain = (COLOURS["debug"], RESET) if self.colours else ("", "")
            head += f"  {dim}{told['request']}{plain}"
        trace = self.traceback(record)
        below = [INDENT + _escaped(line) for line in trace.split("\n")] if trace else []
        return "\n".join([head, *below])


class _Logfmt(_Formatter):
    """`time=… level=info logger=fps_lite.hello message="…"`."""

    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{name}={_quoted(value)}" for name, value in self.fields(record).items())


class _Json(_Formatter):
    """One JSON object."""

    encode = json.JSONEncoder(default=repr).encode

    def format(self, record: logging.LogRecord) -> str:
        return self.encode(self.fields(record))


def _escaped(text: str) -> str:
    """Return `text` without anything that ends a line or moves a terminal's cursor."""
    if text.isprintable():
        return text
    # `ascii` needs no codec: one that must be imported cannot be when files have run out.
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _quoted(value: object) -> str:
    text = str(value)
    if text and text.isprintable() and not set(text) & set(' ="\\'):
        return text
    inner = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_escaped(inner)}"'
