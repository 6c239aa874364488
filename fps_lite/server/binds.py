"""Where to listen: the texts of `fps.bind` and its like, read strictly.

hypercorn reads `80a` as a host name and `::1` as a port: what is not clear is refused here.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Literal

from msgspec import UNSET

from fps_lite.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fps_lite.settings import FPSConfig

Role = Literal["bind", "insecure_bind", "quic_bind"]

FORMS = "expected HOST:PORT, [IPV6]:PORT, unix:PATH or fd://N"
QUIC_FORMS = "expected HOST:PORT, [IPV6]:PORT or fd://N"
MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Bind:
    """One address to listen on: `tcp` host and port, `unix` path, or `fd` number."""

    key: str
    """The setting it came from, like `fps.bind`."""
    role: Role
    """hypercorn's name for what is served there."""
    kind: Literal["tcp", "unix", "fd"]
    name: str = ""
    """The host, without brackets, or the path."""
    number: int = 0
    """The port or the file descriptor."""

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix:{self.name}"
        if self.kind == "fd":
            return f"fd://{self.number}"
        return f"[{self.name}]:{self.number}" if ":" in self.name else f"{self.name}:{self.number}"


def binds_of(settings: FPSConfig) -> tuple[tuple[Bind, ...], tuple[ConfigError, ...]]:
    """Return every address that `settings` names, and what is wrong with the others."""
    read = list(_read(settings))
    binds = tuple(one for one in read if isinstance(one, Bind))
    return binds, tuple(one for one in read if isinstance(one, ConfigError))


def _read(settings: FPSConfig) -> Iterator[Bind | ConfigError]:
    if settings.bind:
        for text in settings.bind:
            yield _parse("fps.bind", "bind", text)
    else:
        yield _host_and_port(settings.host, settings.port)
    roles: tuple[Role, ...] = ("insecure_bind", "quic_bind")
    for role in roles:
        texts = getattr(settings.hypercorn, role)
        for text in () if texts is UNSET else texts:
            yield _parse(f"fps.hypercorn.{role}", role, text)


def _host_and_port(host: str, port: int) -> Bind | ConfigError:
    if _is_host(host) or _is_ipv6(host):
        return Bind("fps.host", "bind", "tcp", host.strip("[]"), port)
    return ConfigError(f'fps.host: expected a host name or address, got "{host}"')


def _parse(key: str, role: Role, text: str) -> Bind | ConfigError:
    forms = QUIC_FORMS if role == "quic_bind" else FORMS
    refused = ConfigError(f'{key}: "{text}": {forms}')
    if not text.isprintable():
        return refused
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        return Bind(key, role, "unix", path) if path and role != "quic_bind" else refused
    if text.startswith("fd://"):
        number = _number(text.removeprefix("fd://"))
        return refused if number is None else Bind(key, role, "fd", "", number)
    host, _, digits = text.rpartition(":")
    port = _number(digits)
    if not _is_host(host) or port is None or port > MAX_PORT:
        return refused
    return Bind(key, role, "tcp", host.strip("[]"), port)


def _number(digits: str) -> int | None:
    short = digits.isascii() and digits.isdigit() and len(digits) <= len(str(MAX_PORT))
    return int(digits) if short else None


def _is_host(host: str) -> bool:
    if host.startswith("[") and host.endswith("]"):
        return _is_ipv6(host[1:-1])
    return host.isprintable() and not set(host) & set("[]:/ ") and _is_name(host)


def _is_name(host: str) -> bool:
    try:
        return bool(host.encode("idna"))  # as the system is asked for it
    except UnicodeError:
        return False


def _is_ipv6(host: str) -> bool:
    try:
        return bool(IPv6Address(host))
    except ValueError:
        return False
