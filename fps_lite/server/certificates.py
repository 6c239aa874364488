"""Open what TLS needs before anything listens: hypercorn does so only after start-up."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from fps_lite.errors import ConfigError, system_reason

from .options import hypercorn_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypercorn.config import Config

    from fps_lite.settings import FPSConfig


def check_certificates(settings: FPSConfig) -> tuple[ConfigError, ...]:
    """Return what is wrong with addresses, options and TLS files; bind nothing.

    Each problem is one line that starts with its key, `fps.hypercorn.certfile: …`.
    """
    try:
        config = hypercorn_config(settings)
    except ConfigError as error:
        return tuple(ConfigError(problem) for problem in error.problems)
    if not config.ssl_enabled:
        return ()
    return tuple(_unreadable(config)) or tuple(_unusable(config))


def _unreadable(config: Config) -> Iterator[ConfigError]:
    for name in ("certfile", "keyfile", "ca_certs"):
        path = getattr(config, name)
        if path is None:
            continue
        try:
            with Path(path).open("rb") as file:
                file.read(1)
        except OSError as error:
            yield _error(name, f"{path}: {system_reason(error)}")


def _unusable(config: Config) -> Iterator[ConfigError]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.set_ciphers(config.ciphers)
    except ssl.SSLError:
        yield _error("ciphers", f'"{config.ciphers}": OpenSSL knows no such cipher')
    if not _has_certificates(config.certfile):
        yield _error("certfile", f"{config.certfile}: has no certificate in PEM form")
    else:
        yield from _chain(context, config)
    if config.ca_certs is not None and not _has_certificates(config.ca_certs):
        yield _error("ca_certs", f"{config.ca_certs}: has no certificate in PEM form")


def _has_certificates(path: str | None) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except ssl.SSLError:
        return False
    return True


def _chain(context: ssl.SSLContext, config: Config) -> Iterator[ConfigError]:
    asked: list[str] = []

    def password() -> str:
        # Without a callback OpenSSL asks on the terminal.
        asked.append("password")
        return config.keyfile_password or ""

    try:
        context.load_cert_chain(str(config.certfile), config.keyfile, password)
    except ssl.SSLError as error:
        yield _key_error(config, error, encrypted=bool(asked))


def _key_error(config: Config, error: ssl.SSLError, *, encrypted: bool) -> ConfigError:
    if error.reason == "KEY_VALUES_MISMATCH":
        return _error("keyfile", f"{config.keyfile}: is not the key of {config.certfile}")
    if encrypted and config.keyfile_password is None:
        return _error("keyfile", f"{config.keyfile}: is encrypted: set keyfile_password")
    if encrypted:
        return _error("keyfile_password", f"does not open {config.keyfile}")
    return _error("keyfile", f"{config.keyfile}: cannot be used ({error.reason or 'not PEM'})")


def _error(name: str, problem: str) -> ConfigError:
    return ConfigError(f"fps.hypercorn.{name}: {problem}")
