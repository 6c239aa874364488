"""What a run was made on, as far as it matters: no names of machines or people, and no paths."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .environments import environments, worker_environ

if TYPE_CHECKING:
    from .environments import Pythons

LIMIT = 60.0  # seconds
VERSIONS = """\
import sys
from importlib.metadata import PackageNotFoundError, version
for name in sys.argv[1:]:
    try:
        print(name, version(name))
    except PackageNotFoundError:
        pass
"""


def describe() -> dict[str, Any]:
    """Return the machine."""
    release = re.match(r"[\d.]+", platform.release())
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
        "kernel": f"{platform.system()} {release[0] if release else ''}".strip(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def _cpu_model() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def versions(pythons: Pythons) -> dict[str, dict[str, str]]:
    """Return what is installed where: environment to distribution to version."""
    return {
        name: _installed(str(python), [re.split(r"[=<>\[]", one)[0] for one in made.install])
        for name, made in environments().items()
        if (python := pythons.of(name)) is not None
    }


def _installed(python: str, names: list[str]) -> dict[str, str]:
    done = subprocess.run(
        [python, "-c", VERSIONS, *names, "fps-lite"],
        env=worker_environ(),
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT,
    )
    return dict(line.split() for line in done.stdout.splitlines())


def sentence(machine: dict[str, Any]) -> str:
    """Return the machine in one line."""
    return (
        f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, "
        f"{machine['kernel']}, {machine['python']}; load {machine['load_before']} before the run"
    )
