"""A secret is shown by nobody but its plugin: not in configuration, errors, logs or pages."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING

import httpx2
import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Server, Site

    Cli = Callable[..., subprocess.CompletedProcess[str]]
    Serve = Callable[..., Server]

PLAIN, NASTY, KEPT, LOW = "pl41n-t3xt", "na<st>y&\"q'\\é", "fr0m-a-file", "0verridden"
SECRETS = (PLAIN, NASTY, KEPT, LOW)
VAULT = """
    from starlette.routing import Route
    from fps_lite import PluginConfig, Secret, hookimpl

    class Vault(PluginConfig, frozen=True, kw_only=True):
        plain: Secret
        nasty: Secret
        kept: Secret
        size: int = 1

        def __post_init__(self):
            if self.size > 5:
                raise ValueError(f"too large for {self.plain.reveal()}")

    @hookimpl
    def config():
        return Vault

    @hookimpl
    def routes(config, context):
        texts = [one.reveal() for one in (config.plain, config.nasty, config.kept)]
        if config.size == 5:
            raise ValueError(f"cannot use {texts}")

        async def leak(request):
            context.logger.warning("plain %s, list %s", texts[1], texts)
            raise RuntimeError(" and ".join(texts))

        return [Route("/leak", leak)]

    @hookimpl
    async def lifespan(config, context):
        context.logger.info("opened with %s", config.nasty.reveal())
        if config.size == 4:
            raise OSError(config.nasty.reveal())
        yield
"""


@pytest.fixture
def vault(site: Site, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.plugin("vault", VAULT)
    (work / "kept.txt").write_text(KEPT + "\n")
    (work / "fps.toml").write_text(f'[vault]\nplain = "{LOW}"\nnasty = {{ env = "NASTY" }}\n')
    (work / "vault.toml").write_text(
        f'[vault]\nplain = "{PLAIN}"\nkept = {{ file = "kept.txt" }}\n'
    )
    monkeypatch.setenv("NASTY", NASTY)


def assert_no_secret(text: str) -> None:
    for secret in SECRETS:
        written = {secret, html.escape(secret), repr(secret)[1:-1], json.dumps(secret)[1:-1]}
        for form in (*written, html.escape(repr(secret)[1:-1])):
            assert form not in text


@pytest.mark.usefixtures("vault")
@pytest.mark.parametrize(
    "argv",
    [["config"], ["config", "--origin"], ["config", "--json"], ["config", "--origin", "--json"]],
)
def test_secrets_are_masked_in_the_configuration(cli: Cli, argv: list[str]) -> None:
    done = cli(*argv)
    assert done.returncode == 0
    assert_no_secret(done.stdout + done.stderr)
    assert done.stdout.count("***") >= 3


@pytest.mark.usefixtures("vault")
@pytest.mark.parametrize(
    "argv, code, said",
    [
        (["check", "--vault.size=6"], 3, "vault: too large for ***"),
        (["check", "--vault.size=big"], 3, 'vault.size: expected int, got "big"'),
        (["check", "--vault.size=5"], 4, "ValueError: cannot use ["),
        (["check", "--vault.kept=[1]", "--vault.size=6"], 3, "***"),
        (["request", "/leak"], 1, "RuntimeError: *** and *** and ***"),
        (["request", "/leak", "--vault.size=4"], 1, 'plugin "vault" did not start: OSError: ***'),
        (["serve", "--port=0", "--vault.size=4"], 1, 'plugin "vault" did not start: OSError: ***'),
    ],
)
def test_secrets_are_masked_in_errors(cli: Cli, argv: list[str], code: int, said: str) -> None:
    done = cli(*argv)
    assert said in done.stderr
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert_no_secret(done.stdout + done.stderr)


@pytest.mark.usefixtures("vault")
def test_secrets_are_masked_in_faulty_files(cli: Cli, work: Path) -> None:
    (work / "vault.toml").write_text(f'[vault]\nplain = ["{PLAIN}"]\nkept = {{ fil = "{KEPT}" }}\n')
    (work / "hello.toml").write_text(f"[hello]\ngreeting = {PLAIN}\n")
    done = cli("check")
    assert done.returncode == 3
    assert_no_secret(done.stdout + done.stderr)


@pytest.mark.usefixtures("vault")
@pytest.mark.parametrize("form", ["console", "logfmt", "json"])
def test_secrets_are_masked_in_logs_and_in_the_debug_page(serve: Serve, form: str) -> None:
    server = serve("--fps.debug", "--log-format", form, "--log-level=debug")
    text = httpx2.get(server.url + "/leak").text
    page = httpx2.get(server.url + "/leak", headers={"accept": "text/html"}).text
    assert server.stop() == 0
    for shown in (text, page, "\n".join(server.lines)):
        assert "RuntimeError" in shown
        assert "***" in shown
        assert_no_secret(shown)
