from __future__ import annotations

import logging
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.testclient import TestClient


@pytest.fixture
def greeting() -> str:
    return "hello"


@pytest.fixture
def count() -> int:
    return 0


@pytest.fixture
def fps_config(greeting: str, count: int) -> dict[str, Any]:
    return {"hello": {"greeting": greeting, "count": count}}


def says(client: TestClient, **params: str) -> str:
    response = client.get("/hello", params=params)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    return response.text


@pytest.mark.parametrize("fps_config", [{}])
def test_hello_has_defaults(fps_client: TestClient) -> None:
    assert says(fps_client) == "hello world 0"


@pytest.mark.parametrize("greeting", ["hello", "hi", "grüß Gott,"])
def test_greeting_is_configured(fps_client: TestClient, greeting: str) -> None:
    assert says(fps_client) == f"{greeting} world 0"


@pytest.mark.parametrize("count", [1, 10])
def test_count_is_configured(fps_client: TestClient, count: int) -> None:
    assert says(fps_client) == f"hello world {count}"


@pytest.mark.parametrize(
    "fps_config, answer",
    [
        ({"hello": {}}, "hello world 0"),
        ({"hello": {"greeting": "hi"}}, "hi world 0"),
        ({"hello": {"count": 2}}, "hello world 2"),
        ({"hello": {"greeting": "hi", "count": 2}}, "hi world 2"),
    ],
)
def test_whole_configuration_is_replaced(fps_client: TestClient, answer: str) -> None:
    assert says(fps_client) == answer


@pytest.mark.parametrize("count", [0, 5])
@pytest.mark.parametrize("greeting", ["hello", "hi", "hola"])
def test_settings_are_combined(fps_client: TestClient, greeting: str, count: int) -> None:
    assert says(fps_client) == f"{greeting} world {count}"


def test_name_is_asked_for(fps_client: TestClient) -> None:
    assert says(fps_client, name="you") == "hello you 0"


@pytest.mark.parametrize("fps_config", [{"hello": {"random": True}}])
def test_random_number_is_up_to_250_and_changes(fps_client: TestClient) -> None:
    answers = {says(fps_client) for _ in range(30)}
    numbers = [int(re.fullmatch(r"hello world (\d+)", one)[1]) for one in answers]  # type: ignore[index]
    assert max(numbers) <= 250
    assert len(numbers) > 1


PREFIXED = [
    ({}, ""),
    ({"hello": {"prefix": "/x"}}, "/x"),
]


@pytest.mark.parametrize("fps_config, prefix", PREFIXED)
@pytest.mark.parametrize("path", ["/wrong_hello", "/bad_hello"])
def test_other_hellos_lead_to_hello(fps_client: TestClient, path: str, prefix: str) -> None:
    response = fps_client.get(prefix + path, follow_redirects=False)
    assert response.status_code == 307
    assert response.headers["location"] == f"{prefix}/hello"
    assert fps_client.get(prefix + path).text == "hello world 0"


@pytest.mark.parametrize("fps_config", [{"fps": {"root_path": "/out"}, "hello": {"prefix": "/x"}}])
@pytest.mark.parametrize("path", ["/x/wrong_hello", "/x/bad_hello"])
def test_redirect_knows_the_outer_root_path(fps_client: TestClient, path: str) -> None:
    response = fps_client.get(path, follow_redirects=False)
    assert response.headers["location"] == "/out/x/hello"


def test_wrong_hello_logs_a_warning(
    fps_client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        fps_client.get("/wrong_hello")
    (record,) = (one for one in caplog.records if "wrong hello" in one.getMessage())
    assert record.levelname == "WARNING"
    assert "/wrong_hello" in record.getMessage()


def test_reading_configuration_does_not_import_the_routes(tmp_path: Path) -> None:
    code = (
        "import atexit, sys; from fps_lite.cli import main; sys.argv[1:] = ['config'];"
        "atexit.register(lambda: print(*sys.modules)); main()"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=30, cwd=tmp_path)
    modules = set(done.stdout.splitlines()[-1].split())
    assert "fps_lite_hello.config" in modules
    assert "fps_lite_hello.routes" not in modules
