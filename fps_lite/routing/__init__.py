"""A router that answers exactly as Starlette's, at a cost that routes do not add to.

The rule: the index answers only what is certain. For a path it collects, by segments, every route
that can match it, in the declared order; the first of them that is known to match in full
answers. As soon as one stands there of which only its own code can tell, or none matches, the
few that were collected are handed to Starlette's own scan: 404, 405, redirects of slashes and
whatever is unknown are Starlette's answers, not copies of them. What the index cannot read at
all (a newline in the path, a root path that is not in it) is scanned as a whole.
"""

from __future__ import annotations

from .fastpath import FastPath
from .router import CompiledRouter

__all__ = ["CompiledRouter", "FastPath"]
