"""Listen before anything starts, so that a port in use costs one line and no start-up.

Never SO_REUSEPORT: with it a second server on the port starts in silence and takes half
of the traffic. hypercorn's own `create_sockets` leaks the socket that it cannot bind.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from hypercorn.config import Config

from fps_lite.errors import StartupError, refuse, system_reason

from .binds import Bind, binds_of
from .certificates import check_certificates
from .options import hypercorn_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from fps_lite.settings import FPSConfig

    from .binds import Role

PROBE_TIMEOUT = 1.0
_NO_SOCKET = "exists and is not a socket"
_ANSWERS = "another server answers there"


@dataclass(frozen=True, slots=True)
class Listener:
    """One socket that listens, and the file that it made, if it did."""

    bind: Bind
    socket: socket.socket
    url: str
    file: tuple[int, int] | None = None
    """Device and inode of the unix socket that we made."""

    def close(self) -> None:
        """Close the socket and remove its file, unless somebody else's is there now."""
        self.socket.close()
        with suppress(OSError):
            if self.file is not None and _identity(self.bind.name) == self.file:
                Path(self.bind.name).unlink()


@dataclass(frozen=True, slots=True)
class Sockets:
    """Every socket that we listen on; closed by `close()` or at the end of `with`."""

    listeners: tuple[Listener, ...]
    urls: tuple[str, ...] = field(init=False)
    """`http://127.0.0.1:8000`, `https://[::1]:8443`, `unix:/path`, with the real ports."""

    def __post_init__(self) -> None:
        urls = tuple(dict.fromkeys(one.url for one in self.listeners))
        object.__setattr__(self, "urls", urls)

    def of(self, role: Role) -> tuple[socket.socket, ...]:
        """Return the sockets that hypercorn knows as `role`."""
        return tuple(one.socket for one in self.listeners if one.bind.role == role)

    def close(self) -> None:
        """Close all sockets and remove the unix sockets' files that we made."""
        for one in self.listeners:
            one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def bind_sockets(settings: FPSConfig) -> Sockets:
    """Listen on all of the settings' addresses, or on none.

    Raise `StartupError` with each that is taken or cannot be had, `ConfigError` for settings
    that cannot work (`check_certificates`).
    """
    refuse(check_certificates(settings))
    config = hypercorn_config(settings)
    problems: list[StartupError] = []
    with ExitStack() as undo:
        listeners: list[Listener] = []
        for bind in binds_of(settings)[0]:
            try:
                listeners.append(_listen(bind, config))
                undo.callback(listeners[-1].close)
            except StartupError as error:
                problems.append(error)
        refuse(problems)
        undo.pop_all()
    return Sockets(tuple(listeners))


@contextmanager
def private_listener(path: Path) -> Iterator[Listener]:
    """Listen on a unix socket that only this user may use, while the body runs."""
    bind = Bind("fps.control_socket", "bind", "unix", str(path))
    config = Config()
    config.umask = 0o177
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot make {path.parent}: {system_reason(error)}"
        raise StartupError(message) from error
    listener = _listen(bind, config)
    try:
        yield listener
    finally:
        listener.close()


def _listen(bind: Bind, config: Config) -> Listener:
    try:
        with ExitStack() as undo:
            sock = undo.enter_context(_OPEN[bind.kind](bind, config))
            made = _identity(bind.name) if bind.kind == "unix" else None
            if sock.type == socket.SOCK_STREAM:
                sock.listen(config.backlog)
            # A program that a plugin starts must not keep the port.
            sock.set_inheritable(False)
            sock.settimeout(0)
            undo.pop_all()
            return Listener(bind, sock, url_of(sock, bind, config), made)
    except OSError as error:
        message = f"cannot listen on {bind}: {system_reason(error)}"
        raise StartupError(message) from error


def _tcp(bind: Bind, _config: Config) -> socket.socket:
    kind = _type_of(bind)
    family, _, _, _, address = socket.getaddrinfo(
        bind.name, bind.number, type=kind, flags=socket.AI_PASSIVE
    )[0]
    with ExitStack() as undo:
        sock = undo.enter_context(socket.socket(family, kind))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind(address)
        undo.pop_all()
        return sock


def _unix(bind: Bind, config: Config) -> socket.socket:
    _remove_stale(bind.name)
    with ExitStack() as undo:
        sock = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        with _umask(config.umask):
            sock.bind(bind.name)
        undo.callback(Path(bind.name).unlink)
        if config.user is not None and config.group is not None:
            os.chown(bind.name, config.user, config.group)
        undo.pop_all()
        return sock


def _inherited(bind: Bind, _config: Config) -> socket.socket:
    sock = socket.socket(fileno=bind.number)
    if sock.type != _type_of(bind):
        sock.detach()
        message = f"is not a {_type_of(bind).name} socket"
        raise OSError(message)
    return sock


_OPEN = {"tcp": _tcp, "unix": _unix, "fd": _inherited}


def _type_of(bind: Bind) -> socket.SocketKind:
    return socket.SOCK_DGRAM if bind.role == "quic_bind" else socket.SOCK_STREAM


def _remove_stale(path: str) -> None:
    """Remove a unix socket that nobody answers on; raise `OSError` for anything else."""
    try:
        if Path(path).exists() and not Path(path).is_socket():
            raise OSError(_NO_SOCKET)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(PROBE_TIMEOUT)
            probe.connect(path)
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        Path(path).unlink()
        return
    except TimeoutError:
        pass
    raise OSError(_ANSWERS)


@contextmanager
def _umask(mask: int | None) -> Iterator[None]:
    if mask is None:
        yield
        return
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _identity(path: str) -> tuple[int, int]:
    status = Path(path).stat()
    return status.st_dev, status.st_ino


def url_of(sock: socket.socket, bind: Bind, config: Config) -> str:
    """Return the URL of a socket that listens, with its real port."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{name}" if isinstance(name, str) else f"unix:{name!r}"
    is_secure = config.ssl_enabled and bind.role != "insecure_bind"
    host = f"[{name[0]}]" if sock.family == socket.AF_INET6 else name[0]
    return f"{'https' if is_secure else 'http'}://{host}:{name[1]}"
