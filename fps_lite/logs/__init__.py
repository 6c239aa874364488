"""One line for each record, in one format over all processes, with no secret in it.

Only the command calls `configure`: a library that touches the root logger takes it away
from its host.
"""

from __future__ import annotations

from .access import AccessLog
from .formats import INDENT
from .setup import configure

__all__ = ["INDENT", "AccessLog", "configure"]
