"""A running server's own socket: what it is asked there, and what it answers.

One question and one answer for each connection, both one JSON object and a line. Only the
user that runs the server may ask: the socket's mode is 0600.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct, field

from fps_lite.errors import FPSError, StartupError, kind_of
from fps_lite.server import private_listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from .supervisor import Supervisor

LONGEST = 4096
"""Bytes of a question."""


class Question(Struct, frozen=True):
    """What a client wants."""

    wants: Literal["status", "reload", "stop"]
    force: bool = False
    """Reload even if nothing has changed."""


class WorkerStatus(Struct, frozen=True):
    """One worker."""

    pid: int
    generation: int
    state: Literal["starting", "serving", "draining"]
    uptime: float
    """Seconds since it was started."""
    requests: int
    """Answered, as of a second ago."""


class Status(Struct, frozen=True):
    """A running server."""

    pid: int
    directory: str
    """Its working directory."""
    urls: list[str]
    generation: int
    """0 until the first one serves."""
    uptime: float
    """Seconds."""
    requests: int
    """Answered by the workers that run."""
    workers: list[WorkerStatus]
    reloaded: float | None
    """Seconds since the last reload ended, or None."""
    reload: str
    """How it ended."""


class Answer(Struct, frozen=True):
    """What the server says."""

    said: str = ""
    problems: list[str] = field(default_factory=list)
    code: int = 0
    status: Status | None = None


@asynccontextmanager
async def answering(path: Path, supervisor: Supervisor, urls: Sequence[str]) -> AsyncIterator[None]:
    """Answer on `path` while the body runs."""
    kept: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError, asyncio.LimitOverrunError):
            question = msgspec.json.decode(await reader.readline(), type=Question)
            said = await _answer(question, supervisor, urls)
            writer.write(msgspec.json.encode(said) + b"\n")
            await writer.drain()
            if question.wants == "stop":
                kept.append(writer)  # the end of the process ends the connection
                return
        writer.close()

    with private_listener(path) as listener:
        server = await asyncio.start_unix_server(answer, sock=listener.socket, limit=LONGEST)
        try:
            yield
        finally:
            server.close()


async def _answer(question: Question, supervisor: Supervisor, urls: Sequence[str]) -> Answer:
    if question.wants == "status":
        return Answer(status=_status(supervisor, urls))
    if question.wants == "stop":
        supervisor.stop()
        return Answer("stopping")
    error, said = await supervisor.reload(force=question.force).result
    if error is None:
        return Answer(said)
    return Answer(said, [*error.problems], error.exit_code)


def _status(supervisor: Supervisor, urls: Sequence[str]) -> Status:
    now = time.time()
    workers = [
        WorkerStatus(child.pid, one.number, child.state, now - child.began, child.requests)
        for one in supervisor.generations
        for child in one.children
        if not child.over.is_set()
    ]
    when, how = supervisor.last_reload or (None, "")
    return Status(
        pid=os.getpid(),
        directory=os.getcwd(),  # noqa: PTH109 - text, as it goes over the line
        urls=[*urls],
        generation=supervisor.current.number if supervisor.current else 0,
        uptime=now - supervisor.began,
        requests=sum(one.requests for one in workers),
        workers=workers,
        reloaded=None if when is None else now - when,
        reload=how,
    )


def ask(path: Path, question: Question) -> Answer:
    """Ask the server that listens on `path`; raise `StartupError` if there is none.

    A `stop` returns when the server has ended.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.connect(str(path))
            _refuse_strangers(path)
            with line.makefile("rwb") as stream:
                stream.write(msgspec.json.encode(question) + b"\n")
                stream.flush()
                answer = msgspec.json.decode(stream.readline(), type=Answer)
                if question.wants == "stop":
                    stream.read()
    except (FileNotFoundError, ConnectionRefusedError):
        message = f"no server runs here: nobody listens on {path}"
        raise StartupError(message) from None
    except (ConnectionResetError, msgspec.DecodeError):
        message = f"the server on {path} ended before it answered"
        raise StartupError(message) from None
    except OSError as error:
        message = f"the server on {path} did not answer: {error}"
        raise StartupError(message) from error
    return answer


def of_directory(folder: Path, directory: str) -> list[Path]:
    """Return where those servers listen, of all in `folder`, that run in `directory`."""
    found = []
    for path in sorted(folder.glob("*.sock")):
        with suppress(StartupError):
            status = ask(path, Question("status")).status
            if status is not None and status.directory == directory:
                found.append(path)
    return found


def _refuse_strangers(path: Path) -> None:
    owner, own = path.stat().st_uid, os.geteuid()
    if own not in (0, owner):
        message = f"{path} belongs to another user ({owner})"
        raise StartupError(message)


def refused(answer: Answer) -> FPSError | None:
    """Return the error that an answer tells of, if it does."""
    if not answer.problems:
        return None
    return kind_of(answer.code)(*answer.problems)
