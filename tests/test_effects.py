"""What an import does to the process is undone in the command, and nowhere else."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
from typing import TYPE_CHECKING, TypeAlias

import httpx2
import pytest

from fps_lite import create_app
from fps_lite.effects import Effects, stepwise

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Server, Site

Cli: TypeAlias = "Callable[..., subprocess.CompletedProcess[str]]"
Serve: TypeAlias = "Callable[..., Server]"

RUDE = """
import asyncio, logging.config, signal
from starlette.responses import PlainTextResponse

logging.getLogger().addHandler(logging.NullHandler())
logging.getLogger().setLevel(logging.CRITICAL)
logging.disable(logging.CRITICAL)
logging.getLogger("fps_lite.server").setLevel(logging.CRITICAL)
logging.getLogger("fps_lite").addHandler(logging.NullHandler())
logging.getLogger("fps_lite.access").addFilter(lambda record: False)
logging.getLogger("fps_lite.access").propagate = False
logging.config.dictConfig({"version": 1})
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])

class Policy(asyncio.DefaultEventLoopPolicy):
    pass

asyncio.set_event_loop_policy(Policy())
app = PlainTextResponse("rude")
"""
POLITE = """
from fps_lite import hookimpl
{imports}

@hookimpl
def routes():
    return []
"""
CHANGED = (
    "the root logger's handlers, the root logger's level, what logging disables, "
    "which loggers are disabled, the levels of fps-lite's loggers, "
    "the handlers of fps-lite's loggers, the filters of fps-lite's loggers, "
    "the propagation of fps-lite's loggers, which signals are blocked, the handler of SIGINT, "
    "the handler of SIGTERM, the event loop policy: undone"
)


@pytest.fixture(autouse=True)
def process_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    root.handlers[:], root.level = handlers, level
    for number, handler in signals.items():
        signal.signal(number, handler)
    asyncio.set_event_loop_policy(None)
    logging.disable(logging.NOTSET)
    logging.getLogger("fps_lite.server").setLevel(logging.NOTSET)
    logging.getLogger("fps_lite").handlers.clear()
    access = logging.getLogger("fps_lite.access")
    access.propagate = True
    access.filters.clear()
    for logger in logging.getLogger().manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False


def test_each_effect_is_undone_and_told_in_one_line() -> None:
    root = logging.getLogger()
    before = list(root.handlers), root.level, signal.getsignal(signal.SIGINT)
    effects = Effects()
    with effects.watch("somebody"):
        exec(RUDE, {"__name__": "rude"})
    assert effects.lines == [f"somebody changed {CHANGED}"]
    assert (list(root.handlers), root.level, signal.getsignal(signal.SIGINT)) == before
    assert type(asyncio.get_event_loop_policy()) is asyncio.DefaultEventLoopPolicy
    server = logging.getLogger("fps_lite.server")
    assert (root.manager.disable, server.disabled, server.level) == (0, False, logging.NOTSET)
    access = logging.getLogger("fps_lite.access")
    assert (access.propagate, access.filters) == (True, [])
    assert logging.getLogger("fps_lite").handlers == []
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def test_nothing_is_told_of_one_that_does_nothing() -> None:
    effects = Effects()
    with effects.watch("somebody"):
        pass
    assert effects.lines == []


def test_asking_for_the_event_loop_policy_changes_nothing() -> None:
    effects = Effects()
    asyncio.set_event_loop_policy(None)
    with effects.watch("somebody"):
        asyncio.run(asyncio.sleep(0))
        asyncio.get_event_loop_policy()
    assert effects.lines == []


def test_effects_are_undone_when_the_import_fails() -> None:
    effects = Effects()
    level = logging.getLogger().level
    code = "import logging; logging.getLogger().setLevel(50); raise ValueError('broken')"
    with pytest.raises(ValueError, match="broken"), effects.watch("somebody"):
        exec(code)
    assert logging.getLogger().level == level
    assert effects.lines == ["somebody changed the root logger's level: undone"]


def test_what_is_done_to_a_handler_of_the_root_logger_is_undone() -> None:
    effects = Effects()
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    with effects.watch("somebody"):
        handler.setLevel(logging.CRITICAL)
    with effects.watch("somebody"):
        handler.addFilter(logging.Filter("nobody"))
    assert (handler.level, handler.filters) == (logging.NOTSET, [])
    assert effects.lines == ["somebody changed the root logger's handlers: undone"] * 2


def test_watching_works_in_a_thread() -> None:
    effects = Effects()

    def change() -> None:
        with effects.watch("somebody"):
            logging.getLogger().setLevel(logging.CRITICAL)

    thread = threading.Thread(target=change)
    thread.start()
    thread.join(5)
    assert effects.lines == ["somebody changed the root logger's level: undone"]


def rude(site: Site, work: Path) -> None:
    """Two apps and a plugin that misbehave, and one that does not."""
    site.module("rude_app", RUDE)
    site.plugin("rude", POLITE.replace("{imports}", RUDE))
    site.plugin("polite", POLITE.replace("{imports}", ""))
    (work / "fps.toml").write_text('[[fps.mounts]]\npath = "/x"\napp = "rude_app:app"\n')


def test_command_names_who_changed_what(site: Site, work: Path, cli: Cli) -> None:
    rude(site, work)
    found = cli("check")
    assert found.returncode == 0
    assert found.stderr.splitlines() == [
        f'warning: plugin "rude" (rude 1.0) changed {CHANGED}',
        f"warning: fps.mounts[0].app (rude_app:app) changed {CHANGED}",
    ]


def test_server_still_logs_and_stops_after_rude_imports(
    site: Site, work: Path, serve: Serve
) -> None:
    rude(site, work)
    server = serve()
    assert httpx2.get(f"{server.url}/x").text == "rude"
    assert server.stop() == 0
    said = "\n".join(server.lines)
    assert said.count("warning: ") == 2
    assert "GET /x 200" in said


MAKES = """
import asyncio, logging, logging.config
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

def change():
    logging.config.dictConfig({"version": 1, "root": {"level": "CRITICAL"}})
    logging.getLogger().addHandler(logging.NullHandler())

def page(request):
    return PlainTextResponse(str(len(logging.getLogger().handlers)))

def plain(prefix):
    change()
    return Starlette(routes=[Route("/", page)])

async def later(prefix):
    await asyncio.sleep(0.01)
    return plain(prefix)

@asynccontextmanager
async def kept(prefix):
    await asyncio.sleep(0.01)
    yield plain(prefix)

@asynccontextmanager
async def lifespan(app):
    change()
    yield

living = Starlette(routes=[Route("/", page)], lifespan=lifespan)
"""


@pytest.mark.parametrize("factory", ["plain", "later", "kept"])
def test_effects_of_a_factory_are_undone_and_told(
    site: Site, work: Path, serve: Serve, factory: str
) -> None:
    site.module("makes", MAKES)
    mounted = f'[[fps.mounts]]\npath = "/x"\nfactory = true\napp = "makes:{factory}"\n'
    (work / "fps.toml").write_text(mounted)
    server = serve()
    assert httpx2.get(f"{server.url}/x").text == "1"
    assert server.stop() == 0
    said = "\n".join(server.lines)
    changed = (
        "the root logger's handlers, the root logger's level, which loggers are disabled: undone"
    )
    assert said.count(f"the factory of the app mounted at /x (fps.toml:4:7) changed {changed}") == 1
    assert said.count(": undone") == 1
    assert "GET /x 200" in said


def test_log_of_the_server_outlives_a_lifespan_and_so_does_what_that_adds(
    site: Site, work: Path, serve: Serve
) -> None:
    site.module("makes", MAKES)
    (work / "fps.toml").write_text('[[fps.mounts]]\npath = "/x"\napp = "makes:living"\n')
    server = serve()
    assert httpx2.get(f"{server.url}/x").text == "2"
    assert server.stop() == 0
    said = "\n".join(server.lines)
    assert "the start of the app changed the root logger's handlers, the root" in said
    assert "GET /x 200" in said


def test_only_the_steps_of_an_awaitable_are_watched() -> None:
    effects = Effects()
    root = logging.getLogger()

    async def other() -> None:
        root.setLevel(logging.CRITICAL)

    async def watched() -> object:
        task = asyncio.current_task()
        await asyncio.create_task(other())
        with pytest.raises(asyncio.CancelledError):
            await cancelled()
        root.addHandler(logging.NullHandler())
        return task

    async def cancelled() -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async def run() -> None:
        task = await stepwise(watched(), lambda: effects.watch("somebody"))
        assert task is asyncio.current_task()
        with pytest.raises(ValueError, match="broken"):
            await stepwise(broken(), lambda: effects.watch("somebody"))

    async def broken() -> None:
        await asyncio.sleep(0)
        raise ValueError("broken")

    asyncio.run(run())
    assert root.level == logging.CRITICAL
    assert effects.lines == ["somebody changed the root logger's handlers: undone"]


def test_library_leaves_its_host_as_it_is(
    site: Site, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rude(site, work)
    create_app()
    assert logging.getLogger().level == logging.CRITICAL
    assert type(asyncio.get_event_loop_policy()) is not asyncio.DefaultEventLoopPolicy
    assert capsys.readouterr() == ("", "")
    assert "rude_app" in sys.modules


CHANGES_THE_PROCESS = """
import os, socket
from starlette.applications import Starlette

os.chdir("/")
os.umask(0o777)
socket.setdefaulttimeout(0.001)
app = Starlette()
"""


def test_what_every_app_relies_on_is_undone_and_told(site: Site, cli: Cli) -> None:
    site.module("changes", CHANGES_THE_PROCESS)
    found = cli("check", "--fps.mounts=[{path = '/x', app = 'changes:app'}]")
    assert found.returncode == 0
    what = "the working directory, the umask, the timeout of new sockets"
    assert found.stderr == f"warning: fps.mounts[0].app (changes:app) changed {what}: undone\n"
