"""What tests share: real plugins in a site directory, and the real command as a process."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

READY = re.compile(r"serving on (\S+?)[, ]")
START_LIMIT = 30.0
STOP_LIMIT = 20.0


@dataclass(frozen=True)
class Site:
    """A directory on `sys.path` in which plugins are installed as pip would install them."""

    path: Path

    def module(self, name: str, source: str) -> Path:
        """Write a module or, with dots, a submodule; return its file."""
        file = self.path.joinpath(*name.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        for package in file.relative_to(self.path).parents:
            if package != Path() and not (self.path / package / "__init__.py").exists():
                (self.path / package / "__init__.py").touch()
        file.write_text(dedent(source))
        return file

    def install(
        self,
        distribution: str,
        entry_points: Mapping[str, Mapping[str, str]],
        modules: Mapping[str, str] | None = None,
        *,
        version: str = "1.0",
    ) -> None:
        """Install a distribution: group to name to object, and module name to source."""
        info = self.path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        head = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (info / "METADATA").write_text(head)
        lines = []
        for group, names in entry_points.items():
            lines += [f"[{group}]", *(f"{name} = {value}" for name, value in names.items()), ""]
        (info / "entry_points.txt").write_text("\n".join(lines))
        for name, source in (modules or {}).items():
            self.module(name, source)

    def plugin(self, name: str, source: str, *, version: str = "1.0") -> None:
        """Install one plugin `name`, all of its hooks in one module `name_plugin`."""
        entry_points = {"fps_lite.plugins": {name: f"{name}_plugin"}}
        self.install(name, entry_points, {f"{name}_plugin": source}, version=version)


@pytest.fixture(autouse=True)
def clean_environment(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keep this machine's own configuration out of every test."""
    nowhere = tmp_path_factory.mktemp("xdg")
    for name in list(os.environ):
        if name.startswith(("FPS_", "_FPS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(nowhere / "home"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(nowhere / "system"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def site(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """A site directory, on `sys.path` here and in the processes that the test starts."""
    path = tmp_path_factory.mktemp("site")
    monkeypatch.syspath_prepend(str(path))
    inherited = os.environ.get("PYTHONPATH")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(path), *([inherited] if inherited else [])])
    )
    before = set(sys.modules)
    yield Site(path)
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(path)):
            del sys.modules[name]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    path = tmp_path / "work"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def cli(work: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in `work` to its end."""

    def run(*argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
        given = {"capture_output": True, "text": True, "timeout": 60, "cwd": work, **options}
        return subprocess.run([sys.executable, "-m", "fps_lite", *argv], check=False, **given)

    return run


@dataclass
class Server:
    """A running `fps-lite serve`."""

    process: subprocess.Popen[str]
    url: str
    ready: str
    lines: list[str] = field(default_factory=list)
    """What it wrote so far, stdout and stderr together."""

    def stop(self, number: int = 15) -> int:
        """Send a signal (SIGTERM) and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_LIMIT)


@pytest.fixture
def serve(work: Path) -> Iterator[Callable[..., Server]]:
    """Start the command in `work` on a free port; it is ready when the call returns.

    In one process, as most of what it does is the same with workers.
    """
    started: list[subprocess.Popen[str]] = []

    def start(*argv: str, port: int | None = 0, workers: int | None = 0, **options: Any) -> Server:
        given = {"--port": port, "--workers": workers}
        named = [f"{flag}={value}" for flag, value in given.items() if value is not None]
        command = options.pop("command", [sys.executable, "-m", "fps_lite"])
        process = subprocess.Popen(
            [*command, "serve", *named, *argv],
            **{"cwd": work, "text": True, "stderr": subprocess.STDOUT, **options},
            stdout=subprocess.PIPE,
        )
        started.append(process)
        return _when_ready(process)

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(STOP_LIMIT)
        if process.stdout is not None:
            process.stdout.close()


def _when_ready(process: subprocess.Popen[str]) -> Server:
    written: queue.Queue[str | None] = queue.Queue()
    server = Server(process, "", "")

    def read() -> None:
        for line in process.stdout or ():
            server.lines.append(line.rstrip("\n"))
            written.put(line)
        written.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        line = written.get(timeout=START_LIMIT)
        if line is None:
            code = process.wait(STOP_LIMIT)
            pytest.fail(f"serve ended with {code}: " + "\n".join(server.lines))
        if match := READY.match(line):
            server.ready, server.url = line.rstrip("\n"), match[1]
            return server
