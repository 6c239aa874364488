"""Sockets that pass on: from their owner to hypercorn, and from a parent to its workers."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from .binds import binds_of
from .options import hypercorn_config
from .sockets import Listener, Sockets, url_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypercorn.config import Config

    from fps_lite.settings import FPSConfig

    from .binds import Role


def given(sockets: Sockets, config: Config) -> tuple[Config, list[int]]:
    """Return `config` bound to `sockets`, and the descriptors that hypercorn will close."""
    descriptors = []
    roles: tuple[Role, ...] = ("bind", "insecure_bind", "quic_bind")
    for role in roles:
        # hypercorn owns what it is given, and closes it in its own time.
        copies = [os.dup(one.fileno()) for one in sockets.of(role)]
        setattr(config, role, [f"fd://{number}" for number in copies])
        descriptors += copies
    return config, descriptors


def inherited(settings: FPSConfig, descriptors: Sequence[int]) -> Sockets:
    """Return the sockets of `settings`, which a parent has bound, by their descriptors."""
    config = hypercorn_config(settings)
    listeners = []
    for bind, number in zip(binds_of(settings)[0], descriptors, strict=True):
        sock = socket.socket(fileno=number)
        sock.set_inheritable(False)
        sock.settimeout(0)
        listeners.append(Listener(bind, sock, url_of(sock, bind, config)))
    return Sockets(tuple(listeners))
