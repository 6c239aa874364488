"""Sockets that a service manager has opened, as sd_listen_fds(3) has it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .session import Session

FIRST = 3
"""The first descriptor that is passed."""


def take_activation(session: Session) -> None:
    """Serve on the sockets that this process was given, if nothing else is said."""
    variables = [os.environ.pop(f"LISTEN_{name}", "") for name in ("PID", "FDS", "FDNAMES")]
    pid, number, _ = variables
    keys = ("host", "port", "bind")
    if pid != str(os.getpid()) or any(session.config.is_set("fps", key) for key in keys):
        return
    binds = [f"fd://{FIRST + i}" for i in range(int(number or 0))]
    if binds:
        session.add_option("fps.bind", json.dumps(binds))
