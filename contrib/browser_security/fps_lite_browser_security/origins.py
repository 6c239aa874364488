"""Origins: where a page comes from, as a browser names it in `Origin`."""

from __future__ import annotations

import re
from ipaddress import IPv6Address

from msgspec import Struct

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_PORT = 65535

_ORIGIN = re.compile(
    r"([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?",
    re.ASCII | re.IGNORECASE,
)


class Origin(Struct, frozen=True):
    """A scheme, a host and a port; two ways to write one origin are equal."""

    scheme: str
    host: str
    port: int | None
    """None is the scheme's default."""

    def __str__(self) -> str:
        """Return the origin as a browser writes it."""
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"

    def is_at(self, host: str) -> bool:
        """Tell whether a `Host` header names this origin's host and port.

        It says no scheme, so that of the origin is taken for it.
        """
        return origin_of(f"{self.scheme}://{host}") == self


def origin_of(text: str) -> Origin | None:
    """Return the origin that is written so, or None for what is none: `null`, a URL."""
    found = _ORIGIN.fullmatch(text)
    host = _host(found[2].lower()) if found else None
    if found is None or host is None:
        return None
    scheme, port = found[1].lower(), int(found[3]) if found[3] else None
    if port is not None and port > MAX_PORT:
        return None
    return Origin(scheme, host, None if port == DEFAULT_PORTS.get(scheme) else port)


def _host(name: str) -> str | None:
    """Return a host as it is compared: there are many ways to write an IPv6 address."""
    if not name.startswith("["):
        return name
    try:
        return f"[{IPv6Address(name[1:-1])}]"
    except ValueError:
        return None
