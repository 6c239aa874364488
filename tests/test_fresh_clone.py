"""What a newcomer does: clone, `make serve`, change the greeting, Ctrl-C, `make test`."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
INSTALLED = 900.0  # seconds, for what comes from a package index
SOON = 30.0
KEPT = re.compile(r"HOME|PIP_.*|.*_PROXY|SSL_CERT_.*", re.IGNORECASE)
"""What says how pip reaches its index; nothing else of this environment is there."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def git(*argv: str) -> str:
    done = subprocess.run(
        ["git", *argv], cwd=ROOT, capture_output=True, text=True, check=True, timeout=SOON
    )
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clone the repository, and copy what is not committed yet."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone: there is nothing to clone")
    directory = tmp_path_factory.mktemp("fresh") / "fps-lite"
    git("clone", "--quiet", "--no-hardlinks", str(ROOT), str(directory))
    for name in git("ls-files", "--deleted").splitlines():
        (directory / name).unlink(missing_ok=True)
    for name in git("ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (ROOT / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, directory / name)
    return directory


def environ() -> dict[str, str]:
    """Return an environment with a Python in it, and no virtual environment."""
    # Where the interpreter is that the virtual environment of this run was made with.
    python = Path(os.path.realpath(sys.executable)).parent
    given = map(Path, os.environ["PATH"].split(os.pathsep))
    outside = [one for one in given if not (one.parent / "pyvenv.cfg").exists()]
    path = os.pathsep.join(map(str, [python, *outside]))
    kept = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
    return {**kept, "PATH": path}


@contextmanager
def served(clone: Path, args: str = "", **given: str) -> Iterator[str]:
    """Run `make serve`, give its URL, and end the server by Ctrl-C's signal."""
    log = clone.parent / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "serve", f"ARGS=--port 0 {args}"],
            cwd=clone,
            env={**environ(), **given},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield ready(process, log)
        os.kill(child_of(process.pid), signal.SIGINT)
        assert process.wait(SOON) == 0, log.read_text(encoding="utf-8")
    finally:
        if process.poll() is None:
            os.kill(child_of(process.pid), signal.SIGKILL)
            process.wait(SOON)


def ready(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + INSTALLED
    while True:
        written = log.read_text(encoding="utf-8")
        if found := re.search(r"^serving on (\S+) \(", written, re.MULTILINE):
            return found[1]
        assert process.poll() is None, written
        assert time.monotonic() < deadline, written
        time.sleep(0.1)


def child_of(pid: int) -> int:
    """Return the process that `make` waits for: it runs a plain command without a shell."""
    listed = ["ps", "-A", "-o", "pid=,ppid="]
    found = subprocess.run(listed, capture_output=True, text=True, check=True, timeout=SOON)
    pairs = [line.split() for line in found.stdout.splitlines()]
    return next(int(child) for child, parent in pairs if parent == str(pid))


def hello(url: str) -> str:
    return httpx2.get(f"{url}/hello", timeout=SOON).text


def test_make_serve_answers_from_nothing_and_every_layer_changes_the_greeting(clone: Path) -> None:
    with served(clone) as url:
        assert hello(url) == "hello world 0"
    (clone / "fps.toml").write_text('[hello]\ngreeting = "file"\n', encoding="utf-8")
    with served(clone) as url:
        assert hello(url) == "file world 0"
    variable = {"FPS_LITE__HELLO__GREETING": "variable"}
    with served(clone, **variable) as url:
        assert hello(url) == "variable world 0"
    with served(clone, "--hello.greeting=option", **variable) as url:
        assert hello(url) == "option world 0"


def test_make_test_sets_itself_up_and_passes(clone: Path) -> None:
    done = subprocess.run(
        ["make", "test", "PYTEST_ARGS=tests/test_errors.py"],
        cwd=clone,
        env=environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=INSTALLED,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^=+ .*\d+ passed", done.stdout, re.MULTILINE), done.stdout
