"""Each peer's virtual environment: made from `peers.toml` once, and found again."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
ROOT = HERE.parent
PEERS = HERE / "peers.toml"
VENVS = HERE / ".venvs"
INSTALL_LIMIT = 900.0  # seconds


@dataclass(frozen=True)
class Environment:
    """A virtual environment as `peers.toml` describes it."""

    name: str
    install: tuple[str, ...]
    quick: bool = False
    project: bool = False

    @property
    def directory(self) -> Path:
        """Where it is, whether it is there or not."""
        return VENVS / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.directory / "bin" / "python"

    @property
    def key(self) -> str:
        """What it is made from, as one short text: it is made again when that changes."""
        made_from = [sys.version, *self.install]
        if self.project:
            made_from.append((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]

    @property
    def is_ready(self) -> bool:
        """Whether it is there, and what `peers.toml` says now."""
        stamp = self.directory / "ready"
        return stamp.exists() and stamp.read_text(encoding="utf-8") == self.key

    def make(self) -> None:
        """Install it; raises `subprocess.CalledProcessError` with what pip said."""
        venv.create(self.directory, clear=True, with_pip=True)
        pip = [str(self.python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        project = ["--editable", str(ROOT)] if self.project else []
        subprocess.run(
            [*pip, *self.install, *project],
            check=True,
            capture_output=True,
            text=True,
            timeout=INSTALL_LIMIT,
        )
        (self.directory / "ready").write_text(self.key, encoding="utf-8")


def environments() -> dict[str, Environment]:
    """Return what `peers.toml` describes, by name."""
    tables = tomllib.loads(PEERS.read_text(encoding="utf-8"))
    return {
        name: Environment(name, **{**table, "install": tuple(table["install"])})
        for name, table in tables.items()
    }


@dataclass(frozen=True)
class Pythons:
    """The interpreters of a run: one for each environment that is there."""

    found: dict[str, Path]

    def of(self, environment: str) -> Path | None:
        """Return the interpreter of an environment, None if the run goes without it."""
        return self.found.get(environment)


def here() -> Pythons:
    """Return this interpreter for what the tests' environment has: nothing is installed."""
    return Pythons(dict.fromkeys(("starlette", "fps-lite", "servers"), Path(sys.executable)))


def installed(*, quick: bool, say: Callable[[str], None]) -> Pythons:
    """Return the environments of a run; those that are not there are made.

    A quick run makes only what `peers.toml` marks as quick, and takes what else is there.
    """
    found: dict[str, Path] = {}
    for name, environment in environments().items():
        if not environment.is_ready and quick and not environment.quick:
            say(f"skipped: {name} is not installed (a full run installs it)")
        elif environment.is_ready or _made(environment, say):
            found[name] = environment.python
    return Pythons(found)


def _made(environment: Environment, say: Callable[[str], None]) -> bool:
    say(f"installing {environment.name}: {' '.join(environment.install)}")
    try:
        environment.make()
    except (subprocess.SubprocessError, OSError) as error:
        why = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        say(f"skipped: {environment.name} cannot be installed: {why[-1] if why else error}")
        return False
    return True


def worker_environ() -> dict[str, str]:
    """Return the environment variables of a process that is measured: as few as possible."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "XDG_CONFIG_HOME": str(VENVS / "none"),  # a user's own configuration takes no part
    }
