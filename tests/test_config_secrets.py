"""A secret's text is in `reveal()` and nowhere else, whatever goes wrong."""

from __future__ import annotations

import json
import string
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct, field

from fps_lite.config import Decoded, Option, effective, from_mapping, read
from fps_lite.secret import Secret
from fps_lite.settings import PluginConfig


class Login(Struct, frozen=True, forbid_unknown_fields=True):
    password: Secret
    name: str = ""

    def __post_init__(self) -> None:
        if self.name == "show":
            text = self.password.reveal()
            message = f"{text} {text!r} {text!a}"
            raise ValueError(message)


class Sealed(Struct, frozen=True, array_like=True):
    key: Secret
    number: int


class VaultConfig(PluginConfig, frozen=True):
    token: Secret | None = None
    tokens: list[Secret] = field(default_factory=list)
    login: Login | None = None
    by_name: dict[str, Secret] = field(default_factory=dict)
    sealed: Sealed | None = None
    count: int = 0


def vault(value: Any, environ: dict[str, str] | None = None, directory: Path = Path()) -> Any:
    config = from_mapping({"vault": {"token": value}}, directory=directory)
    return config.decode("vault", VaultConfig, environ=environ or {})


def test_a_secret_is_a_string_a_variable_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"from file\n\n")
    assert vault("plain").value.token.reveal() == "plain"
    assert vault({"env": "X"}, {"X": "from env"}).value.token.reveal() == "from env"
    found = vault({"file": "token"}, directory=tmp_path)
    assert found.value.token.reveal() == "from file\n"
    assert found.secrets == {"from file\n"}
    assert vault(Secret("ready")).secrets == {"ready"}


def test_the_environment_is_the_one_at_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    config = from_mapping({"vault": {"token": {"env": "VAULT_X"}}}, directory=Path())
    monkeypatch.setenv("VAULT_X", "now")
    assert config.decode("vault", VaultConfig).secrets == {"now"}


def test_a_secrets_file_is_relative_to_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/key").write_text("etc key\r\n")
    (tmp_path / "key").write_text("own key")
    (tmp_path / "etc/x.toml").write_text('[vault]\ntoken = { file = "key" }')
    (tmp_path / "fps.toml").write_text('[vault]\nlogin.password = { file = "key" }')
    option = Option("--vault.tokens", ("vault", "tokens"), "a,b")
    env = {"FPS_LITE__VAULT__BY_NAME__A": "{ file = 'key' }"}
    config = read(
        directory=tmp_path, environ=env, files=["etc/x.toml"], options=[option],
        shared_directories=(),
    )  # fmt: skip
    decoded = config.decode("vault", VaultConfig, environ={})
    assert decoded.errors == ()
    assert decoded.value is not None
    assert decoded.value.token == Secret("etc key")
    assert decoded.value.login == Login(Secret("own key"))
    assert decoded.value.by_name == {"a": Secret("own key")}
    assert decoded.secrets == {"etc key", "own key", "a", "b"}


@pytest.mark.parametrize(
    "value, what",
    [
        ({"env": "NOT_THERE"}, 'the environment variable "NOT_THERE" is not set'),
        ({"file": "nope"}, 'the secret\'s file "nope" cannot be read: no such file or directory'),
        ({"file": "."}, 'the secret\'s file "." cannot be read: is a directory'),
        ({"file": "bad"}, 'the secret\'s file "bad" is not UTF-8'),
        ({"file": "big"}, 'the secret\'s file "big" is larger than 1 MiB'),
        ({"file": "a\0b"}, 'the secret\'s file "a\\u0000b" cannot be read: '),
        ({"env": "X", "file": "Y"}, "expected a secret: "),
        ({"env": 3}, "expected a secret: "),
        ({"text": "hush"}, "expected a secret: "),
        (["hush"], "expected a secret: "),
        (123456, "expected a secret: "),
    ],
)
def test_a_secret_that_cannot_be_had_is_an_error(tmp_path: Path, value: Any, what: str) -> None:
    (tmp_path / "bad").write_bytes(b"\xff")
    (tmp_path / "big").write_bytes(b"x" * (1024 * 1024 + 1))
    decoded = vault(value, directory=tmp_path)
    (error,) = decoded.errors
    assert str(error).startswith(f"config: vault.token: {what}".rstrip())
    assert "hush" not in str(error)
    assert "123456" not in str(error)
    assert decoded.value == VaultConfig()


def from_option(key: str, text: str) -> Decoded[VaultConfig]:
    option = Option(f"--vault.{key}", ("vault", *key.split(".")), text)
    config = read(directory=Path(), environ={}, options=[option], shared_directories=())
    return config.decode("vault", VaultConfig)


@pytest.mark.parametrize("text", ['{ fil = "hush" }', '{ env = "A", x = "hush" }', "{}"])
@pytest.mark.parametrize("key", ["token", "login.password"])
def test_text_that_is_a_table_and_no_reference_is_no_secret(key: str, text: str) -> None:
    decoded = from_option(key, text)
    (error,) = decoded.errors
    assert str(error).startswith(f"--vault.{key}: vault.{key}: expected a secret: ")
    assert str(error).endswith(", got table")
    assert "hush" not in str(error)


@pytest.mark.parametrize("text", ["{ a = 1", '{"type": "account"}', "{", "{a}", "[1]"])
def test_text_that_is_no_table_is_a_secret_as_it_is(text: str) -> None:
    decoded = from_option("token", text)
    assert decoded.errors == ()
    assert decoded.secrets == {text}


@pytest.mark.parametrize(
    "text, line",
    [
        ('{token="hush", login={password="hush"}', "Unclosed inline table (column 39)"),
        ('{token="hush" login="hush"}', "Unclosed inline table (column 15)"),
        ('{token="hush", token="hush"}', "Duplicate inline table key 'token' (column 28)"),
        ('{token="hush}', "Unterminated string (column 14)"),
    ],
)
@pytest.mark.parametrize("model", [VaultConfig, PluginConfig])
def test_a_table_with_a_typo_is_an_error_that_shows_none_of_its_text(
    text: str, line: str, model: type[PluginConfig]
) -> None:
    config = read(
        directory=Path(), environ={"FPS_LITE__VAULT": text}, shared_directories=()
    )  # fmt: skip
    (error,) = config.decode("vault", model, only_known=model is PluginConfig).errors
    place, _, said = str(error).partition(" (")
    expected, _, column = line.partition(" (")
    assert place.startswith("FPS_LITE__VAULT: vault: invalid TOML: ")
    assert "hush" not in str(error)
    assert (place.endswith(expected), said) == (True, column)


@pytest.mark.parametrize("value", [3, "hush", ["hush"]])
def test_what_is_no_table_is_worded_alike_whoever_asks(value: Any) -> None:
    config = from_mapping({"vault": value}, directory=Path())
    found = {
        str(*config.decode("vault", model, only_known=only).errors)
        for model, only in ((VaultConfig, False), (PluginConfig, True), (PluginConfig, False))
    }
    (line,) = found
    assert line.startswith("config: vault: expected table, got ")
    assert "hush" not in line


def test_an_overridden_secret_is_known_too() -> None:
    config = from_mapping({"vault": {"tokens": ["low", "old"]}}, directory=Path())
    config = config.with_values("--x", {"vault": {"tokens": ["high"]}})
    assert config.decode("vault", VaultConfig).secrets == {"low", "old", "high"}


TEXTS = st.text(string.ascii_letters + "é€\n\t'\"\\", min_size=8, max_size=80).map("Zq7".__add__)
PLACES: list[Any] = [
    lambda text: {"token": text},
    lambda text: {"token": [text]},
    lambda text: {"token": {"env": 3, "x": text}},
    lambda text: {"token": {"text": text}},
    lambda text: {"tokens": text},
    lambda text: {"tokens": [text, 3]},
    lambda text: {"login": text},
    lambda text: {"login": [text]},
    lambda text: {"login": {"password": text, "name": "show"}},
    lambda text: {"login": {"password": text, "name": 3}},
    lambda text: {"login": {"password": {"password": text}}},
    lambda text: {"login": {"pasword": text}},
    lambda text: {"by_name": text},
    lambda text: {"by_name": {"x": text, "y": 3}},
    lambda text: {"sealed": [text, "x"]},
    lambda text: {"sealed": [3, text]},
    lambda text: {"sealed": text},
    lambda text: {"token": text, "count": text},
    lambda text: {"token": text, "count": "x" * 50 + text, "enabled": text},
    lambda text: {"token": text, text: 3},
    lambda text: {"token": Secret(text), "count": text},
]


@settings(deadline=None)
@given(text=TEXTS, place=st.sampled_from(PLACES), count=st.sampled_from(["fatal", "x"]))
def test_a_secrets_text_is_never_shown(text: str, place: Any, count: Any) -> None:
    config = from_mapping({"vault": {**place(text), "on_failure": count}}, directory=Path())
    decoded = config.decode("vault", VaultConfig)
    assert decoded.errors or count == "fatal"
    shown = json.dumps([str(error) for error in decoded.errors], ensure_ascii=False)
    shown += repr(decoded.value) + json.dumps(effective(decoded.value), ensure_ascii=False)
    assert "Zq7" not in shown


@settings(deadline=None)
@given(text=TEXTS, count=st.sampled_from(["1", "x"]))
def test_a_secret_from_a_variable_or_a_file_is_never_shown(text: str, count: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "key").write_bytes(text.encode())
        environ = {
            "KEY": text,
            "FPS_LITE__VAULT__TOKEN": "{ env = 'KEY' }",
            "FPS_LITE__VAULT__LOGIN": "{ password = { file = 'key' }, name = 'show' }",
            "FPS_LITE__VAULT__COUNT": count,
            "FPS_LITE__VAULT__TOKENS": text,
        }
        config = read(directory=Path(folder), environ=environ, shared_directories=())
        decoded = config.decode("vault", VaultConfig, environ=environ)
    assert text in decoded.secrets
    assert "Zq7" not in str(decoded.errors) + repr(decoded.value)
    assert len(decoded.errors) == (1 if count == "1" else 2)
