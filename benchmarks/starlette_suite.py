"""Run Starlette's own tests with the compiled router and the fast path in its place.

The tests are those of the source distribution of the installed version. They run with Starlette
as it is, with the router, and with both; what fails must be the same each time (a test may need
a package or a user that is not there). `python -m benchmarks.starlette_suite [pytest arguments]`
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from .environments import ROOT

TESTS = [
    "tests/test_routing.py",
    "tests/test_applications.py",
    "tests/test_endpoints.py",
    "tests/test_websockets.py",
    "tests/test_staticfiles.py",
    "tests/test_exceptions.py",
    "tests/middleware",
]
PLUGIN = """
import os

import starlette.applications
import starlette.routing

from fps_lite.routing import CompiledRouter, FastPath, fastpath, router

counts = {"the router": 0, "the fast path": 0}


def count(module, name, what):
    function = getattr(module, name)

    def counted(*args):
        answer = function(*args)
        counts[what] += answer is not None
        return answer

    setattr(module, name, counted)


class FastStarlette(starlette.applications.Starlette):
    async def __call__(self, scope, receive, send):
        if not hasattr(self, "fast"):
            self.fast = FastPath(self)
        await self.fast(scope, receive, send)


FastStarlette.__name__ = FastStarlette.__qualname__ = "Starlette"
count(router, "_dispatch", "the router")
count(fastpath, "_entered", "the fast path")
if "router" in os.environ["PUT_IN_PLACE"]:
    starlette.applications.Router = starlette.routing.Router = CompiledRouter
if "fast path" in os.environ["PUT_IN_PLACE"]:
    starlette.applications.Starlette = FastStarlette


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"requests answered by {counts}")
"""


def main() -> int:
    """Run the tests three times; return 1 if more fails than with Starlette as it is."""
    with tempfile.TemporaryDirectory() as temporary:
        tests = download(Path(temporary))
        (tests / "put_in_place.py").write_text(PLUGIN, encoding="utf-8")
        expected = failures(tests, "Starlette as it is", "")
        found = failures(tests, "with the router", "router")
        found |= failures(tests, "with the router and the fast path", "router, fast path")
    for name in sorted(found - expected):
        print(f"fails here alone: {name}")
    return 1 if found - expected else 0


def download(directory: Path) -> Path:
    """Return the directory of the tests of the installed Starlette."""
    name = f"starlette=={version('starlette')}"
    options = ["--no-binary", ":all:", "--no-deps", "--no-build-isolation", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(directory), name]
    subprocess.run(command, check=True)
    (archive,) = directory.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(directory, filter="data")
    (unpacked,) = (one for one in directory.iterdir() if one.is_dir())
    # The installed package is what is tested, not the one beside the tests.
    (unpacked / "starlette").rename(unpacked / "not_starlette")
    return unpacked


def failures(tests: Path, title: str, put_in_place: str) -> set[str]:
    """Run the tests; return the names of those that fail."""
    command = [sys.executable, "-m", "pytest", "-p", "put_in_place", "-p", "no:fps_lite"]
    command += ["-q", "--tb=no", "-rfE", *_skipped(), *sys.argv[1:], *TESTS]
    path = f"{tests}{os.pathsep}{ROOT}"
    environ = {**os.environ, "PYTHONPATH": path, "PUT_IN_PLACE": put_in_place}
    done = subprocess.run(
        command, cwd=tests, env=environ, check=False, capture_output=True, text=True
    )
    print(f"{title}: {done.stdout.strip().splitlines()[-1]}")
    print("  " + "".join(re.findall(r"^requests answered .*$", done.stdout, re.MULTILINE)))
    failed = set(re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE))
    for name in sorted(failed):
        print(f"  fails: {name}")
    return failed if done.returncode in (0, 1) else failed | {f"pytest: {done.stdout[-500:]}"}


def _skipped() -> list[str]:
    """Return what leaves out the tests for packages that are not installed."""
    skipped = [] if find_spec("trio") else ["-k", "not trio"]
    if not find_spec("opentelemetry") or not find_spec("opentelemetry.sdk"):
        skipped.append("--ignore=tests/middleware/test_opentelemetry.py")
    return skipped


if __name__ == "__main__":
    sys.exit(main())
