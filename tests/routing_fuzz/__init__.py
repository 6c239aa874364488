"""A differential fuzz: random requests to random trees of routes, compared with Starlette.

`trees` makes trees of routes as data, and builds the routes of each for each side; `endpoints` is
what these do; `requests` makes requests near to what a tree has; `comparison` sends each to
Starlette, to the compiled router and to the fast path, and compares all that can be seen;
`cases` tells what a request was about.
"""

from __future__ import annotations

from .cases import CASES
from .comparison import Report, fuzz

__all__ = ["CASES", "Report", "fuzz"]
