"""The harness: what it samples, what it refuses, and one tiny run of each of its parts."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

ROOT = Path(__file__).parent.parent
if not (ROOT / "benchmarks").is_dir():  # a source distribution has none
    pytest.skip("there are no benchmarks here", allow_module_level=True)

from benchmarks import environments, pairs, plan, processes, routing, shapes, targets  # noqa: E402
from benchmarks.workers.routing import Measured  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

UVICORN = (sys.executable, "-m", "uvicorn", "benchmarks.apps.stock:app", "--port", "{port}")
LIMIT = 50.0


def bench(*argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *argv]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False
    )


def nothing_installed() -> plan.Plan:
    return plan.Plan(plan.TINY, environments.Pythons({}), lambda _: None)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    for task in asyncio.all_tasks(made):
        task.cancel()
        made.run_until_complete(asyncio.wait({task}))
    made.close()


# What is sampled -----------------------------------------------------------------------------


def test_realistic_composition_has_the_counts_that_it_says() -> None:
    specs = shapes.jupyverse()
    assert len(shapes.by_plugin(specs)) == 13
    assert Counter(one.kind for one in specs) == {"http": 66, "websocket": 2, "mount": 4}
    assert Counter(len(one.parameters) for one in specs) == {0: 38, 1: 26, 2: 6, 3: 2}


def test_each_shape_and_each_part_of_the_table_has_its_share_of_requests() -> None:
    specs = shapes.flat(1_000)
    numbers = [int(body) for _, body in shapes.hits(specs, 100, Random(1))]
    assert Counter(one % 10 for one in numbers) == dict.fromkeys(range(10), 10)
    assert Counter(one // 100 for one in numbers) == dict.fromkeys(range(10), 10)


def test_parameters_are_others_in_each_request() -> None:
    with_parameter = [one for one in shapes.flat(10) if one.parameters]
    paths = [path for path, _ in shapes.hits(with_parameter, 500, Random(1))]
    assert len(set(paths)) == len(paths)


def test_paths_are_as_long_with_many_routes_as_with_few() -> None:
    few, many = (
        sum(len(path) for path, _ in shapes.hits(shapes.flat(count), 100, Random(1)))
        for count in (10, 10_000)
    )
    assert few == many


# How it is counted ---------------------------------------------------------------------------


def test_ratios_are_taken_within_a_round() -> None:
    found = pairs.ratios([2.0, 20.0, 200.0], [1.0, 10.0, 100.0])
    assert (found.median, found.low, found.high) == (2.0, 2.0, 2.0)


def test_each_round_has_every_subject_once_in_another_order() -> None:
    order: list[str] = []
    measures = {name: lambda _, name=name: order.append(name) for name in "abcdef"}
    pairs.rounds(measures, 5, lambda *_: None)
    each = ["".join(order[start : start + 6]) for start in range(0, 30, 6)]
    assert {"".join(sorted(one)) for one in each} == {"abcdef"}
    assert len(set(each)) > 1


def test_subject_that_fails_is_dropped_and_the_others_go_on() -> None:
    def fail(number: int) -> int:
        if number:
            raise pairs.Absent("it died")
        return number

    said: list[str] = []
    found = pairs.rounds(
        {"dies": fail, "lives": int}, 3, lambda key, why: said.append(f"{key}: {why}")
    )
    assert found == {"lives": [0, 1, 2]}
    assert said == ["dies: it died"]


def test_app_that_answers_wrongly_is_not_measured(loop: asyncio.AbstractEventLoop) -> None:
    measured = Measured("stock", loop)
    assert measured.build("flat", 20)["status"] == 200
    assert measured.check(20, seed=1) == {}
    measured.specs = shapes.flat(30)
    assert "expected 200" in measured.check(30, seed=1)["wrong"]


def test_target_says_whether_it_is_met_or_by_how_much_it_misses() -> None:
    most, least = (targets.Target("", "", 2.0, at_least=at_least) for at_least in (False, True))
    figures = (None, 2.0, 3.0, 8.0)
    assert [most.verdict(one) for one in figures] == [
        "not measured",
        "met",
        "misses by 50%",
        "misses by a factor of 4.0",
    ]
    assert [least.verdict(one) for one in (1.6, 2.0, 3.0)] == ["misses by 25%", "met", "met"]


def test_gate_is_closed_by_a_miss_and_by_measuring_nothing() -> None:
    figure, missed = (one.figure for one in targets.TARGETS[:2])
    assert targets.all_met({figure: 1.0})
    assert not targets.all_met({figure: 1.0, missed: 9.0})
    assert not targets.all_met({figure: None})


def test_every_target_is_about_a_figure_that_some_part_gives() -> None:
    """A figure's name that nobody gives would be "not measured" for ever."""
    measured = routing.Measurement({}, {})
    given = set(routing._figures(measured, nothing_installed()))
    for one in targets.TARGETS:
        generic = one.figure.replace("10000", "100").replace("1000", "100")
        if generic.startswith(("compiled/stock", "stock/compiled")) or "growth" in generic:
            assert generic in given | {"composed instructions growth"}


# Environments --------------------------------------------------------------------------------


def test_every_peer_is_pinned() -> None:
    loose = [
        one
        for made in environments.environments().values()
        for one in made.install
        if "==" not in one
    ]
    assert not loose


def test_environment_is_made_again_when_its_pins_change() -> None:
    one, other = (environments.Environment("a", (pin,)) for pin in ("x==1", "x==2"))
    assert one.key == environments.Environment("b", ("x==1",)).key != other.key


def test_peer_that_is_not_installed_is_skipped_with_a_line() -> None:
    tiny = nothing_installed()
    assert not any(one["rows"] for one in routing.run(tiny)["curves"].values())
    assert "skipped: Starlette: its environment is not installed" in tiny.skipped
    assert len(tiny.skipped) == len(set(tiny.skipped))


# A tiny run of each part ---------------------------------------------------------------------


def rows_of(part: str, found: dict[str, Any]) -> list[Any]:
    if part == "routing":
        return [row for curve in found["curves"].values() for row in curve["rows"]]
    return list(found["rows"])


@pytest.mark.parametrize(
    "part, expected",
    [
        ("routing", 21),
        ("building", 2),
        ("conflicts", 2),
        pytest.param("servers", 5, marks=pytest.mark.slow),
        ("startup", 2),
        ("configuration", None),
    ],
)
def test_part_runs_and_is_written(part: str, expected: int | None, tmp_path: Path) -> None:
    done = bench("run", part, "--size", "tiny", "--here", "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("*.json")
    result = json.loads(file.read_text(encoding="utf-8"))
    found = result["parts"][part]
    if expected is None:
        assert found["ratio"]["median"] > 1
    else:
        assert len(rows_of(part, found)) >= expected, result["skipped"]
    page = file.with_suffix(".md").read_text(encoding="utf-8")
    assert "## Targets" in page
    assert "| Starlette |" in page or part not in {"routing", "building"}
    assert os.uname().nodename not in page + file.read_text(encoding="utf-8")
    assert str(ROOT) not in page + file.read_text(encoding="utf-8")


def test_unknown_part_is_refused() -> None:
    done = bench("run", "roting", "--here")
    assert done.returncode == 2
    assert "unknown: roting" in done.stderr


def test_any_server_command_is_driven() -> None:
    done = bench("serve", "--json", "--path=/bench", "--rounds=1", "--seconds=0.2", "--", *UVICORN)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["us"]["median"] > 0
    assert found["memory"] > 2**20


def test_server_that_does_not_answer_is_reported_with_its_last_words() -> None:
    done = bench("serve", "--", sys.executable, "-c", "raise SystemExit('no such thing')")
    assert done.returncode == 1
    assert done.stderr.strip() == "no such thing"


def test_client_of_the_harness_counts_what_was_answered() -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with processes.serving(UVICORN, directory=ROOT, environ=environ) as server:
        before = server.cpu_ns()
        load = [sys.executable, "-m", "benchmarks.load", str(server.port), "/bench", "0.3"]
        done = subprocess.run(
            load, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=True
        )
        assert server.cpu_ns() > before
    assert int(done.stdout.splitlines()[-1].split()[0]) > 64
