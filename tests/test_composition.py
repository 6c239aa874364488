"""Applications of other people, composed into one server and asked over a real socket."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx2
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Server, Site

    Cli = Callable[..., subprocess.CompletedProcess[str]]
    Serve = Callable[..., Server]

METRICS = """
from prometheus_client import Counter, make_asgi_app
from starlette.routing import Mount, Route
from starlette.responses import PlainTextResponse
from fps_lite import hookimpl

COUNTED = Counter("counted", "what /count counts")

async def count(request):
    COUNTED.inc()
    return PlainTextResponse("counted")

@hookimpl
def routes():
    return [Mount("/metrics", make_asgi_app()), Route("/count", count)]
"""
BROWSE = """
from pathlib import Path
from datasette.app import Datasette
from starlette.routing import Mount
from fps_lite import PluginConfig, hookimpl

class Browse(PluginConfig, frozen=True, kw_only=True):
    file: Path

@hookimpl
def config():
    return Browse

@hookimpl
def routes(config):
    return [Mount("", Datasette([str(config.file)]).app())]
"""


@pytest.fixture
def composed(site: Site, work: Path) -> None:
    site.plugin("metrics", METRICS)
    # By name it comes before hello; as the root mount it must come last all the same.
    site.plugin("browse", BROWSE)
    with sqlite3.connect(work / "birds.db") as database:
        database.execute("create table birds (name text, seen int)")
        database.executemany("insert into birds values (?, ?)", [("wren", 3), ("crane", 1)])
    database.close()
    (work / "fps.toml").write_text('[browse]\nfile = "birds.db"\n[hello]\ngreeting = "hi"\n')


@pytest.mark.usefixtures("composed")
def test_hello_prometheus_and_datasette_share_one_server(serve: Serve) -> None:
    server = serve()
    with httpx2.Client(base_url=server.url, timeout=20) as client:
        assert client.get("/hello").text == "hi world 0"
        assert client.get("/wrong_hello").headers["location"] == "/hello"
        assert client.get("/count").text == "counted"
        metrics = client.get("/metrics/")
        assert metrics.status_code == 200
        assert "counted_total 1.0" in metrics.text
        front = client.get("/")
        assert front.status_code == 200
        assert "birds" in front.text
        rows = client.get("/birds/birds.json?_shape=array&_sort=name").json()
        assert [(row["name"], row["seen"]) for row in rows] == [("crane", 1), ("wren", 3)]
        assert client.get("/-/versions.json").json()["datasette"]["version"]
        style = client.get("/-/static/app.css")
        assert style.headers["content-type"].startswith("text/css")
        # What nobody has is the root's to refuse.
        missing = client.get("/nowhere")
        assert missing.status_code == 404
        assert "Datasette" in missing.text or "birds" in missing.text
    assert server.stop() == 0
    assert not any("did not end" in line for line in server.lines)


@pytest.mark.slow
@pytest.mark.usefixtures("composed")
def test_composition_has_no_conflicts_and_the_root_comes_last(cli: Cli) -> None:
    found = cli("check")
    assert (found.returncode, found.stderr) == (0, "")
    rows = json.loads(cli("routes", "--json").stdout)
    by_plugin = {row["plugin"]: row for row in rows}
    assert by_plugin["browse"] | {"endpoint": ""} == {
        "plugin": "browse", "distribution": "browse", "version": "1.0", "kind": "mount",
        "methods": None, "path": "/", "name": "", "endpoint": "",
    }  # fmt: skip
    assert {"/metrics/", "/hello", "/count"} <= {row["path"] for row in rows}


@pytest.mark.slow
@pytest.mark.usefixtures("composed")
def test_one_request_needs_no_server(cli: Cli) -> None:
    found = cli("request", "/birds/birds.json?_shape=array")
    assert (found.returncode, found.stderr) == (0, "")
    assert {row["name"] for row in json.loads(found.stdout)} == {"wren", "crane"}
    assert cli("request", "/metrics/").returncode == 0
    assert cli("request", "/hello").stdout == "hi world 0"


@pytest.mark.usefixtures("composed")
def test_second_application_at_the_root_is_a_conflict_naming_both(cli: Cli, site: Site) -> None:
    site.plugin("other", BROWSE)
    found = cli("check", "--other.file=birds.db")
    assert (found.returncode, found.stdout) == (4, "")
    assert found.stderr.count("\n") == 1
    assert '"browse"' in found.stderr
    assert '"other"' in found.stderr


@pytest.mark.usefixtures("composed")
def test_applications_under_a_prefix_answer_there(serve: Serve) -> None:
    server = serve("--metrics.prefix=/internal", "--root-path", "/outer")
    with httpx2.Client(base_url=server.url, timeout=20) as client:
        assert "counted_total" in client.get("/outer/internal/metrics/").text
        assert client.get("/outer/internal/count").text == "counted"
        assert client.get("/outer/hello").text == "hi world 0"
        assert client.get("/outer/wrong_hello").headers["location"] == "/outer/hello"
    assert server.stop() == 0


def test_the_two_applications_are_really_theirs() -> None:
    code = "import datasette, prometheus_client; print(datasette.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "site-packages" in found.stdout
