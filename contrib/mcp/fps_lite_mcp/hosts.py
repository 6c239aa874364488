"""Whom a server answers: a page of elsewhere must not talk to it through a user's browser.

Such a page can give its own name the address of this machine, but not send another `Host`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp.server.transport_security import TransportSecuritySettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fps_lite.settings import FPSConfig

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
EVERYWHERE = {"0.0.0.0", "[::]", ""}  # noqa: S104 - what is listened on is not decided here


def security_of(settings: FPSConfig, allowed: Iterable[str]) -> TransportSecuritySettings:
    """Return the hosts and origins that are answered: those listened on, and `allowed`.

    Any host is, where the server listens on all addresses, a unix socket or a descriptor, and
    none is named in `allowed`: nobody knows its name then.
    """
    named = list(allowed)
    bound = [_host(bind) for bind in settings.bind] or [_bracketed(settings.host)]
    if not named and EVERYWHERE.intersection(bound):
        return TransportSecuritySettings(enable_dns_rebinding_protection=False)
    hosts = [with_port for host in (*LOOPBACK, *bound, *named) for with_port in _any_port(host)]
    origins = [f"{scheme}://{host}" for host in hosts for scheme in ("http", "https")]
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)


def _host(bind: str) -> str:
    if bind.startswith(("unix:", "fd://")):
        return ""
    return _bracketed(bind.rpartition(":")[0])


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _any_port(host: str) -> tuple[str, ...]:
    return (host, f"{host}:*") if host not in EVERYWHERE else ()
