"""Several threads and processes write to one place: whole lines, and nobody waits for ever."""

from __future__ import annotations

import fcntl
import io
import logging
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fps_lite.logs import Turns
from fps_lite.logs.files import LogFile
from fps_lite.logs.printing import _Lines, print_whole_lines
from fps_lite.logs.writing import PATIENCE, LineHandler, Outlet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORK = multiprocessing.get_context("fork")
LONG = 200_000


class Pipe:
    """A pipe whose other end is read at once, from `reading` on."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.data = b""
        self._thread = threading.Thread(target=self._read)

    def reading(self) -> Pipe:
        self._thread.start()
        return self

    def lines(self) -> list[bytes]:
        """Return all lines; nobody writes any more."""
        self.end()
        assert self.data.endswith(b"\n")
        return self.data.split(b"\n")[:-1]

    def end(self) -> None:
        os.close(self.writer)
        self._thread.join(20)
        os.close(self.reader)

    def _read(self) -> None:
        while chunk := os.read(self.reader, 65536):
            self.data += chunk


def letters(count: int) -> list[bytes]:
    return [bytes([letter]) for letter in range(97, 97 + count)]


def assert_whole(lines: list[bytes], per_writer: int, *writers: bytes) -> None:
    assert all(line == line[:1] * len(line) for line in lines)
    assert sorted(line[:1] for line in lines) == sorted(writers * per_writer)


def test_lines_of_processes_and_their_threads_are_whole_whatever_their_length() -> None:
    pipe, turns = Pipe(), Turns.shared()

    def write(outlet: Outlet, letter: bytes) -> None:
        for number in range(60):
            assert outlet.write(letter * (LONG if number % 10 == 0 else number + 1) + b"\n", 20)

    def child(one: bytes, other: bytes) -> None:
        outlet = Outlet(pipe.writer, Turns(turns.descriptor))
        thread = threading.Thread(target=write, args=(outlet, one))
        thread.start()
        write(outlet, other)
        thread.join()

    names = letters(6)
    pairs = zip(names[::2], names[1::2], strict=True)
    children = [FORK.Process(target=child, args=pair) for pair in pairs]
    for one in children:
        one.start()
    pipe.reading()
    for one in children:
        one.join(20)
    assert_whole(pipe.lines(), 60, *names)


def test_line_that_a_killed_process_has_begun_is_ended_before_the_next() -> None:
    pipe, turns = Pipe(), Turns.shared()

    def child() -> None:
        Outlet(pipe.writer, Turns(turns.descriptor)).write(b"a" * LONG + b"\n", None)

    process = FORK.Process(target=child)
    process.start()
    while not turns.of(pipe.writer).is_cut:
        time.sleep(0.01)
    process.kill()
    process.join(20)
    pipe.reading()
    assert Outlet(pipe.writer, turns).write(b"b\n", 20)
    first, second = pipe.lines()
    assert first == b"a" * len(first)
    assert len(first) < LONG
    assert second == b"b"


def test_nobody_waits_for_ever_for_a_process_that_was_stopped_in_its_turn() -> None:
    pipe, turns = Pipe().reading(), Turns.shared()
    begun = FORK.Event()

    def child() -> None:
        Turns(turns.descriptor).of(pipe.writer).take(20)
        begun.set()
        time.sleep(60)

    process = FORK.Process(target=child)
    process.start()
    begun.wait(20)
    os.kill(process.pid or 0, signal.SIGSTOP)
    outlet = Outlet(pipe.writer, turns)
    began = time.monotonic()
    assert not outlet.write(b"a\n", PATIENCE)
    assert time.monotonic() - began < PATIENCE + 10
    process.kill()
    process.join(20)
    assert outlet.write(b"b\n", 20)
    assert pipe.lines() == [b"b"]


def test_record_that_comes_while_another_is_written_comes_after_it() -> None:
    pipe = Pipe()
    stream = os.fdopen(os.dup(pipe.writer), "w")
    handler = LineHandler(stream)
    logger = logging.Logger("x")  # noqa: LOG001 - of this test alone
    logger.addHandler(handler)
    logger.info("a" * 50_000)  # the next one begins, and then waits
    before = signal.signal(signal.SIGALRM, lambda *_: logger.info("b"))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    starting = threading.Timer(0.5, pipe.reading)
    starting.start()
    try:
        logger.info("c" * LONG)
    finally:
        signal.signal(signal.SIGALRM, before)
        starting.join()
        stream.close()
    assert [line[:1] for line in pipe.lines()] == [b"a", b"c", b"b"]


def test_process_that_is_forked_while_a_thread_has_its_turn_writes() -> None:
    pipe, turns = Pipe().reading(), Turns.shared()
    outlet = Outlet(pipe.writer, turns)
    begun, over = threading.Event(), threading.Event()

    def hold() -> None:
        with turns.of(pipe.writer).taken():
            begun.set()
            over.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    begun.wait(20)
    process = FORK.Process(target=lambda: outlet.write(b"a\n", 20))
    process.start()
    time.sleep(0.2)
    over.set()
    thread.join(20)
    process.join(20)
    assert process.exitcode == 0
    assert pipe.lines() == [b"a"]


def test_turn_is_done_without_where_its_lock_is_gone() -> None:
    pipe, turns = Pipe().reading(), Turns.shared()
    os.close(turns.descriptor or 0)  # as a program does that becomes a daemon
    assert Outlet(pipe.writer, turns).write(b"a\n", 20)
    assert pipe.lines() == [b"a"]
    with pytest.raises(OSError, match="Bad file descriptor"):
        fcntl.fcntl(turns.descriptor or 0, fcntl.F_GETFD)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=20).map(lambda one: one.replace(b"a", b"\n")), max_size=20))
def test_whatever_parts_it_is_printed_in_lines_are_written_whole(parts: list[bytes]) -> None:
    class Seen(Outlet):
        def __init__(self) -> None:
            self.seen: list[bytes] = []

        def write(self, data: bytes, patience: float | None) -> bool:
            assert patience is None
            self.seen.append(data)
            return True

    outlet = Seen()
    lines = _Lines(outlet)
    assert [lines.write(part) for part in parts] == [len(part) for part in parts]
    assert all(one.endswith(b"\n") for one in outlet.seen)
    whole = b"".join(parts)
    assert b"".join(outlet.seen) == whole[: whole.rfind(b"\n") + 1]
    lines.flush()
    assert b"".join(outlet.seen) == whole


@contextmanager
def streams(stdout: int, stderr: int) -> Iterator[None]:
    before = sys.stdout, sys.stderr
    try:
        with os.fdopen(os.dup(stdout), "w") as out, os.fdopen(os.dup(stderr), "w") as err:
            sys.stdout, sys.stderr = out, err
            print_whole_lines(Turns.shared())
            yield
            for one in (sys.stdout, sys.stderr):
                one.detach()
    finally:
        sys.stdout, sys.stderr = before


def test_threads_print_whole_lines_to_stdout_and_stderr() -> None:
    pipe = Pipe().reading()
    names = letters(4)

    def write(letter: bytes) -> None:
        for number in range(50):
            where = sys.stdout if number % 2 else sys.stderr
            print(letter.decode() * 30_000, end="", file=where)
            print(letter.decode() * 10_000, file=where)

    with streams(pipe.writer, pipe.writer):
        threads = [threading.Thread(target=write, args=(name,)) for name in names]
        for one in threads:
            one.start()
        for one in threads:
            one.join(20)
        assert sys.stdout.fileno() != sys.stderr.fileno()
        assert not sys.stdout.isatty()
    assert_whole(pipe.lines(), 50, *names)


def test_stream_that_is_closed_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", before := io.StringIO())
    print_whole_lines(Turns())
    assert sys.stderr is before


def test_file_is_appended_to_and_goes_on_under_its_new_name_until_it_is_reopened(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before\n")
    file = LogFile(path)
    handler = LineHandler(cast("io.StringIO", io.TextIOWrapper(cast("BinaryIO", io.BytesIO()))))
    handler.reopen()  # of one without a file
    outlet = Outlet(file.descriptor, Turns())
    outlet.write(b"first\n", 0)
    path.rename(tmp_path / "old")
    outlet.write(b"second\n", 0)
    file.reopen()
    outlet.write(b"third\n", 0)
    file.close()
    assert (tmp_path / "old").read_bytes() == b"before\nfirst\nsecond\n"
    assert path.read_bytes() == b"third\n"
    assert not os.get_inheritable(os.open(path, os.O_RDONLY))


def test_line_for_which_the_disk_has_no_room_is_counted(tmp_path: Path) -> None:
    def child() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        file = LogFile(tmp_path / "log")
        logger = logging.Logger("x")  # noqa: LOG001 - of this test alone
        logger.addHandler(LineHandler(sys.stderr, None, file))
        logger.info("first")
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
        logger.info("second")
        logger.info("third")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        logger.info("fourth")

    process = FORK.Process(target=child)
    process.start()
    process.join(20)
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[0] == "first"
    assert lines[-1] == "fourth"
    assert "log lines dropped, as they could not be written: 2" in lines


def test_who_waits_at_one_place_holds_nobody_up_at_another(tmp_path: Path) -> None:
    pipe, turns = Pipe(), Turns.shared()

    def child() -> None:
        os.dup2(pipe.writer, 1)
        Outlet(1, Turns(turns.descriptor)).write(b"a" * LONG + b"\n", None)

    process = FORK.Process(target=child)
    process.start()
    while not turns.places[1].is_cut:
        time.sleep(0.01)
    file = LogFile(tmp_path / "log")
    assert Outlet(file.descriptor, turns).write(b"b\n", 0)
    file.close()
    process.kill()
    process.join(20)
    pipe.reading()
    pipe.end()
    assert (tmp_path / "log").read_bytes() == b"b\n"
