"""What plugins add to the command: their commands, `cli_setup`, and completion of it all."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Server, Site

    Cli = Callable[..., subprocess.CompletedProcess[str]]
    Serve = Callable[..., Server]

DB = """
import asyncio
from contextlib import asynccontextmanager

import click

from fps_lite import Dependencies, PluginConfig, hookimpl

class DbConfig(PluginConfig, frozen=True, kw_only=True):
    url: str = "memory"

@hookimpl
def config():
    return DbConfig

@hookimpl
def dependencies():
    return Dependencies(requires=["disk"])

@hookimpl
def lifespan(config):
    @asynccontextmanager
    async def life():
        click.echo("db begins")
        yield {"db": config.url}
        click.echo("db ends")
    return life()
"""
DISK = """
from contextlib import asynccontextmanager
import click
from fps_lite import hookimpl

@hookimpl
def lifespan():
    @asynccontextmanager
    async def life():
        click.echo("disk begins")
        yield {"disk": 1}
        click.echo("disk ends")
    return life()
"""
DB_CLI = """
import asyncio
import click
from fps_lite import hookimpl

@click.command()
@click.pass_obj
def url(obj):
    '''Print the database's URL.'''
    from db_plugin import DbConfig
    click.echo(obj.config_of(DbConfig).url)
    return 7

@click.command()
@click.argument("name", default="db")
@click.option("--twice", is_flag=True)
@click.pass_obj
def migrate(obj, name, twice):
    '''Bring the database up to date.'''
    async def run():
        async with obj.running(name) as state:
            click.echo(f"migrating {state['db']} of {sorted(set(state) - {'fps'})}")
    for _ in range(2 if twice else 1):
        asyncio.run(run())

@hookimpl
def commands():
    return [url, migrate]
"""
IDLE = """
from contextlib import asynccontextmanager
from fps_lite import hookimpl

@hookimpl
def lifespan():
    raise RuntimeError("nobody asked for idle")
"""


@pytest.fixture
def db(site: Site) -> None:
    site.plugin("disk", DISK)
    site.plugin("idle", IDLE)
    site.install(
        "db",
        {"fps_lite.plugins": {"db": "db_plugin"}, "fps_lite.cli": {"db": "db_cli"}},
        {"db_plugin": DB, "db_cli": DB_CLI},
    )


@pytest.mark.usefixtures("db")
def test_plugins_command_reads_its_config_from_all_layers(cli: Cli, work: Path) -> None:
    (work / "fps.toml").write_text('[db]\nurl = "file"\n')
    found = cli("url")
    # What a command returns is no exit code.
    assert (found.returncode, found.stdout, found.stderr) == (0, "file\n", "")
    (work / "sub").mkdir()
    (work / "sub" / "x.toml").write_text('[db]\nurl = "x"\n')
    assert cli("url", "--directory=sub", "--config", "x.toml").stdout == "x\n"
    assert cli("url", "--directory=sub", "--config=x.toml", "--db.url", "opt").stdout == "opt\n"


@pytest.mark.usefixtures("db")
def test_running_enters_a_plugin_and_what_it_requires_and_no_other(cli: Cli) -> None:
    found = cli("migrate", "--db.url=here")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.splitlines() == [
        "disk begins",
        "db begins",
        "migrating here of ['db', 'disk']",
        "db ends",
        "disk ends",
    ]


@pytest.mark.usefixtures("db")
def test_running_twice_starts_and_ends_twice(cli: Cli) -> None:
    found = cli("migrate", "--twice")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.count("db begins") == found.stdout.count("db ends") == 2


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    "argv, code, said",
    [
        (["migrate", "disc"], 3, 'running: no plugin "disc" (did you mean "disk"?)'),
        (["migrate", "hello", "--disable", "hello"], 4, "does not run: in fps.disabled_plugins"),
        (["migrate", "--db.url"], 0, ""),
        (["migrate", "--db.ulr=1"], 3, "--db.ulr: db.ulr: unknown key"),
        (["migrate", "--disable=disk"], 4, '"disk"'),
        (["migrate", "idle"], 1, "nobody asked for idle"),
        (["url", "--fps.port=x"], 3, "--fps.port: fps.port: expected int"),
        (["url", "--disable", "db"], 2, "No such command 'url'"),
        (["url", "--nope"], 2, "No such option '--nope'"),
        (["migrat"], 2, "'migrate'"),
    ],
)
def test_failure_of_a_plugins_command_is_one_line(
    cli: Cli, argv: list[str], code: int, said: str
) -> None:
    found = cli(*argv)
    assert found.returncode == code
    assert said in found.stderr
    assert found.stderr.count("\n") <= 1, found.stderr


@pytest.mark.usefixtures("db")
def test_help_lists_plugins_commands_after_ours(cli: Cli) -> None:
    text = cli("--help").stdout
    places = [text.index(words) for words in ("request ", "migrate ", "url ")]
    assert places == sorted(places)
    assert "Bring the database up to date." in text
    found = cli("migrate", "--help")
    assert (found.returncode, found.stderr) == (0, "")
    for word in (
        "--twice",
        "--config",
        "--directory",
        "--enable",
        "--disable",
        "--TABLE.KEY=VALUE",
    ):
        assert word in found.stdout


def test_help_and_commands_import_neither_server_nor_routes(cli: Cli, site: Site) -> None:
    spy = """
        import sys
        import click
        from fps_lite import hookimpl

        @click.command()
        def light():
            names = {"starlette", "hypercorn", "light_routes"} & set(sys.modules)
            click.echo(f"heavy: {sorted(names)}")

        @hookimpl
        def commands():
            return [light]
        """
    site.install(
        "light",
        {"fps_lite.cli": {"light": "light_cli"}, "fps_lite.routes": {"light": "light_routes"}},
        {"light_cli": spy, "light_routes": "raise SystemExit('imported')"},
    )
    site.plugin("whole", "raise SystemExit('imported')")
    found = cli("light")
    assert (found.returncode, found.stdout, found.stderr) == (0, "heavy: []\n", "")
    found = cli("--help")
    assert (found.returncode, found.stderr) == (0, "")
    env = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    imported = cli("--help", env=env).stderr
    assert "fps_lite.cli" in imported
    assert not re.search(r"\| +(starlette|hypercorn|fps_lite_hello\.routes)", imported)


COMMAND = """
import click
from fps_lite import hookimpl

@click.command("{name}")
def command():
    click.echo("{plugin} ran")

@hookimpl
def commands():
    return [command]
"""


def tool(site: Site, plugin: str, source: str) -> None:
    site.install(plugin, {"fps_lite.cli": {plugin: f"{plugin}_cli"}}, {f"{plugin}_cli": source})


def test_name_that_two_plugins_want_is_an_error_naming_both(cli: Cli, site: Site) -> None:
    tool(site, "one", COMMAND.format(name="same", plugin="one"))
    tool(site, "two", COMMAND.format(name="same", plugin="two"))
    tool(site, "three", COMMAND.format(name="other", plugin="three"))
    found = cli("same")
    assert (found.returncode, found.stdout) == (4, "")
    assert found.stderr == 'plugin "two" (two 1.0): command "same" is already taken by "one"\n'
    listed = cli("--help")
    assert listed.returncode == 0
    assert listed.stderr == found.stderr
    assert "other" in listed.stdout
    assert cli("other").stdout == "three ran\n"
    assert cli("same", "--disable", "two").stdout == "one ran\n"


def test_name_of_our_own_command_stays_ours(cli: Cli, site: Site) -> None:
    tool(site, "thief", COMMAND.format(name="check", plugin="thief"))
    found = cli("check")
    assert found.returncode == 0
    assert found.stdout.startswith("ok: ")
    found = cli("--help")
    assert found.returncode == 0
    assert found.stderr.endswith(
        '"thief" (thief 1.0): command "check" is already taken by "fps-lite"\n'
    )


@pytest.mark.parametrize(
    "source, said",
    [
        ("import nowhere", "No module named 'nowhere'"),
        ("x = 1", "has no hook"),
        ("raise SystemExit(3)", "SystemExit"),
        (COMMAND.format(name="x", plugin="x").replace("[command]", "command"), "not a list"),
        (COMMAND.format(name="x", plugin="x").replace("[command]", "1/0"), "division by zero"),
    ],
)
def test_broken_cli_plugin_takes_nothing_down(cli: Cli, site: Site, source: str, said: str) -> None:
    tool(site, "bad", source)
    tool(site, "good", COMMAND.format(name="fine", plugin="good"))
    found = cli("--help")
    assert found.returncode == 0
    assert "fine" in found.stdout
    assert found.stderr.count("\n") == 1
    assert said in found.stderr
    assert '"bad" (bad 1.0)' in found.stderr
    found = cli("fine")
    assert (found.returncode, found.stdout, found.stderr) == (0, "good ran\n", "")
    # The command that is not there may be the broken plugin's.
    found = cli("x")
    assert found.returncode == 2
    assert said in found.stderr
    assert "No such command 'x'" in found.stderr


def test_help_is_there_although_configuration_is_broken(cli: Cli, work: Path) -> None:
    (work / "fps.toml").write_text("[fps\n")
    found = cli("--help")
    assert found.returncode == 0
    assert "serve" in found.stdout
    assert (
        found.stderr
        == "fps.toml:1:5: invalid TOML: Expected ']' at the end of a table declaration\n"
    )


SETUP = """
from contextlib import contextmanager
from contextlib import asynccontextmanager
import os
from fps_lite import PluginConfig, hookimpl

class Setup(PluginConfig, frozen=True, kw_only=True):
    word: str = "word"

@hookimpl
def config():
    return Setup

@hookimpl
def lifespan():
    @asynccontextmanager
    async def life():
        print("life begins", flush=True)
        yield
        print("life ends", flush=True)
    return life()
"""
SETUP_CLI = """
import os
from contextlib import contextmanager
from fps_lite import hookimpl

@hookimpl
def cli_setup(config, context):
    @contextmanager
    def setup():
        print(f"{context.name} begins with {config.word} in {os.getpid()}", flush=True)
        yield
        print(f"{context.name} ends", flush=True)
    return setup()
"""


def setup_plugin(site: Site, name: str, source: str = SETUP_CLI) -> None:
    site.install(
        name,
        {"fps_lite.config": {name: f"{name}_config"}, "fps_lite.cli": {name: f"{name}_cli"},
         "fps_lite.lifespan": {name: f"{name}_life"}},
        {f"{name}_config": SETUP.split("@hookimpl\ndef lifespan", maxsplit=1)[0],
         f"{name}_life": SETUP.replace("@hookimpl\ndef config", "def config"),
         f"{name}_cli": source},
    )  # fmt: skip


def test_cli_setup_is_around_serving_in_the_commands_process(serve: Serve, site: Site) -> None:
    setup_plugin(site, "one")
    setup_plugin(site, "two")
    server = serve("--two.word=hey", "--disable=hello")
    assert server.stop() == 0
    pid = server.process.pid
    kept = [line for line in server.lines if re.match(r"one|two|life|serving", line)]
    assert kept == [
        f"one begins with word in {pid}",
        f"two begins with hey in {pid}",
        "life begins",
        "life begins",
        server.ready,
        "life ends",
        "life ends",
        "two ends",
        "one ends",
    ]


@pytest.mark.parametrize("argv", [["check"], ["request", "/hello"], ["routes"], ["config"]])
def test_cli_setup_is_for_serving_alone(cli: Cli, site: Site, argv: list[str]) -> None:
    setup_plugin(site, "one")
    found = cli(*argv)
    assert found.returncode == 0, found.stderr
    assert "begins with" not in found.stdout


def test_cli_setup_that_fails_is_code_1_and_the_earlier_ones_end(cli: Cli, site: Site) -> None:
    setup_plugin(site, "one")
    setup_plugin(site, "two", SETUP_CLI.replace("yield", "1 / 0"))
    found = cli("serve", "--port=0")
    assert found.returncode == 1
    assert "one ends" in found.stdout
    assert "life" not in found.stdout
    assert "serving" not in found.stdout
    assert found.stderr.startswith('plugin "two" (two 1.0): cli_setup failed: ZeroDivisionError')
    assert found.stderr.count("\n") == 1


def test_cli_setup_that_fails_at_the_end_is_code_1_and_the_others_end(
    serve: Serve, site: Site
) -> None:
    setup_plugin(site, "one")
    setup_plugin(site, "two", SETUP_CLI.replace("yield", "yield; 1 / 0"))
    server = serve()
    assert server.stop() == 1
    assert "one ends" in server.lines
    assert server.lines[-1].startswith('plugin "two" (two 1.0): cli_setup failed: ZeroDivision')
    assert "Traceback" not in "\n".join(server.lines)


def complete(words: str, work: Path) -> list[str]:
    """Return what bash is offered for the last of `words`."""
    split = words.split(" ")
    env = {
        **os.environ,
        "_FPS_LITE_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(split) - 1),
    }
    found = subprocess.run(
        [sys.executable, "-m", "fps_lite"],
        capture_output=True, text=True, env=env, cwd=work, timeout=60, check=False,
    )  # fmt: skip
    assert found.stderr == ""
    return [line.partition(",")[2] for line in found.stdout.splitlines()]


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    "words, offered",
    [
        (
            "fps-lite ",
            {"serve", "check", "routes", "plugins", "config", "request", "migrate", "url"},
        ),
        ("fps-lite se", {"serve"}),
        (
            "fps-lite --",
            {"--config", "--directory", "--enable", "--disable", "--version", "--help"},
        ),
        ("fps-lite serve --p", {"--port"}),
        ("fps-lite serve --hello.greeting=hi --config x --lo", {"--log-level", "--log-format"}),
        ("fps-lite check --e", {"--enable"}),
        ("fps-lite check --disable h", {"hello"}),
        ("fps-lite plugins ", {"enable", "disable"}),
        ("fps-lite plugins enable ", {"db", "disk", "hello", "idle", "static"}),
        ("fps-lite config s", {"schema"}),
        ("fps-lite migrate --t", {"--twice"}),
        ("fps-lite migrate --d", {"--directory", "--disable"}),
    ],
)
def test_completion_knows_commands_options_and_plugins(
    work: Path, words: str, offered: set[str]
) -> None:
    found = set(complete(words, work))
    assert offered <= found
    assert all(one.startswith(words.rpartition(" ")[2]) for one in found)


def test_completion_says_nothing_of_broken_plugins(site: Site, work: Path) -> None:
    tool(site, "bad", "import nowhere")
    (work / "fps.toml").write_text("[hello]\nnope = 1\n")
    assert complete("fps-lite che", work) == ["check"]


def test_completion_script_is_printed(cli: Cli) -> None:
    # click runs bash to learn its version; the other two need not be here.
    for shell in ("zsh", "fish"):
        found = cli(env={**os.environ, "_FPS_LITE_COMPLETE": f"{shell}_source"})
        assert found.returncode == 0
        assert "_FPS_LITE_COMPLETE" in found.stdout
