"""Times the whole configuration beside `tomllib` on the same file."""

from __future__ import annotations

import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

from fps_lite import PluginConfig
from fps_lite.config import read
from fps_lite.settings import FPSConfig

from .lines import answer_lines


class Settings(PluginConfig):
    """What each plugin can be told: nine keys below the core's own."""

    title: str
    base_url: str
    retries: int
    timeout: float
    verbose: bool
    tags: list[str]
    limits: dict[str, int]
    root: str = "."
    cache: bool = True


TABLE = """\
[{name}]
title = "The plugin of the name {name}"
base_url = "https://{name}.example.org/api/v1"
retries = {number}
timeout = 2.5
verbose = true
tags = ["alpha", "beta", "gamma"]

[{name}.limits]
size = 1048576
count = {number}

"""


def text(count: int) -> str:
    """Return a file of that many plugins."""
    return "".join(TABLE.format(name=f"plugin{one:05d}", number=one) for one in range(count))


def configured(directory: Path, names: list[str]) -> int:
    """Read every layer and decode every table, as composing does; return the number of errors."""
    config = read(directory=directory, names=names, environ={})
    decoded: list[Any] = [config.decode("fps", FPSConfig)]
    for name in names:
        decoded.append(config.decode(name, PluginConfig, only_known=True))
        decoded.append(config.decode(name, Settings))
    return sum(map(len, [config.errors, *(one.errors for one in decoded)]))


def run(tables: int) -> dict[str, Any]:
    """Time both once."""
    names = [f"plugin{one:05d}" for one in range(tables)]
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "fps.toml")
        file.write_text(text(tables), encoding="utf-8")
        started = time.process_time_ns()
        with file.open("rb") as toml:
            tomllib.load(toml)
        parsed = time.process_time_ns()
        errors = configured(Path(directory), names)
        ended = time.process_time_ns()
        size = file.stat().st_size
    if errors:
        return {"failed": f"{errors} errors in a file without any"}
    return {"bytes": size, "toml_ns": parsed - started, "all_ns": ended - parsed}


if __name__ == "__main__":
    answer_lines({"run": run})
