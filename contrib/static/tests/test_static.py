from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from fps_lite import ConfigError, PluginError, create_app

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """Return a directory with a page, a style sheet, a site below it and a way out of it."""
    directory = tmp_path / "public"
    (directory / "inner").mkdir(parents=True)
    (directory / "index.html").write_text("<p>outer")
    (directory / "404.html").write_text("<p>nothing here")
    (directory / "app.css").write_text("p {}")
    (directory / "inner" / "index.html").write_text("<p>inner")
    (tmp_path / "private.txt").write_text("private")
    (directory / "link.txt").symlink_to(tmp_path / "private.txt")
    return directory


@pytest.fixture
def fps_config(public: Path) -> dict[str, Any]:
    directories = {"/assets": str(public), "/assets/deep": str(public / "inner")}
    return {"static": {"directories": directories, "sites": {"/site": str(public)}}}


def test_file_is_served_as_it_is(fps_client: TestClient) -> None:
    response = fps_client.get("/assets/app.css")
    assert response.text == "p {}"
    assert response.headers["content-type"].startswith("text/css")
    assert fps_client.get("/assets/none.css").status_code == 404
    assert fps_client.post("/assets/app.css").status_code == 405


def test_index_stands_for_a_directory_of_a_site_alone(fps_client: TestClient) -> None:
    assert fps_client.get("/site/").text == "<p>outer"
    assert fps_client.get("/site/inner/").text == "<p>inner"
    assert fps_client.get("/assets/").status_code == 404
    missing = fps_client.get("/site/none")
    assert (missing.status_code, missing.text) == (404, "<p>nothing here")


def test_longest_public_path_wins(fps_client: TestClient) -> None:
    assert fps_client.get("/assets/deep/index.html").text == "<p>inner"


@pytest.mark.parametrize("path", ["link.txt", "../private.txt", "%2e%2e/private.txt"])
@pytest.mark.parametrize("mount", ["/assets", "/site"])
def test_nothing_outside_is_served(fps_client: TestClient, mount: str, path: str) -> None:
    response = fps_client.get(f"{mount}/{path}")
    assert response.status_code == 404
    assert "private" not in response.text


def test_directory_is_relative_to_its_file(
    public: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (public / "extra.toml").write_text('[static.directories]\n"/deep" = "inner"\n')
    monkeypatch.setenv("FPS_CONFIG_FILE", str(public / "extra.toml"))
    with TestClient(create_app(directory=tmp_path)) as client:
        assert client.get("/deep/index.html").text == "<p>inner"


def test_missing_directory_is_an_error_that_names_it(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    with pytest.raises(PluginError, match="missing") as refused:
        create_app({"static": {"directories": {"/assets": missing}}})
    assert "static" in str(refused.value)
    assert missing in str(refused.value)


@pytest.mark.parametrize("path", ["assets", "/", "/assets/", "/{name}"])
def test_public_path_that_is_none_is_an_error(public: Path, path: str) -> None:
    with pytest.raises(ConfigError, match=r"static\.directories"):
        create_app({"static": {"directories": {path: str(public)}}})


@pytest.mark.parametrize("fps_config", [{}])
def test_nothing_is_served_by_default(fps_client: TestClient) -> None:
    assert fps_client.get("/assets/app.css").status_code == 404


def test_reading_configuration_does_not_import_the_routes(tmp_path: Path) -> None:
    code = (
        "import atexit, sys; from fps_lite.cli import main; sys.argv[1:] = ['config'];"
        "atexit.register(lambda: print(*sys.modules)); main()"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=30, cwd=tmp_path)
    modules = set(done.stdout.splitlines()[-1].split())
    assert "fps_lite_static.config" in modules
    assert "fps_lite_static.routes" not in modules
