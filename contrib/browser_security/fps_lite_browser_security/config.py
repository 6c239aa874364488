"""What `[browser_security]` may hold.

A table that is there turns its feature on; `enabled = false` in it turns it off again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, field

from fps_lite import PluginConfig, hookimpl

from .directives import Directives
from .origins import origin_of

if TYPE_CHECKING:
    from collections.abc import Iterable

YEAR = 365 * 24 * 60 * 60

_ORIGIN = r"[A-Za-z][A-Za-z0-9+.-]*://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
_LIKE = 'an origin like "https://app.example.org", without a path'

OriginText = Annotated[str, Meta(pattern=rf"^{_ORIGIN}(?!\n)$", description=_LIKE)]
AllowedOrigin = Annotated[
    str, Meta(pattern=rf"^(\*|{_ORIGIN})(?!\n)$", description=f'"*" or {_LIKE}')
]
Method = Annotated[
    str, Meta(pattern=r"^(\*|[A-Z]+)(?!\n)$", description='"*" or a method in capitals')
]
HeaderName = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+(?!\n)$", description='"*" or a header\'s name')
]
PathPrefix = Annotated[
    str, Meta(pattern=r"^(/[^/{}?#%\s]+)+(?!\n)$", description='a path like "/hooks"')
]
PublicHost = Annotated[
    str,
    Meta(
        pattern=r"^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(?!\n)$",
        description='a host like "www.example.org", no URL',
    ),
]
Seconds = Annotated[int, Meta(ge=0, description="seconds")]


class _Feature(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table that turns on what it configures."""

    enabled: bool = True
    """False turns it off, where a lower layer has the table."""


class CorsConfig(_Feature, frozen=True, kw_only=True):
    """`[browser_security.cors]`: which other origins' pages may read answers."""

    origins: Annotated[list[AllowedOrigin], Meta(min_length=1)]
    methods: list[Method] = field(default_factory=lambda: ["GET"])
    headers: list[HeaderName] = field(default_factory=list)
    """Request headers that such a page may set."""
    expose_headers: list[HeaderName] = field(default_factory=list)
    """Headers of an answer that such a page may read."""
    credentials: bool = False
    """Let such a page send cookies, and read what only the user may."""
    max_age: Seconds = 600
    """How long a browser may remember the answer to a preflight."""

    def __post_init__(self) -> None:
        """Refuse any origin with credentials: each site could read all that its visitor may."""
        _refuse_unreadable("origins", (one for one in self.origins if one != "*"))
        if self.credentials and "*" in self.origins:
            raise ValueError(
                'origins "*" with credentials: name the origins that may act as a user'
            )


class CspConfig(_Feature, frozen=True, kw_only=True):
    """`[browser_security.csp]`: what a page may load, run, and be framed by."""

    directives: Directives
    """A list of sources for each directive."""
    report_only: bool = False
    """Only report what the policy would block."""

    def __post_init__(self) -> None:
        """Refuse what browsers would take for no policy at all."""
        if not self.directives.policy:
            raise ValueError("directives: set one at least, like default-src")


class CrossSiteConfig(_Feature, frozen=True, kw_only=True):
    """`[browser_security.cross_site]`: refuse changes that another site's page asks for."""

    trusted_origins: list[OriginText] = field(default_factory=list)
    """Other origins whose pages may ask for changes."""
    exempt: list[PathPrefix] = field(default_factory=list)
    """Paths, and all below them, that are not checked."""

    def __post_init__(self) -> None:
        """Refuse what looks like an origin and is none."""
        _refuse_unreadable("trusted_origins", self.trusted_origins)


class HttpsConfig(_Feature, frozen=True, kw_only=True):
    """`[browser_security.https]`: redirect plain HTTP."""

    host: PublicHost
    """Where to, with the port unless it is 443: what a request's `Host` says is never used."""
    exempt: list[PathPrefix] = field(default_factory=list)
    """Paths, and all below them, that are answered on plain HTTP, too."""

    def __post_init__(self) -> None:
        """Refuse what looks like a host and is none."""
        if origin_of(f"https://{self.host}") is None:
            raise ValueError(f'host: "{self.host}" is no host')


class HstsConfig(_Feature, frozen=True, kw_only=True):
    """`[browser_security.hsts]`: tell browsers to come by HTTPS alone."""

    max_age: Seconds = YEAR
    """How long browsers remember it; 0 makes them forget."""
    include_subdomains: bool = False
    preload: bool = False
    """Ask to be in the list that browsers are shipped with."""

    def __post_init__(self) -> None:
        """Refuse what the list would not take."""
        if self.preload and not (self.include_subdomains and self.max_age >= YEAR):
            raise ValueError(f"preload needs include_subdomains = true and max_age >= {YEAR}")


class BrowserSecurityConfig(PluginConfig, frozen=True, kw_only=True):
    """The table `[browser_security]`."""

    forwarded_proto: bool = False
    """A proxy in front sets `X-Forwarded-Proto`: take its word for HTTPS."""
    cors: CorsConfig | None = None
    csp: CspConfig | None = None
    cross_site: CrossSiteConfig | None = None
    https: HttpsConfig | None = None
    hsts: HstsConfig | None = None


def _refuse_unreadable(key: str, texts: Iterable[str]) -> None:
    for text in texts:
        if origin_of(text) is None:
            raise ValueError(f'{key}: "{text}" is no origin')


@hookimpl
def config() -> type[BrowserSecurityConfig]:
    """Declare the table."""
    return BrowserSecurityConfig
