"""One line for each record, in one format over all processes, with no secret in it.

Only the command calls `configure`: a library that touches the root logger takes it away
from its host.
"""

from __future__ import annotations

from .about import About
from .access import AccessLog
from .formats import INDENT
from .printing import print_whole_lines
from .setup import configure, reopen
from .turns import Turns

__all__ = ["INDENT", "About", "AccessLog", "Turns", "configure", "print_whole_lines", "reopen"]
