"""docs/architecture.md is read by a machine, too."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fps_lite

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "fps_lite"
FILES = sorted(PACKAGE.rglob("*.py"))
BANNED = {"utils", "util", "helpers", "common", "base", "types", "core", "misc"}
HEAVY = {"click", "hypercorn", "msgspec", "pluggy", "rich_click", "starlette", "tomlkit"}


def module_of(path: Path) -> str:
    """`fps_lite/config/layers.py` is "config.layers"; the package itself is ""."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def documented() -> list[str]:
    """Return the modules in the order of the page, the files of a package before the package."""
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    modules, packages = (
        re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.MULTILINE)
        for table in page.split("| package |")
    )
    inner = {
        name: [f"{name}.{file}" for file in re.findall(r"`(\w+)`", row)] for name, row in packages
    }
    return [one for name, _ in modules for one in (*inner.get(name, ()), name)]


def public_names() -> dict[str, str]:
    """Return where each public name lives, from the imports that only type checkers run."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    return {
        alias.name: f"fps_lite.{node.module}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }


ORDER = documented()
HOMES = {f"fps_lite.{name}": home for name, home in public_names().items()}
CHECKED = [path for path in FILES if module_of(path) not in {"", "__main__"}]


def imports(path: Path) -> Iterator[str]:
    """Yield each module that the file imports from, wherever in it, for its types too."""
    package = ["fps_lite", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            outer = package[: len(package) + 1 - node.level] if node.level else []
            origin = ".".join([*outer, *([node.module] if node.module else [])])
            for alias in node.names:
                name = f"{origin}.{alias.name}"
                is_module = name.removeprefix("fps_lite.") in ORDER
                yield HOMES.get(name, name if is_module or origin == "fps_lite" else origin)


def calls(path: Path, *names: str) -> list[str]:
    """Return where the file calls or raises one of `names`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    nodes += [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc]
    return [f"{path}:{node.lineno}" for node in nodes if ast.unparse(node) in names]


def ids(paths: list[Path]) -> list[str]:
    return [module_of(path) or "fps_lite" for path in paths]


def test_every_module_is_on_the_page_and_the_page_names_no_other() -> None:
    assert sorted(map(module_of, CHECKED)) == sorted(ORDER)


@pytest.mark.parametrize("path", CHECKED, ids=ids(CHECKED))
def test_module_imports_only_from_those_above_it(path: Path) -> None:
    own = {name for name in imports(path) if name.split(".")[0] == "fps_lite"}
    above = {f"fps_lite.{name}" for name in ORDER[: ORDER.index(module_of(path))]}
    assert own <= above | {"fps_lite.__version__"}


@pytest.mark.parametrize("path", FILES, ids=ids(FILES))
def test_module_is_read_in_one_sitting(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    lines = len(source.splitlines())
    assert lines <= 250
    functions = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    long = [one.name for one in functions if (one.end_lineno or 0) - one.lineno >= 40]
    assert not long
    assert BANNED.isdisjoint(module_of(path).split("."))


@pytest.mark.parametrize("path", FILES, ids=ids(FILES))
def test_only_the_command_prints_and_ends_the_process(path: Path) -> None:
    part = module_of(path).split(".")[0]
    if part not in {"cli", "__main__"}:
        assert not calls(path, "print", "sys.exit", "exit", "SystemExit")
    if part not in {"cli", "server", "supervisor"}:
        assert not calls(path, "os._exit")


def test_public_names_are_sorted_and_each_is_found_at_home() -> None:
    homes = public_names()
    assert list(fps_lite.__all__) == sorted(homes)
    for name, home in homes.items():
        assert getattr(fps_lite, name) is getattr(import_module(home), name)
    assert set(fps_lite.__all__) <= set(dir(fps_lite))
    with pytest.raises(AttributeError, match="no_such_name"):
        fps_lite.no_such_name  # noqa: B018


def test_import_brings_nothing_along() -> None:
    code = "import fps_lite, sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert HEAVY.isdisjoint(done.stdout.split())
    assert "fps_lite" in done.stdout.split()
