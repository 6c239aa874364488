"""Every block of every document is written, run and compared, in order, as one session.

A fence's second word is a file name: the block is written to the session's directory. In a
`console` block `$ ` begins a command, and what follows is its output: `…` in a line is any
text, a line `…` is any lines. Servers run until the next one starts or the document ends.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import random
import re
import shlex
import socket
import subprocess
import sys
import time
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import rich_click as click
from packaging.requirements import Requirement

import fps_lite.settings
from fps_lite import hookspecs
from fps_lite.cli.argv import SHARED
from fps_lite.cli.command import OWN
from fps_lite.hooks import ALL_HOOKS, HookType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from msgspec import Struct

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "docs/*.md", "contrib/*/README.md")
FILES = sorted(file for pattern in DOCUMENTS for file in ROOT.glob(pattern))
IDS = [str(file.relative_to(ROOT)) for file in FILES]
MARKED = [  # the guides are long: the pages that a newcomer meets first run in every test run
    pytest.param(file, id=name, marks=[pytest.mark.slow] if name.startswith("docs/") else [])
    for file, name in zip(FILES, IDS, strict=True)
]

READ: dict[str, Callable[[str], object]] = {
    "python": lambda text: compile(text, "block", "exec", dont_inherit=True),
    "toml": tomllib.loads,
    "json": json.loads,
}
"""What a block must be at least, by its language."""
PORT = "8000"
"""The port in the documents; a free one is used instead of it."""
SERVERS = ("fps-lite serve", "uvicorn ", "hypercorn ", "granian ")
SOON = 60.0
NONE = "\N{EN DASH}"  # what a table shows where there is nothing
MENTION = re.compile(r"`([^`]+)`")


# What a document holds -----------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    language: str
    name: str
    text: str
    line: int


@dataclass(frozen=True)
class Step:
    """One command and the lines that it is to print."""

    command: str
    expected: tuple[str, ...]


def read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def blocks(file: Path) -> Iterator[Block]:
    inside: list[str] | None = None
    language = name = ""
    for number, line in enumerate(read(file).splitlines(), start=1):
        if not line.startswith("```"):
            if inside is not None:
                inside.append(line)
        elif inside is None:
            language, _, name = line[3:].strip().partition(" ")
            inside = []
        else:
            yield Block(language, name, "\n".join(inside) + "\n", number - len(inside))
            inside = None
    assert inside is None, f"{file}: a block has no end"


def steps(block: Block) -> list[Step]:
    found: list[Step] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(Step(line[2:], ()))
        else:
            assert found, f"line {block.line}: a console block begins with a command"
            found[-1] = Step(found[-1].command, (*found[-1].expected, line))
    return found


def pattern(expected: tuple[str, ...]) -> str:
    """Return a regular expression for lines of output."""
    any_text, any_lines = r"[^\n]*", r"(?:[^\n]*\n)*?"
    lines = [
        any_lines if line == "…" else re.escape(line.rstrip()).replace("…", any_text) + r"\n"
        for line in expected
    ]
    return "".join(lines)


# The session ---------------------------------------------------------------------------------


@dataclass
class Session:
    """A working directory, and at most one server that runs in it."""

    directory: Path
    port: int
    servers: list[Running] = field(default_factory=list)

    def environ(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        return {
            **kept,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",  # a file may be written twice in one second
            "CURL_HOME": str(self.directory.parent),
        }

    def do(self, block: Block) -> None:
        if block.name:
            file = self.directory / block.name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        if block.language in READ:
            READ[block.language](block.text)
        elif block.language == "console":
            for step in steps(block):
                self.take(step)

    def take(self, step: Step) -> None:
        if step.command.startswith("pip install "):
            installable(step.command, self.directory)
            return
        command = step.command
        if command.startswith("make "):
            command = made(command)
            if not command.startswith("fps-lite serve"):
                return
        command = re.sub(rf"\b{PORT}\b", str(self.port), command)
        is_up = not step.expected or any(line.startswith("serving on ") for line in step.expected)
        if any(server in f"{command} " for server in SERVERS) and is_up:
            self.serve(command, step.expected)
        else:
            self.run(command, step.expected)

    def run(self, command: str, expected: tuple[str, ...]) -> None:
        asks = command.startswith(("fps-lite reload", "fps-lite status", "fps-lite stop"))
        which = {"FPS_LITE__FPS__PORT": str(self.port)} if asks else {}
        done = subprocess.run(
            command,
            shell=True,
            cwd=self.directory,
            env={**self.environ(), **which},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SOON,
            check=False,
        )
        printed = self.shown(done.stdout.decode())
        said = f"$ {command} (exit code {done.returncode})\n{printed}"
        if not re.fullmatch(pattern(expected), printed) or (done.returncode and not expected):
            pytest.fail(said, pytrace=False)

    def serve(self, command: str, expected: tuple[str, ...]) -> None:
        self.stop()
        words = shlex.split(command)
        given = [word for word in words if re.match(r"\w+=", word)]
        words = words[len(given) :]
        environ = {**self.environ(), **dict(word.split("=", 1) for word in given)}
        # An option for fps-lite alone: another server says where it listens itself.
        if words[0] == "fps-lite":
            environ["FPS_LITE__FPS__PORT"] = str(self.port)
        log = self.directory.parent / f"server{len(list(self.directory.parent.iterdir()))}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                words,
                cwd=self.directory,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.servers.append(Running(process, log, command))
        self.wait(expected, time.monotonic() + SOON)

    def wait(self, expected: tuple[str, ...], deadline: float) -> None:
        """Wait until the server has printed what is expected, and answers."""
        server = self.servers[-1]
        while True:
            ended = server.process.poll() is not None
            printed = self.shown(read(server.log))
            matches = re.match(pattern(expected), printed)
            if matches and self.answers() and not ended:
                return
            is_up = re.search(r"^serving on .*\)$", printed, re.MULTILINE)
            if ended or (is_up and not matches) or time.monotonic() > deadline:
                self.servers = [] if ended else self.servers
                pytest.fail(f"$ {server.command}\n{printed}", pytrace=False)
            time.sleep(0.05)

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        while self.servers:
            self.servers.pop().stop()

    def shown(self, printed: str) -> str:
        """Return output as the document shows it: its port, and a line's end at the end."""
        printed = re.sub(rf"\b{self.port}\b", PORT, printed)
        lines = [line.rstrip() for line in printed.splitlines()]
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[bytes]
    log: Path
    command: str

    def stop(self) -> None:
        self.process.terminate()
        try:
            code = self.process.wait(SOON)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if "fps-lite serve" in self.command:
            assert code == 0, f"$ {self.command} (exit code {code})\n{read(self.log)}"


@contextmanager
def session(where: Path) -> Iterator[Session]:
    """Begin a session in an empty directory below `where`, whose name shows in no output."""
    directory = where / "work"
    directory.mkdir(parents=True)
    # On a terminal curl shows no progress, as what it fetches is shown there.
    (where / ".curlrc").write_text("silent\nshow-error\n")
    opened = Session(directory, free_port())
    try:
        yield opened
    finally:
        opened.stop()


def free_port() -> int:
    """Return a port that is free, below those that the system hands out for port 0."""
    for port in random.sample(range(20_000, 30_000), 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    pytest.fail("no port is free")


def made(command: str) -> str:
    """Return the last line that `make` would run, without the environment's directory."""
    make = [*shlex.split(command), "--dry-run"]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True, timeout=SOON)
    return done.stdout.rstrip().splitlines()[-1].removeprefix(".venv/bin/")


def installable(command: str, directory: Path) -> None:
    """Check that what pip is told to install is there: a project here, or what is installed."""
    words = [word for word in shlex.split(command)[2:] if not word.startswith("-")]
    for word in words:
        if word.startswith("."):
            assert (directory / word / "pyproject.toml").exists(), command
            continue
        wanted = Requirement(word)
        provided = distribution(wanted.name).metadata.get_all("Provides-Extra") or []
        assert wanted.extras <= set(provided), command


@pytest.mark.timeout(300)
@pytest.mark.parametrize("file", MARKED)
def test_every_block_of_a_document_runs_and_prints_what_is_shown(
    file: Path, tmp_path: Path
) -> None:
    with session(tmp_path / "session") as opened:
        for block in blocks(file):
            assert block.language in {"console", *READ, ""}, f"{file}:{block.line}"
            try:
                opened.do(block)
            except (AssertionError, SyntaxError, ValueError, pytest.fail.Exception) as error:
                pytest.fail(f"{file.relative_to(ROOT)}:{block.line}: {error}", pytrace=False)


def test_a_line_that_is_not_printed_is_noticed(tmp_path: Path) -> None:
    def fails(text: str) -> bool:
        with session(tmp_path / str(len(list(tmp_path.iterdir())))) as opened:
            try:
                opened.do(Block("console", "", text, 1))
            except (AssertionError, pytest.fail.Exception):
                return True
            return False

    assert not fails("$ printf 'one\\ntwo\\nthree'\none\n…\nthr…\n")
    assert fails("$ printf 'one\\ntwo\\n'\none\n")
    assert fails("$ printf 'one\\n'\none\ntwo\n")
    assert fails("$ printf 'one\\n'\n")
    assert fails("$ false\n")
    assert fails("$ fps-lite serve --fps.prt=1\nserving on …\n")
    assert fails("$ pip install fps-lite[nothing]\n")


# What the documents must hold ----------------------------------------------------------------


def rows(document: str) -> list[list[str]]:
    """Return the cells of each row of each table."""
    lines = [line for line in read(ROOT / document).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def mentioned(cell: str) -> list[str]:
    return MENTION.findall(cell)


def test_every_hook_is_in_the_guide_with_the_arguments_offered() -> None:
    offered = {row[0]: mentioned(row[1]) for row in rows("docs/plugins.md") if len(row) == 3}
    for name in ALL_HOOKS:
        arguments = list(inspect.signature(getattr(hookspecs, name)).parameters)
        assert offered.get(f"`{name}`") == arguments, name


def test_every_group_is_in_the_guide_with_what_it_collects() -> None:
    found = {row[0]: set(mentioned(row[1])) for row in rows("docs/plugins.md") if len(row) == 2}
    for kind in HookType:
        if kind is not HookType.PLUGIN:  # said in words: every hook but one
            assert found[f"`{kind}`"] == kind.collects


def as_toml(value: object) -> str:
    return json.dumps(value) if not isinstance(value, float) else f"{value:g}"


@pytest.mark.parametrize("name", ["FPSConfig", "LoggingConfig", "MountConfig", "PluginConfig"])
def test_every_key_is_in_the_page_of_configuration_with_its_default(name: str) -> None:
    documented = [(row[0], row[1]) for row in rows("docs/configuration.md") if len(row) == 3]
    table = getattr(fps_lite.settings, name)
    for key in table.__struct_fields__:
        if key not in ("hypercorn", "logging"):  # tables
            assert (f"`{key}`", default_of(table, key)) in documented, key


def default_of(table: type[Struct], name: str) -> str:
    """Return how the page shows a key's default: as TOML, or that there is none."""
    required = len(table.__struct_fields__) - len(table.__struct_defaults__)
    at = table.__struct_fields__.index(name)
    if at < required:
        return "required"
    default = table.__struct_defaults__[at - required]
    if default is None:
        return NONE
    factory = getattr(default, "factory", None)
    return f"`{as_toml(factory() if factory else default)}`"


def test_every_option_of_hypercorn_is_in_the_page_of_configuration() -> None:
    page = read(ROOT / "docs/configuration.md")
    section = without_blocks(page.partition("## `[fps.hypercorn]`")[2].partition("\n## ")[0])
    options = fps_lite.settings.HypercornConfig
    assert {*options.__struct_fields__, *options.refused} <= set(mentioned(section))
    elsewhere = {row[0]: row[1] for row in rows("docs/configuration.md") if len(row) == 2}
    for name, home in options.moved.items():
        assert elsewhere[f"`{name}`"] == f"`{home}`"


def commands() -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name in OWN:
        command = import_module(f"fps_lite.cli.{name}").command
        found[name] = command
        for inner in getattr(command, "commands", {}).values():
            found[f"{name} {inner.name}"] = inner
    return found


def test_every_command_is_in_the_readme() -> None:
    told = " ".join(" ".join(row[:2]) for row in rows("README.md"))
    for name in commands():
        command, _, inner = name.partition(" ")
        assert f"`fps-lite {command}" in told
        assert re.search(rf"`{inner}\b", told) or not inner, name


def test_every_option_of_a_command_is_in_the_page_of_configuration() -> None:
    page = rows("docs/configuration.md")
    documented = {row[0]: row[1] for row in page}
    for name, command in commands().items():
        options = [one for one in command.params if isinstance(one, click.Option)]
        flags = {flag for one in options for flag in (*one.opts, *one.secondary_opts)}
        if flags:
            told = set(re.findall(r"--?[\w-]+", documented[f"`{name}`"]))
            assert told == flags, name
    assert set(SHARED) <= set(re.findall(r"--[\w-]+", documented["every command"]))


# Links and messages --------------------------------------------------------------------------


def anchors(file: Path) -> set[str]:
    """Return what a link may name in a document, as GitHub makes it of the headings."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(read(file)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("name", [*IDS, "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_inside_the_repository_lead_somewhere(name: str) -> None:
    file = ROOT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(read(file))):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        linked = (file.parent / path).resolve() if path else file
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def messages() -> Iterator[re.Pattern[str]]:
    """Yield each text in the code with words in it as a pattern: what it fills in is open."""
    for file in (ROOT / "fps_lite").rglob("*.py"):
        for node in ast.walk(ast.parse(read(file))):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            texts = [
                str(part.value) if isinstance(part, ast.Constant) else ""
                for part in parts
                if isinstance(part, ast.Constant | ast.FormattedValue)
            ]
            said = "".join(texts)
            if " " in said and len(said) >= 10:
                yield re.compile(".*".join(map(re.escape, texts)))


def test_messages_in_the_guide_are_those_of_the_code() -> None:
    known = list(messages())
    table = read(ROOT / "docs/plugins.md").partition("## What is refused")[2]
    quoted = [
        cells[0]
        for line in table.splitlines()
        if (cells := re.findall(r"^\| `` (.*?) `` \|", line))
    ]
    assert len(quoted) > 20
    for message in quoted:
        assert any(one.search(message) for one in known), message
