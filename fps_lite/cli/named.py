"""Options that have a name of their own, as keys of the configuration."""

from __future__ import annotations

import json
from typing import Any

KEYS = {
    "host": "fps.host",
    "port": "fps.port",
    "bind": "fps.bind",
    "workers": "fps.workers",
    "reload": "fps.reload",
    "root_path": "fps.root_path",
    "open_browser": "fps.open_browser",
    "log_level": "fps.logging.level",
    "log_format": "fps.logging.format",
}


def named(given: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the options that were given: flag to key and text."""
    named = {}
    for option, value in given.items():
        if value is None or value == ():
            continue
        flag = "--" + option.replace("_", "-")
        if option == "open_browser" and not value:
            flag = "--no-open-browser"
        named[flag] = (KEYS[option], _text(value))
    return named


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return json.dumps(value)  # a JSON list of strings is a TOML array
    return str(value).lower() if isinstance(value, bool) else value
