"""A server that runs: where it is asked, and the file that names its process."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import click

from fps_lite.errors import ConfigError, StartupError, refuse, system_reason
from fps_lite.settings import Place

from .named import named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fps_lite.server import Sockets
    from fps_lite.settings import FPSConfig
    from fps_lite.supervisor import Answer, Question

    from .session import Session

WHICH = (
    ("--host", "HOST", "The address that the server listens on.", False),
    ("--port", "PORT", "Its port.", False),
    ("--bind", "ADDRESS", "HOST:PORT or unix:PATH, the first that it has.", True),
)


def of_a_server(command: Any) -> Any:
    """Give a command the options that say which server is meant."""
    for flag, metavar, said, many in reversed(WHICH):
        command = click.option(flag, metavar=metavar, help=said, multiple=many)(command)
    return command


def ask_server(session: Session, question: Question, given: dict[str, Any]) -> Answer:
    """Ask the server that the configuration describes; raise `StartupError` if none runs.

    A configuration that is broken describes none: then it is the one of this directory.
    """
    from fps_lite.supervisor import ask  # noqa: PLC0415 - not needed for less

    session.take_named(named(given))
    decoded = session.config.decode("fps", Place, only_known=True)
    broken = [*session.config.errors, *decoded.errors]
    if broken and not any(given.values()):
        here = _here()
        if here is None:
            refuse(broken)
        else:
            return ask(here, question)
    refuse(decoded.errors)
    place = decoded.value or Place()
    return ask(place.control_socket or _path(_address(place)), question)


def _here() -> Path | None:
    """Return where the one server is asked that runs in this directory."""
    from fps_lite.supervisor import of_directory  # noqa: PLC0415 - as above

    found = of_directory(_folder(), os.getcwd())  # noqa: PTH109 - as the server says it
    return found[0] if len(found) == 1 else None


def control_path(settings: FPSConfig, sockets: Sockets) -> Path:
    """Return where a server that listens on `sockets` is asked."""
    if settings.control_socket is not None:
        return settings.control_socket
    first = sockets.listeners[0]
    address = str(first.bind)
    if first.bind.kind != "unix":
        # The real port, and of an inherited socket the real address.
        real = first.url.rpartition("//")[2]
        named = first.bind.kind == "tcp"
        address = f"{address.rpartition(':')[0]}:{real.rpartition(':')[2]}" if named else real
    return _path(address)


def _address(settings: Place) -> str:
    address = settings.bind[0] if settings.bind else f"{settings.host}:{settings.port}"
    if address.endswith(":0"):
        raise ConfigError("fps.port: 0 is no port to ask a server on: write the one it serves on")
    return address


def _path(address: str) -> Path:
    name = re.sub(r"[^\w.]+", "-", address).strip("-")
    if address.startswith("unix:"):  # of any length, and relative to somewhere
        whole = str(Path(address.removeprefix("unix:")).absolute())
        name = f"unix-{hashlib.sha256(whole.encode()).hexdigest()[:16]}"
    return _folder() / f"{name}.sock"


def _folder() -> Path:
    from platformdirs import user_runtime_path  # noqa: PLC0415 - not needed for less

    with catch_warnings():  # that there is no such directory but /tmp's
        simplefilter("ignore")
        return user_runtime_path("fps-lite", appauthor=False)


@contextmanager
def pid_file(path: Path | None) -> Iterator[None]:
    """Keep this process's number in a file while the body runs."""
    if path is None:
        yield
        return
    own = f"{os.getpid()}\n"
    try:
        path.write_text(own)
    except OSError as error:
        message = f"cannot write the pid file {path}: {system_reason(error)}"
        raise StartupError(message) from error
    try:
        yield
    finally:
        with suppress(OSError):
            if path.read_text() == own:
                path.unlink()
