"""What clients lose when the server is reloaded, broken, killed and stopped: nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
if not (ROOT / "benchmarks").is_dir():  # a source distribution has none
    pytest.skip("there are no benchmarks here", allow_module_level=True)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]
SLACK = 5.0
"""Seconds that a busy machine may take longer."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Ask everything once; return the figures of each row."""
    output = tmp_path_factory.mktemp("faults")
    command = [sys.executable, "-m", "benchmarks.faults", "--quick", "--alone"]
    subprocess.run(
        [*command, "--output", str(output)],
        cwd=ROOT,
        capture_output=True,
        timeout=190,
        check=False,  # 1: slower than promised, which these tests allow
    )
    (file,) = output.glob("*.json")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["rows"]
    return {title: cells["fps-lite"]["figures"] for title, cells in found.items()}


@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
def test_kept_connections_lose_nothing_in_reloads(rows: dict[str, Any]) -> None:
    found = rows["reloads, `wrk`, connections kept"]
    assert found["reloads"] >= 2
    assert found["requests"] > 100
    assert (sum(found["errors"]), found["not 2xx"]) == (0, 0)


def test_new_connections_lose_nothing_in_reloads(rows: dict[str, Any]) -> None:
    found = rows["reloads, a connection for each request"]
    assert found["reloads"] >= 2
    assert found["requests"] > 100
    assert found["failed"] == {}
    assert found["slowest"] < SLACK


@pytest.mark.skipif(not shutil.which("h2load"), reason="h2load is not installed")
def test_streams_of_http2_that_were_sent_are_answered_in_reloads(rows: dict[str, Any]) -> None:
    found = rows["reloads, `h2load`, HTTP/2 over TLS"]
    assert found["reloads"] >= 2
    assert found["requests"] > 100
    assert found["failed"] == 0


def test_websockets_and_event_streams_live_to_the_deadline_of_a_reload(
    rows: dict[str, Any],
) -> None:
    found = rows["a reload with open streams"]
    assert found["websockets"] == {"1012": 25}
    assert found["event streams"] == {"clean": 25}
    assert 2.8 < found["first"] <= found["last"] < 3 + 2 * SLACK


def test_broken_reloads_fail_no_request_and_say_why_in_one_line(rows: dict[str, Any]) -> None:
    found = rows["broken reloads"]
    assert len(found) >= 10
    for one in found.values():
        assert one["failed"] == 0
        assert one["requests"] > 10
        assert one["same workers"]
        assert len(one["reasons"]) == 1


def test_killed_workers_lose_what_they_had_accepted_and_no_more(rows: dict[str, Any]) -> None:
    found = rows["`kill -9` of a worker each second"]
    assert found["kills"] == len(found["spawned"]) == 4
    assert max(found["spawned"]) < SLACK
    assert found["besides"] == 0
    assert sum(found["lost"].values()) <= found["accepted"]
    assert found["lost, in the access log"] == 0


def test_requests_in_flight_are_answered_when_the_server_stops(rows: dict[str, Any]) -> None:
    found = rows["SIGTERM, 50 requests in flight"]
    assert (found["answered"], found["exit"]) == (50, 0)


def test_clients_that_never_end_do_not_hold_the_server(rows: dict[str, Any]) -> None:
    found = rows["SIGTERM, an endless stream, a client that never reads"]
    assert found["exit"] == 0
    assert found["after"] < 4 + SLACK
