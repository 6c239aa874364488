"""Whom a server answers: a page of elsewhere must not talk to it through a user's browser.

Such a page can give its own name the address of this machine, but not send another `Host`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fps_lite.settings import FPSConfig

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
EVERYWHERE = {"0.0.0.0", "[::]", ""}  # noqa: S104 - what is listened on is not decided here
DEFAULT_PORTS = (80, 443)

_HOST = re.compile(r"(\[[^\[\]]+\]|[^\[\]:/?#@\s]+)(?::(\d{1,5}))?")


@dataclass(frozen=True)
class Host:
    """A name or address, and a port, as a request names them or as a rule allows them."""

    name: str
    port: int | None = None
    """In a rule None is any; in a request it is that of the scheme, which a proxy may hide."""

    def allows(self, other: Host) -> bool:
        """Tell whether this, as a rule, allows what a request names."""
        below = self.name.startswith("*.") and other.name.endswith(self.name[1:])
        if self.name != other.name and not below:
            return False
        is_implied = other.port is None and self.port in DEFAULT_PORTS
        return is_implied or self.port in (None, other.port)


@dataclass(frozen=True)
class Hosts:
    """The hosts that are answered."""

    rules: tuple[Host, ...] | None
    """None: any."""

    def allow(self, text: str) -> bool:
        """Tell whether requests are answered that name this host, with or without a port."""
        if self.rules is None:
            return True
        named = host_of(text)
        return named is not None and any(rule.allows(named) for rule in self.rules)


def hosts_of(settings: FPSConfig, allowed: Iterable[str]) -> Hosts:
    """Return the hosts that are answered: those listened on, and `allowed`.

    Any host is, where the server listens on all addresses, a unix socket or a descriptor, and
    none is named in `allowed`: nobody knows its name then.
    """
    named = [_bracketed(one) for one in allowed]
    binds = [*settings.bind, *(settings.hypercorn.insecure_bind or ())]
    bound = [_host(bind) for bind in binds]
    if not settings.bind:
        bound.append(_bracketed(settings.host))
    if "*" in named or (not named and EVERYWHERE.intersection(bound)):
        return Hosts(None)
    texts = [*LOOPBACK, *(one for one in bound if one not in EVERYWHERE), *named]
    return Hosts(tuple(filter(None, map(host_of, texts))))


def host_of(text: str) -> Host | None:
    """Return the host of `NAME` or `NAME:PORT`, or None for what is no host."""
    found = _HOST.fullmatch(text)
    return Host(_name(found[1]), int(found[2]) if found[2] else None) if found else None


def _name(text: str) -> str:
    """Return a name as it is compared: there are many ways to write one."""
    bare = text.strip("[]").rstrip(".").lower()
    try:
        return str(ip_address(bare))
    except ValueError:
        pass
    try:
        return bare.encode("idna").decode()  # as a browser sends it
    except UnicodeError:
        return bare


def _host(bind: str) -> str:
    if bind.startswith(("unix:", "fd://")):
        return ""
    return _bracketed(bind.rpartition(":")[0])


def _bracketed(host: str) -> str:
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host
