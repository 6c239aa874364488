"""The command as a person or a script meets it: real processes, pipes and terminals."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pexpect  # type: ignore[import-untyped]
import pytest
import trustme

import fps_lite

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Server, Site

    Cli = Callable[..., subprocess.CompletedProcess[str]]
    Serve = Callable[..., Server]

SOON = 20.0
ESCAPE = "\x1b["

NOTES = """
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from fps_lite import hookimpl

async def note(request):
    return PlainTextResponse("note")

async def echo(request):
    body = await request.body()
    line = f"{request.method} {request.url.path} {request.url.query} {request.headers.get('x')}"
    return PlainTextResponse(line.encode() + b" " + body, 201)

async def stream(request):
    async def parts():
        for number in range(3):
            yield f"part {number}\\n"
    return StreamingResponse(parts())

async def boom(request):
    raise ValueError("no such luck")

async def socket(websocket): ...

@hookimpl
def routes():
    return [
        Route("/note/{id:int}", note, name="one"),
        Route("/echo", echo, methods=["GET", "POST", "PUT"]),
        Route("/stream", stream),
        Route("/boom", boom),
        WebSocketRoute("/ws", socket),
        Mount("/in", routes=[Route("/x", note, name="x")], name="in"),
    ]
"""

LIFE = """
from contextlib import asynccontextmanager
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from fps_lite import hookimpl

@hookimpl
def lifespan(config):
    @asynccontextmanager
    async def life():
        print("life begins", flush=True)
        yield {"life": 42}
        print("life ends", flush=True)
    return life()

@hookimpl
def routes():
    async def show(request):
        print("life goes on", flush=True)
        return PlainTextResponse(str(request.state["life"]))
    return [Route("/life", show)]
"""

FAILS = """
from fps_lite import hookimpl

@hookimpl
async def nothing(): ...

@hookimpl
def lifespan():
    raise RuntimeError("no database")
"""


def terminal(work: Path, *argv: str, columns: int = 100, **environ: str) -> tuple[str, int]:
    """Run the command on a terminal; return what it shows and its exit code."""
    env = {**os.environ, "TERM": "xterm-256color", **environ}
    env.pop("COLUMNS")
    child = pexpect.spawn(
        sys.executable,
        ["-m", "fps_lite", *argv],
        cwd=str(work),
        env=env,
        encoding="utf-8",
        dimensions=(60, columns),
        timeout=SOON,
    )
    child.expect(pexpect.EOF)
    child.close()
    return child.before or "", child.exitstatus


def test_version_is_the_packages(cli: Cli) -> None:
    found = cli("--version")
    assert (found.returncode, found.stdout) == (0, f"fps-lite {fps_lite.__version__}\n")


def test_help_lists_every_command_and_the_options_of_all(cli: Cli) -> None:
    found = cli("--help")
    assert (found.returncode, found.stderr) == (0, "")
    words = ["serve", "check", "routes", "plugins", "config", "request", "--TABLE.KEY=VALUE"]
    for word in [*words, "--config", "--directory", "--enable", "--disable", "--version"]:
        assert word in found.stdout
    assert cli("-h").stdout == found.stdout


@pytest.mark.parametrize("command", ["serve", "check", "request", "config"])
def test_help_of_a_command_shows_its_options_and_those_of_all(cli: Cli, command: str) -> None:
    found = cli(command, "--help")
    assert found.returncode == 0
    for word in ["--config", "--directory", "--enable", "--disable", "--TABLE.KEY=VALUE"]:
        assert word in found.stdout


def test_no_command_is_wrong_usage_and_shows_the_help(cli: Cli) -> None:
    found = cli()
    assert found.returncode == 2
    assert "Usage: fps-lite" in found.stdout + found.stderr


@pytest.mark.parametrize(
    "argv, hint",
    [
        (["serv"], "'serve'"),
        (["serve", "--prot", "1"], "'--port'"),
        (["check", "--confg", "x"], "'--config'"),
        (["config", "schma"], "'schema'"),
        (["zzz"], "No such command 'zzz'"),
        (["check", "--zzz"], "No such option '--zzz'"),
        (["check", "extra"], "unexpected extra argument"),
        (["plugins", "enable"], "Missing argument"),
        (["request"], "Missing argument"),
        (["request", "hello"], "PATH starts with /"),
        (["request", "/", "-H", "nonsense"], 'expected "Name: value"'),
        (["request", "/", "-H", "€: 1"], "is no header's name"),
        (["request", "/", "-d", "@nowhere"], "nowhere: No such file"),
        (["check", "--enable"], "requires an argument"),
        (["check", "--config"], "requires an argument"),
    ],
)
def test_wrong_usage_is_one_line_that_helps_and_exits_2(
    cli: Cli, argv: list[str], hint: str
) -> None:
    found = cli(*argv)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.count("\n") == 1
    assert found.stderr.startswith("fps-lite")
    assert hint in found.stderr


def test_check_says_what_there_is(cli: Cli, site: Site) -> None:
    site.plugin("notes", NOTES)
    found = cli("check", "--fps.enabled_plugins=notes")
    assert (found.returncode, found.stdout, found.stderr) == (0, "ok: 1 plugin, 6 routes\n", "")


def test_check_enters_no_lifespan_and_binds_and_writes_nothing(
    cli: Cli, site: Site, work: Path
) -> None:
    site.plugin("life", LIFE)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = cli("check", f"--fps.port={taken.getsockname()[1]}")
    assert (found.returncode, found.stderr) == (0, "")
    assert "life" not in found.stdout
    assert list(work.iterdir()) == []


def test_isolated_failure_is_a_warning(cli: Cli, site: Site) -> None:
    site.plugin("broken", "import nowhere")
    found = cli("check", "--broken.on_failure=isolate")
    assert found.returncode == 0
    assert re.match(r"ok: \d+ plugins", found.stdout)
    assert re.fullmatch(r'warning: plugin "broken" .*nowhere.*\n', found.stderr)


CLASH = """
from starlette.routing import Route
from fps_lite import hookimpl

@hookimpl
def routes():
    return [Route("/hello", lambda request: None)]
"""
NEEDS = """
from fps_lite import Dependencies, hookimpl

@hookimpl
def dependencies():
    return Dependencies(requires={requires!r})
"""


def test_code_4_is_for_plugins(cli: Cli, site: Site) -> None:
    site.plugin("clash", CLASH)
    site.plugin("broken", "import nowhere")
    found = cli("check")
    assert (found.returncode, found.stdout) == (4, "")
    lines = found.stderr.splitlines()
    assert lines[-1] == "2 problems"
    assert any('"hello"' in line and '"clash"' in line for line in lines)
    assert any('"broken" (broken 1.0)' in line and "nowhere" in line for line in lines)


@pytest.mark.parametrize(
    "requires, said", [(["b"], "cannot be ordered"), (["nowhere"], '"nowhere"')]
)
def test_code_4_is_for_cycles_and_missing_requirements(
    cli: Cli, site: Site, requires: list[str], said: str
) -> None:
    site.plugin("a", NEEDS.format(requires=requires))
    site.plugin("b", NEEDS.format(requires=["a"]))
    for argv in (["check"], ["serve", "--port=0"], ["routes"], ["request", "/"], ["plugins"]):
        found = cli(*argv)
        assert found.returncode == 4, argv
        assert said in found.stderr


def test_code_3_wins_over_4_and_all_problems_are_shown(cli: Cli, site: Site, work: Path) -> None:
    site.plugin("clash", CLASH)
    site.plugin("broken", "import nowhere")
    (work / "fps.toml").write_text("[fps]\nprot = 1\n[hello]\ncount = -1\n")
    found = cli("check", "--fps.workers=many")
    assert (found.returncode, found.stdout) == (3, "")
    *lines, summary = found.stderr.splitlines()
    assert summary == f"{len(lines)} problems"
    wanted = ["fps.toml:2:1: fps.prot", "fps.toml:4:9: hello.count", "--fps.workers: fps.workers"]
    for text in [*wanted, "nowhere"]:
        assert sum(text in line for line in lines) == 1, text


def test_code_1_is_for_a_port_in_use(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = cli("serve", "--port", str(port))
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == f"cannot listen on 127.0.0.1:{port}: address already in use\n"


@pytest.mark.parametrize("argv", [["serve", "--port=0"], ["request", "/hello"]])
def test_code_1_is_for_a_failed_lifespan(cli: Cli, site: Site, argv: list[str]) -> None:
    site.plugin("fails", FAILS.replace("async def nothing(): ...", "def routes(): return []"))
    found = cli(*argv)
    assert found.returncode == 1
    assert found.stdout == ""
    assert "fails" in found.stderr
    assert "no database" in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("number", [2, 15])
def test_code_0_is_for_a_signal_while_serving(serve: Serve, number: int) -> None:
    server = serve()
    assert server.stop(number) == 0
    assert "Traceback" not in "\n".join(server.lines)


def test_ready_line_is_the_only_result_and_logs_go_to_stderr(serve: Serve, work: Path) -> None:
    log = work / "log"
    with log.open("w") as stderr:
        # The fixture reads stdout alone here.
        server = serve("--fps.enabled_plugins=hello,static", stderr=stderr)
        assert httpx2.get(f"{server.url}/hello").text == "hello world 0"
        assert server.stop() == 0
    assert re.fullmatch(r"serving on http://127\.0\.0\.1:\d+ \(2 plugins, 3 routes\)", server.ready)
    assert server.lines == [server.ready]
    assert "/hello" in log.read_text()


def test_serve_takes_every_named_option(serve: Serve, work: Path) -> None:
    server = serve(
        "--bind", "127.0.0.1:0", "--bind", f"unix:{work}/s", "--workers", "0",
        "--root-path", "/out", "--no-open-browser", "--log-level", "warning",
        "--log-format", "json", port=None,
    )  # fmt: skip
    assert f"unix:{work}/s" in server.ready
    assert httpx2.get(f"{server.url}/out/hello").text == "hello world 0"
    assert server.stop() == 0
    assert server.lines == [server.ready]
    assert not (work / "s").exists()


NAMED = [
    (["--host", "3.4"], "--host"),
    (["--port", "http"], "--port: fps.port: expected int"),
    (["--port=http"], "--port: fps.port: expected int"),
    (["--port", "99999"], "--port: fps.port: expected int >= 0 and <= 65535, got 99999"),
    (["--bind", "nonsense"], '"nonsense": expected HOST:PORT'),
    (["--bind", "x:1", "--port", "1"], "--port: fps.port: fps.bind is set, too (--bind"),
    (["--workers", "-1"], "--workers: fps.workers: expected int >= 0"),
    (["--root-path", "x"], "--root-path: fps.root_path"),
    (["--log-level", "loud"], '--log-level: fps.logging.level: expected "critical"'),
    (["--log-format", "xml"], '--log-format: fps.logging.format: expected "auto"'),
]


@pytest.mark.parametrize("argv, said", NAMED[1:])
def test_named_option_is_configuration_and_its_fault_is_one(
    cli: Cli, argv: list[str], said: str
) -> None:
    found = cli("serve", *argv)
    assert (found.returncode, found.stdout) == (3, "")
    assert found.stderr.count("\n") == 1
    assert said in found.stderr


@pytest.mark.parametrize(
    "argv, port",
    [
        (["--port", "1", "--fps.port=2"], 2),
        (["--fps.port", "2", "--port", "1"], 1),
        (["--fps.port=2", "--port=1", "--fps.port=3"], 3),
    ],
)
def test_of_named_and_dotted_options_the_later_wins(cli: Cli, argv: list[str], port: int) -> None:
    # A value out of bounds shows which one was taken.
    words = [re.sub(r"(\d)$", r"7000\1", word) for word in argv]
    found = cli("serve", *words)
    assert f"got 7000{port}" in found.stderr


def test_routes_are_grouped_by_plugin_in_plain_columns(cli: Cli, site: Site, work: Path) -> None:
    site.plugin("notes", NOTES, version="2.1")
    (work / "fps.toml").write_text('[hello]\nprefix = "/h"\n')
    found = cli("routes", "--fps.enabled_plugins=hello,notes")
    assert (found.returncode, found.stderr) == (0, "")
    head, *rows = found.stdout.splitlines()
    assert head.split() == ["plugin", "methods", "path", "name", "endpoint", "distribution"]
    assert [row.split("  ")[0] for row in rows] == ["hello"] * 3 + ["notes"] * 6
    assert all(row == row.rstrip() for row in rows)
    starts = {row.index("fps_lite_hello.routes.") for row in rows[:3]}
    assert starts == {head.index("endpoint")}
    assert "/h/hello" in rows[0]
    assert "GET HEAD POST PUT" in found.stdout
    assert "notes 2.1" in rows[-1]
    assert ESCAPE not in found.stdout


def test_routes_as_json_are_a_list_of_objects(cli: Cli, site: Site) -> None:
    site.plugin("notes", NOTES)
    found = cli("routes", "--json", "--disable=hello")
    assert (found.returncode, found.stderr) == (0, "")
    rows = json.loads(found.stdout)
    by_path = {row["path"]: row for row in rows}
    assert by_path["/note/{id:int}"] | {"endpoint": ""} == {
        "plugin": "notes", "distribution": "notes", "version": "1.0", "kind": "http",
        "methods": ["GET", "HEAD"], "path": "/note/{id:int}", "name": "one", "endpoint": "",
    }  # fmt: skip
    assert re.search(r"notes_plugin\.note, .*notes_plugin\.py:\d+$", by_path["/in/x"]["endpoint"])
    assert by_path["/in/x"]["name"] == "in:x"
    assert by_path["/ws"]["kind"] == "websocket"


def test_terminal_gets_a_table_and_no_color_is_honoured(cli: Cli, work: Path) -> None:
    shown, code = terminal(work, "plugins")
    assert code == 0
    assert ESCAPE in shown
    assert "───" in shown
    assert max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in shown.splitlines()) <= 100
    plain, _ = terminal(work, "plugins", NO_COLOR="1")
    assert "\x1b[3" not in plain
    piped = cli("plugins")
    assert ESCAPE not in piped.stdout
    assert "───" not in piped.stdout


@pytest.mark.parametrize("argv", [["--help"], ["check", "--zzz"]])
def test_colour_only_on_a_terminal(cli: Cli, work: Path, argv: list[str]) -> None:
    shown, _ = terminal(work, *argv)
    assert f"{ESCAPE}1;36m" in shown
    plain, _ = terminal(work, *argv, NO_COLOR="1")
    assert not re.search(r"\x1b\[(\d;)*3\d", plain)
    piped = cli(*argv)
    assert ESCAPE not in piped.stdout + piped.stderr


def test_narrow_terminal_cuts_no_cell_off(work: Path) -> None:
    shown, _ = terminal(work, "routes", columns=60, NO_COLOR="1")
    letters = re.sub(r"[\s─]|\x1b\[[\d;]*m", "", shown)
    assert "wrong_hello" in letters
    assert "…" not in letters


def test_config_files_are_read_in_order_and_handed_down(
    cli: Cli, site: Site, work: Path, tmp_path: Path
) -> None:
    source = """
        import os, subprocess, sys, click
        from fps_lite import hookimpl

        @click.command()
        def child():
            print(os.environ["FPS_CONFIG_FILE"], flush=True)
            argv = [sys.executable, "-m", "fps_lite", "request", "/hello"]
            subprocess.run(argv, check=True, cwd=os.environ["ELSEWHERE"])

        @hookimpl
        def commands():
            return [child]
        """
    site.install("tool", {"fps_lite.cli": {"tool": "tool_cli"}}, {"tool_cli": source})
    for name, text in {
        "old": "count = 1",
        "one": 'greeting = "one"',
        "two": 'greeting = "two"',
    }.items():
        (work / f"{name}.toml").write_text(f"[hello]\n{text}\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    old = str(work / "old.toml")
    env = {**os.environ, "FPS_CONFIG_FILE": old, "ELSEWHERE": str(elsewhere)}
    found = cli("child", "--config", "one.toml", "--config=two.toml", env=env)
    assert found.returncode == 0, found.stderr
    handed, answer = found.stdout.splitlines()
    assert handed.split(os.pathsep) == [old, f"{work}/one.toml", f"{work}/two.toml"]
    assert answer == "two world 1"


def test_directory_comes_before_anything_and_is_first_on_the_path(cli: Cli, work: Path) -> None:
    there = work / "there"
    there.mkdir()
    (there / "fps.toml").write_text('[fps.plugins]\nhere = "here_plugin"\n[hello]\nprefix = "/h"\n')
    (there / "here_plugin.py").write_text(
        "import os, sys\nfrom fps_lite.hooks import register_lifespan\n"
        "def life():\n    print(sys.path[0] == os.getcwd())\n"
        "lifespan = register_lifespan(life)\n"
    )
    found = cli("request", "--directory", "there", "/h/hello")
    assert (found.returncode, found.stdout) == (0, "hello world 0"), found.stderr
    assert found.stderr == "True\n"


@pytest.mark.parametrize("command", ["serve", "check", "routes", "plugins", "config", "request"])
def test_every_command_takes_the_shared_and_dotted_options(
    cli: Cli, work: Path, command: str
) -> None:
    (work / "sub").mkdir()
    (work / "sub" / "more.toml").write_text("[hello]\nbad = 1\n")
    argv = {"request": ["request", "/"], "serve": ["serve", "--port=0"]}.get(command, [command])
    found = cli(
        *argv, "--directory=sub", "--config=more.toml", "--enable=hello", "--disable", "static",
        "--hello.count", "many",
    )  # fmt: skip
    assert found.returncode == 3
    lines = set(found.stderr.splitlines())
    assert lines >= {"more.toml:2:1: hello.bad: unknown key"}
    assert any(line.startswith("--hello.count: hello.count: expected int") for line in lines)


def test_switches_beat_every_layer_and_disable_wins_by_being_later(cli: Cli) -> None:
    def states(*argv: str) -> dict[str, str]:
        rows = json.loads(cli("plugins", "--json", *argv).stdout)
        return {row["name"]: row["state"] for row in rows if row["name"] in ("hello", "static")}

    assert states("--disable", "hello") == {"hello": "disabled", "static": "enabled"}
    assert states("--fps.disabled_plugins=hello,static", "--enable=hello") == {
        "hello": "enabled",
        "static": "disabled",
    }
    assert states("--enable=hello", "--disable=hello")["hello"] == "disabled"
    assert states("--disable=hello", "--enable=hello")["hello"] == "enabled"
    narrow = states("--fps.enabled_plugins=static", "--enable=hello", "--hello.enabled=false")
    assert narrow == {"hello": "enabled", "static": "enabled"}


def test_request_prints_the_body_alone(cli: Cli, site: Site) -> None:
    site.plugin("notes", NOTES)
    found = cli("request", "/echo?a=%20b", "-X", "put", "-H", "X: y", "-d", "bödy")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == "PUT /echo a=%20b y bödy"
    assert cli("request", "/echo", "-d", "").stdout.startswith("POST ")
    assert cli("request", "/stream").stdout == "part 0\npart 1\npart 2\n"


def test_request_sends_a_file_or_stdin(cli: Cli, site: Site, work: Path) -> None:
    site.plugin("notes", NOTES)
    (work / "body").write_bytes(bytes(range(256)))
    argv = [sys.executable, "-m", "fps_lite", "request", "/echo", "-d", "@body"]
    assert subprocess.check_output(argv, timeout=60).endswith(bytes(range(256)))
    found = cli("request", "/echo", "-d", "@-", input="from stdin")
    assert found.stdout == "POST /echo  None from stdin"


def test_request_runs_the_lifespan_around_it(cli: Cli, site: Site) -> None:
    site.plugin("life", LIFE)
    found = cli("request", "/life")
    assert (found.returncode, found.stdout) == (0, "42")
    assert found.stderr == "life begins\nlife goes on\nlife ends\n"


@pytest.mark.parametrize(
    "path, body, said",
    [
        ("/nowhere", "Not Found", r"status 404\n"),
        (
            "/boom",
            "Internal Server Error",
            r"ValueError: no such luck \(\S+notes_plugin.py:\d+\)\nstatus 500\n",
        ),
    ],
)
def test_request_exits_1_on_4xx_and_5xx(
    cli: Cli, site: Site, path: str, body: str, said: str
) -> None:
    site.plugin("notes", NOTES)
    found = cli("request", path)
    assert (found.returncode, found.stdout) == (1, body)
    assert re.fullmatch(said, found.stderr)


def test_request_shows_status_and_headers_when_asked(cli: Cli) -> None:
    found = cli("request", "-i", "/wrong_hello")
    assert found.returncode == 0
    head, _, body = found.stdout.partition("\n\n")
    assert head.splitlines()[0] == "HTTP/1.1 307"
    assert "location: /hello" in head.splitlines()
    assert body == ""


def test_request_ends_quietly_when_nobody_reads(cli: Cli) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        found = cli("request", "/hello", capture_output=False, stdout=writer, stderr=-1)
    finally:
        os.close(writer)
    assert found.returncode == 1
    assert found.stderr == ""


THREADS = """
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from fps_lite import hookimpl

POOL = ThreadPoolExecutor()

@hookimpl
def lifespan():
    @asynccontextmanager
    async def life():
        {start}
        yield
    return life()
"""


@pytest.mark.parametrize(
    "start, said",
    [
        ("POOL.submit(int).result()", ""),
        ("threading.Timer(50, print).start()", "threads that did not end: Thread-"),
        ('ThreadPoolExecutor(thread_name_prefix="busy").submit(__import__("time").sleep, 50)',
         "threads that did not end: busy_0"),
    ],
)  # fmt: skip
def test_threads_that_run_on_are_named_and_left_behind(
    cli: Cli, site: Site, start: str, said: str
) -> None:
    site.plugin("threads", THREADS.format(start=start))
    began = time.monotonic()
    found = cli("request", "/nowhere")
    assert found.returncode == 1
    assert time.monotonic() - began < 30
    assert found.stderr.startswith(f"status 404\n{said}")
    assert bool(said) == (found.stderr != "status 404\n")


def certificate(work: Path) -> None:
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(str(work / "key.pem"))


BAD_FILES: dict[str, Callable[[Path], Any]] = {
    "toml": lambda work: (work / "fps.toml").write_text("[fps]\nport = = 1\n"),
    "binary": lambda work: (work / "fps.toml").write_bytes(b"\xff\xfe\x00"),
    "directory": lambda work: (work / "fps.toml").mkdir(),
    "scalar": lambda work: (work / "fps.toml").write_text("fps = 3\n"),
    "lists": lambda work: (work / "fps.toml").write_text("[fps]\nplugins = 3\n"),
    "stray": lambda work: (work / "hello.toml").write_text("[fps]\nport = 1\n"),
    "file": lambda work: (work / "file").touch(),
    "key": certificate,
}


@pytest.mark.parametrize(
    "prepare, argv, code, said",
    [
        ("toml", ["check"], 3, "fps.toml:2:8: invalid TOML"),
        ("toml", ["serve"], 3, "fps.toml:2:8: invalid TOML"),
        ("toml", ["plugins", "disable", "hello"], 3, "fps.toml:2:8: invalid TOML"),
        ("toml", ["config", "schema"], 3, "fps.toml:2:8: invalid TOML"),
        ("binary", ["check"], 3, "fps.toml:1:1: not UTF-8"),
        ("directory", ["check"], 3, "fps.toml: is a directory"),
        ("directory", ["plugins", "enable", "hello"], 3, "fps.toml: is a directory"),
        ("scalar", ["plugins", "disable", "hello"], 3, "fps.toml:1:7: fps: expected table"),
        ("lists", ["check", "--enable", "hello"], 3, "fps.toml:2:11: fps.plugins: expected table"),
        ("stray", ["check"], 3, "hello.toml:1:2: fps: hello.toml may hold the table [hello]"),
        ("", ["check", "--config", "nowhere.toml"], 3, "nowhere.toml: no such file"),
        ("", ["check", "--config", "/"], 3, "/: is a directory"),
        ("", ["check", "--directory", "nowhere"], 3, "--directory: nowhere: no such file"),
        ("file", ["check", "--directory", "file"], 3, "--directory: file: not a directory"),
        ("", ["check", "--fps.port=x"], 3, "--fps.port: fps.port: expected int"),
        ("", ["check", "--helo.count=1"], 3, 'unknown table (did you mean "hello"?)'),
        ("", ["check", "--enable", "helo"], 3, '--enable: no plugin "helo" (did you mean "hello"'),
        ("", ["check", "--disable", "zzz"], 3, '--disable: no plugin "zzz"'),
        ("", ["plugins", "disable", "helo"], 3, 'no plugin "helo" (did you mean "hello"?)'),
        ("", ["check", "--fps.required_plugins=zzz"], 4, 'plugin "zzz" is required'),
        ("", ["check", "--fps.plugins.x=nowhere"], 4, 'plugin "x": cannot import nowhere'),
        ("", ["serve", "--bind=unix:/nowhere/s"], 1, "cannot listen on unix:/nowhere/s: no such"),
        ("file", ["serve", "--bind=unix:file"], 1, "unix:file: exists and is not a socket"),
        ("", ["serve", "--host=nowhere.invalid"], 1, "cannot listen on nowhere.invalid:8000"),
        ("", ["serve", "--bind=fd://77"], 1, "cannot listen on fd://77: bad file descriptor"),
        ("", ["check", "--fps.hypercorn.certfile=x"], 3, "certfile"),
        ("key", ["check", "--fps.hypercorn.certfile=key.pem", "--fps.hypercorn.keyfile=key.pem"], 3,
         "certfile"),
        ("", ["check", "--fps.hypercorn.certfil=x"], 3, 'did you mean "certfile"'),
    ],
)  # fmt: skip
def test_expected_failure_is_one_clear_line_and_no_traceback(  # noqa: PLR0913, PLR0917 - a table
    cli: Cli, work: Path, prepare: str, argv: list[str], code: int, said: str
) -> None:
    if prepare:
        BAD_FILES[prepare](work)
    found = cli(*argv)
    assert (found.returncode, found.stdout) == (code, "")
    assert said in found.stderr
    assert found.stderr.count("\n") == 1, found.stderr


def test_working_directory_that_is_gone_is_said(work: Path) -> None:
    gone = work / "gone"
    code = (
        f"import os; os.mkdir({str(gone)!r}); os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})\n"
        "from fps_lite.cli import main; main(['check'])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 1
    assert found.stderr == "the working directory does not exist any more\n"


BROWSER = """#!{python}
import pathlib, sys, urllib.request
try:
    answer = urllib.request.urlopen(sys.argv[1] + "/hello").read().decode()
except OSError as error:
    answer = str(error)
pathlib.Path({result!r}).write_text(sys.argv[1] + " " + answer)
"""


@pytest.mark.parametrize("argv, root", [(["--open-browser"], ""), (["--fps.open_browser"], "/out")])
def test_browser_opens_when_the_server_answers(
    serve: Serve, work: Path, argv: list[str], root: str
) -> None:
    result = work / "result"
    script = work / "browser"
    script.write_text(BROWSER.format(python=sys.executable, result=str(result)))
    script.chmod(0o755)
    server = serve(*argv, "--root-path", root, env={**os.environ, "BROWSER": str(script)})
    until = time.monotonic() + SOON
    while not (result.exists() and result.read_text()):
        assert time.monotonic() < until, server.lines
        time.sleep(0.05)
    assert result.read_text() == f"{server.url}{root} hello world 0"
    assert server.stop() == 0


def test_browser_stays_closed_otherwise(serve: Serve, work: Path) -> None:
    script = work / "browser"
    script.write_text(BROWSER.format(python=sys.executable, result=str(work / "result")))
    script.chmod(0o755)
    (work / "fps.toml").write_text("[fps]\nopen_browser = true\n")
    server = serve("--no-open-browser", env={**os.environ, "BROWSER": str(script)})
    assert httpx2.get(f"{server.url}/hello").status_code == 200
    assert server.stop() == 0
    assert not (work / "result").exists()


def test_browser_stays_closed_when_the_start_fails(cli: Cli, site: Site, work: Path) -> None:
    site.plugin("fails", FAILS.replace("async def nothing(): ...", "def routes(): return []"))
    script = work / "browser"
    script.write_text(BROWSER.format(python=sys.executable, result=str(work / "result")))
    script.chmod(0o755)
    env = {**os.environ, "BROWSER": str(script)}
    assert cli("serve", "--port=0", "--open-browser", env=env).returncode == 1
    assert not (work / "result").exists()


@pytest.mark.parametrize(
    "argv", [["routes", "--json"], ["config", "--json"], ["plugins", "--json"]]
)
def test_what_a_plugin_prints_is_no_result(site: Site, cli: Cli, argv: list[str]) -> None:
    source = """
        from fps_lite import hookimpl
        print("imported")

        @hookimpl
        def routes():
            print("asked")
            return []
    """
    site.plugin("loud", source)
    found = cli(*argv)
    json.loads(found.stdout)
    assert "imported" in found.stderr


def test_what_a_plugin_prints_is_no_part_of_an_answer(site: Site, cli: Cli) -> None:
    source = """
        from contextlib import asynccontextmanager
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route
        from fps_lite import hookimpl

        async def page(request):
            print("handling")
            return PlainTextResponse("page")

        @hookimpl
        def routes():
            return [Route("/page", page)]
    """
    site.plugin("loud", source)
    found = cli("request", "/page")
    assert (found.returncode, found.stdout, found.stderr) == (0, "page", "handling\n")


@pytest.mark.parametrize(
    "argv, said",
    [
        (["-X", "b d", "/"], '-X: "b d" is no method'),
        (["-H", "a: b\nc: d", "/"], "-H: a: a header is one line"),
    ],
)
def test_a_request_that_would_not_be_one_is_refused(cli: Cli, argv: list[str], said: str) -> None:
    found = cli("request", *argv)
    assert (found.returncode, found.stdout) == (2, "")
    assert said in found.stderr


def test_the_answer_to_head_has_no_body(cli: Cli) -> None:
    found = cli("request", "-X", "HEAD", "-i", "/hello")
    assert found.stdout.startswith("HTTP/1.1 200\n")
    assert "hello world" not in found.stdout


def test_an_answer_that_cannot_be_written_is_a_failure(cli: Cli) -> None:
    with Path("/dev/full").open("w") as full:
        found = cli("request", "/hello", stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert found.returncode == 1
    assert found.stderr == "cannot write to stdout: no space left on device\n"


def test_an_option_of_serve_elsewhere_is_told_its_dotted_name(cli: Cli) -> None:
    found = cli("check", "--port", "1")
    assert found.returncode == 2
    assert "Write --fps.port=…" in found.stderr


@pytest.mark.parametrize(
    "host, named",
    [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("0.0.0.0", "localhost"), ("::", "localhost")],
)
def test_request_names_a_host_that_a_client_would(
    cli: Cli, site: Site, host: str, named: str
) -> None:
    site.plugin(
        "shows",
        """
        from fps_lite import hookimpl
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route

        @hookimpl
        def routes():
            return [Route("/host", lambda request: PlainTextResponse(request.headers["host"]))]
        """,
    )
    found = cli("request", "/host", f"--fps.host={host}", "--fps.port=9")
    assert found.stdout == f"{named}:9"
