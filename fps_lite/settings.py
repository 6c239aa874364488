"""The tables that fps-lite itself reads: `[fps]` and below, and every plugin's own keys.

A setting has one home: its name, type, bounds and default stand here and nowhere else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, dataclass_transform

from msgspec import UNSET, Meta, Struct, UnsetType, field

from .secret import Secret


# Checkers have to be told what msgspec does: a subclass is frozen like its base.
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class _Table(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of settings: frozen, and strict about unknown keys."""


Prefix = Annotated[str, Meta(pattern=r"^(/[^/{}\s]+)*(?!\n)$", description='"" or like "/x"')]
Seconds = Annotated[float, Meta(gt=0, description="seconds")]
Port = Annotated[int, Meta(ge=0, le=65535)]


class PluginConfig(_Table, frozen=True, kw_only=True):
    """What every plugin can be told, and the base of a plugin's own config.

    These three keys are read before the plugin is imported.
    """

    enabled: bool = True
    """False: the plugin is not imported."""
    prefix: Prefix = ""
    """Put before the path of each of the plugin's routes and mounts."""
    on_failure: Literal["fatal", "isolate"] = "fatal"
    """`isolate`: when it fails, its routes answer 503 and the others go on."""


Size = Annotated[int, Meta(ge=1, description="bytes")]
Count = Annotated[int, Meta(ge=1)]


class HypercornConfig(_Table, frozen=True, kw_only=True):
    """`[fps.hypercorn]`: hypercorn's options, under hypercorn's names; unset is its default."""

    moved: ClassVar[dict[str, str]] = {
        "accesslog": "fps.logging.access",
        "bind": "fps.bind",
        "debug": "fps.debug",
        "errorlog": "fps.logging",
        "graceful_timeout": "fps.drain_timeout",
        "logconfig": "fps.logging",
        "logconfig_dict": "fps.logging",
        "loglevel": "fps.logging.level",
        "root_path": "fps.root_path",
        "shutdown_timeout": "fps.shutdown_timeout",
        "startup_timeout": "fps.startup_timeout",
        "use_reloader": "fps.reload",
        "workers": "fps.workers",
    }
    """Options that have a key of their own: hypercorn's name to ours."""

    refused: ClassVar[dict[str, str]] = {
        "access_log_format": "fps-lite writes its own access log: fps.logging.format",
        "application_path": "the app is composed of plugins",
        "cert_reqs": "is verify_mode under its old name",
        "daemon": "fps-lite starts its own workers",
        "logger_class": "hypercorn logs through fps.logging",
        "pid_path": "fps-lite starts its own workers",
        "worker_class": "uvloop is used when it is installed",
        "wsgi_max_body_size": "a WSGI app is mounted, not served",
    }
    """Options that only hypercorn's own command reads: its name to why ours does not."""

    alpn_protocols: list[Literal["h2", "http/1.1"]] | UnsetType = UNSET
    alt_svc_headers: list[str] | UnsetType = UNSET
    backlog: Count | UnsetType = UNSET
    ca_certs: Path | UnsetType = UNSET
    certfile: Path | UnsetType = UNSET
    ciphers: str | UnsetType = UNSET
    dogstatsd_tags: str | UnsetType = UNSET
    group: int | UnsetType = UNSET
    h11_max_incomplete_size: Size | UnsetType = UNSET
    h11_pass_raw_headers: bool | UnsetType = UNSET
    h2_max_concurrent_streams: Annotated[int, Meta(ge=1, lt=2**31)] | UnsetType = UNSET
    h2_max_header_list_size: Size | UnsetType = UNSET
    h2_max_inbound_frame_size: Annotated[int, Meta(ge=2**14, lt=2**24)] | UnsetType = UNSET
    include_date_header: bool | UnsetType = UNSET
    include_server_header: bool | UnsetType = UNSET
    insecure_bind: list[str] | UnsetType = UNSET
    keep_alive_max_requests: Count | UnsetType = UNSET
    keep_alive_timeout: Seconds | UnsetType = UNSET
    keyfile: Path | UnsetType = UNSET
    keyfile_password: Secret | UnsetType = UNSET
    max_app_queue_size: Count | UnsetType = UNSET
    max_requests: Count | UnsetType = UNSET
    max_requests_jitter: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    quic_bind: list[str] | UnsetType = UNSET
    read_timeout: Seconds | UnsetType = UNSET
    server_names: list[str] | UnsetType = UNSET
    ssl_handshake_timeout: Seconds | UnsetType = UNSET
    statsd_host: str | UnsetType = UNSET
    statsd_prefix: str | UnsetType = UNSET
    umask: Annotated[int, Meta(ge=0, le=0o777)] | UnsetType = UNSET
    user: int | UnsetType = UNSET
    verify_flags: list[str] | UnsetType = UNSET
    verify_mode: Literal["none", "optional", "required"] | UnsetType = UNSET
    websocket_max_message_size: Size | UnsetType = UNSET
    websocket_ping_interval: Seconds | UnsetType = UNSET


class LoggingConfig(_Table, frozen=True, kw_only=True):
    """`[fps.logging]`: what the command logs while it serves."""

    level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    format: Literal["auto", "console", "logfmt", "json"] = "auto"
    """`auto` is `console` on a terminal and `logfmt` elsewhere."""
    file: Path | None = None
    """Written to instead of stderr; SIGUSR1 opens it anew."""
    access: bool = True
    """One line for each request."""
    access_sample: Annotated[float, Meta(ge=0, le=1)] = 1.0
    """The share of requests that have a line; those that fail (5xx) all have one."""
    request_id_header: bool = False
    """Answers carry the request's id as `x-request-id`."""


class MountConfig(_Table, frozen=True, kw_only=True):
    """One of `[[fps.mounts]]`: an importable app, mounted without a plugin."""

    path: Annotated[
        str,
        Meta(pattern=r"^(/[^/{}\s]+)*/?$", description='like "/tools", without spaces or braces'),
    ]
    app: Annotated[str, Meta(pattern=r"^[\w.]+:[\w.]+$", description='"module:object"')]
    name: str | None = None
    factory: bool = False
    """`app` is called with the public prefix, and returns the app."""
    strip_prefix: bool = False
    """Show the app its paths without the prefix."""
    lifespan: bool = True
    """`false` leaves the app's lifespan alone."""
    wsgi: bool = False
    on_failure: Literal["fatal", "isolate"] = "fatal"
    """`isolate`: when it fails, its path answers 503 and the others go on."""


class Selection(_Table, frozen=True, kw_only=True):
    """Which plugins take part: the keys of `[fps]` that are read before all others."""

    enabled_plugins: list[str] = field(default_factory=list)
    """If not empty, only these plugins are enabled."""
    disabled_plugins: list[str] = field(default_factory=list)
    """These plugins are not even imported; wins over `enabled_plugins`."""
    required_plugins: list[str] = field(default_factory=list)
    """Plugins that must be there, with version ranges: `auth>=2,<3`."""
    plugins: dict[str, str] = field(default_factory=dict)
    """Plugins without packaging: name to `module` or `module:object`."""


class Place(Selection, frozen=True, kw_only=True):
    """Where a server is: the keys of `[fps]` by which other commands find it."""

    host: str = "127.0.0.1"
    port: Port = 8000
    """0 picks a free one, which `serve` prints."""
    bind: list[str] = field(default_factory=list)
    """`HOST:PORT`, `unix:PATH`, `fd://N`; if set, replaces host and port."""
    control_socket: Path | None = None
    """Where `reload`, `stop` and `status` ask; else in the user's runtime directory."""


class FPSConfig(Place, frozen=True, kw_only=True):
    """`[fps]`: the core's own table."""

    host: str = "127.0.0.1"
    port: Port = 8000
    """0 picks a free port, which `serve` prints."""
    bind: list[str] = field(default_factory=list)
    """`HOST:PORT`, `unix:PATH`, `fd://N`; if set, replaces host and port."""
    root_path: Prefix = ""
    """The path under which a proxy shows the server; told to plugins."""
    workers: Annotated[int, Meta(ge=0)] = 1
    """Processes; 0 serves inside the command's own."""
    reload: bool = False
    open_browser: bool = False
    mounts: list[MountConfig] = field(default_factory=list)
    """Apps that are mounted after all plugins' routes, the longest path first."""
    debug: bool = False
    fast_path: bool = True
    """Answer plain routes in one coroutine, where no middleware forces the long way."""
    startup_timeout: Seconds = 60.0
    """For each plugin's start."""
    shutdown_timeout: Seconds = 10.0
    """For each plugin's stop."""
    drain_timeout: Seconds = 10.0
    """For the requests that still run when the server stops."""
    blocked_timeout: Seconds = 30.0
    """A worker whose event loop does not turn for so long is replaced."""
    pid_file: Path | None = None
    """Written when the server is ready."""
    hypercorn: HypercornConfig = field(default_factory=HypercornConfig)
    logging: LoggingConfig = field(default_factory=LoggingConfig)
