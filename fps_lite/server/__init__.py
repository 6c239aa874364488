"""Serve an app with hypercorn: settings to options, addresses to sockets, one run of one app."""

from __future__ import annotations

from .blocking import main_thread_place
from .certificates import check_certificates
from .handing import inherited
from .loops import run_alone
from .options import hypercorn_config
from .serving import run
from .sockets import Sockets, bind_sockets, private_listener
from .stopping import leftover_threads

__all__ = [
    "Sockets",
    "bind_sockets",
    "check_certificates",
    "hypercorn_config",
    "inherited",
    "leftover_threads",
    "main_thread_place",
    "private_listener",
    "run",
    "run_alone",
]
