"""Our settings as hypercorn's configuration, and everything in them that cannot work.

hypercorn ignores in silence what does not fit together (a certificate without its key
serves cleartext): here each such combination is an error.
"""

from __future__ import annotations

import logging
import ssl
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypercorn.config import Config
from msgspec import UNSET

from fps_lite.errors import ConfigError, refuse
from fps_lite.secret import Secret

from .binds import binds_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fps_lite.settings import FPSConfig, HypercornConfig

    from .binds import Bind

OURS: dict[str, Any] = {
    # asyncio accepts up to this many connections in one go, so a killed worker loses them.
    "backlog": 512,
    # At the limit hypercorn drops the HTTP/2 streams that still run on the connection.
    "keep_alive_max_requests": 2**31 - 1,
    "include_server_header": False,
}
"""Where our default is not hypercorn's."""

NEEDS = {
    "alpn_protocols": "certfile",
    "ca_certs": "certfile",
    "certfile": "keyfile",
    "ciphers": "certfile",
    "dogstatsd_tags": "statsd_host",
    "group": "user",
    "insecure_bind": "certfile",
    "keyfile": "certfile",
    "keyfile_password": "keyfile",
    "max_requests_jitter": "max_requests",
    "quic_bind": "certfile",
    "ssl_handshake_timeout": "certfile",
    "statsd_prefix": "statsd_host",
    "user": "group",
    "verify_flags": "certfile",
    "verify_mode": "certfile",
}
"""Options that do nothing without another one."""

FOR_UNIX_SOCKETS = ("group", "umask", "user")

VERIFY_MODES = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}


def hypercorn_config(settings: FPSConfig) -> Config:
    """Return hypercorn's configuration of `settings`; raise `ConfigError` with all problems."""
    binds, problems = binds_of(settings)
    refuse((*problems, *_combinations(settings, binds), *_texts(settings.hypercorn)))
    return Config.from_mapping(
        {
            **OURS,
            **{name: _converted(name, value) for name, value in _given(settings.hypercorn)},
            "accesslog": None,
            "bind": [str(bind) for bind in binds if bind.role == "bind"],
            "errorlog": logging.getLogger("hypercorn.error"),
            "graceful_timeout": settings.drain_timeout,
            "root_path": settings.root_path,
        }
    )


def _given(options: HypercornConfig) -> Iterator[tuple[str, Any]]:
    for name in options.__struct_fields__:
        value = getattr(options, name)
        if value is not UNSET:
            yield name, value


def _converted(name: str, value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Secret):
        return value.reveal()
    if name == "verify_mode":
        return VERIFY_MODES[value]
    if name == "verify_flags":
        return _verify_flags(value)
    return value


def _verify_flags(names: list[str]) -> ssl.VerifyFlags:
    flags = ssl.VerifyFlags(0)
    for name in names:
        flags |= ssl.VerifyFlags[_flag(name)]
    return flags


def _flag(name: str) -> str:
    return f"VERIFY_{name.upper().removeprefix('VERIFY_')}"


def _combinations(settings: FPSConfig, binds: tuple[Bind, ...]) -> Iterator[ConfigError]:
    given = dict(_given(settings.hypercorn))
    for name in given:
        needed = NEEDS.get(name)
        if needed and needed not in given:
            yield _error(name, f"does nothing without fps.hypercorn.{needed}")
    if given.get("verify_mode", "none") != "none" and "ca_certs" not in given:
        yield _error("verify_mode", "no client can be verified without fps.hypercorn.ca_certs")
    if not any(bind.kind == "unix" for bind in binds):
        for name in given.keys() & set(FOR_UNIX_SOCKETS):
            yield _error(name, "is for unix sockets, and fps.bind has none")
    if "quic_bind" in given and find_spec("aioquic") is None:
        yield _error("quic_bind", 'HTTP/3 needs aioquic: pip install "hypercorn[h3]"')
    if "max_requests" in given and settings.workers == 0:
        yield _error("max_requests", "fps.workers = 0 has nobody who starts a new worker")


def _texts(options: HypercornConfig) -> Iterator[ConfigError]:
    """Check the texts whose form a struct cannot say."""
    flags = [] if options.verify_flags is UNSET else options.verify_flags
    for name in flags:
        if _flag(name) not in ssl.VerifyFlags.__members__:
            known = [flag.removeprefix("VERIFY_").lower() for flag in ssl.VerifyFlags.__members__]
            yield _error("verify_flags", f'"{name}": expected {", ".join(sorted(known))}')
    if options.statsd_host is not UNSET:
        host, _, port = options.statsd_host.rpartition(":")
        if not host or not (port.isascii() and port.isdigit()):
            yield _error("statsd_host", f'"{options.statsd_host}": expected HOST:PORT')


def _error(name: str, problem: str) -> ConfigError:
    return ConfigError(f"fps.hypercorn.{name}: {problem}")
