"""Routing: Starlette's answers, at a cost that the number of routes does not add to.

Starlette asks each route of a list in turn. The rule by which asking fewer is the same:

1. **The index leaves out only routes whose `matches` would say no**, and raise nothing. It knows
   that of Starlette's own `matches` alone, and only where a route's regex is what Starlette makes
   of its path. A class with a `matches` of its own can say where it matches at all, by an
   attribute `only_under` (a path: it matches there or below, or not at all). All others, `Host`
   among them, are left out nowhere.
2. **Of those left, in the order of the list, the first that certainly matches answers.** Certain
   is a route of plain segments and lone `str`, `int`, `float` and `uuid` parameters, with the
   method of the request; and a mount of the same kind.
3. **Where that ends without an answer, or at a route that only itself can tell, Starlette's own
   code runs on those left**: 404, 405, redirects, regexes, whatever a convertor raises.

What needs care, and which of Starlette's ways needs it:

- A regex's `$` matches before a last newline, `.` matches none: with a newline in the path nothing
  is left out.
- A convertor runs after the whole regex has matched, and may raise: all parameters of a route
  are looked at before one is converted.
- A route of another method converts its parameters, too, and the first of them names the methods
  of the 405.
- A mount that matches ends the search. What is in its router stands in the index before the mount,
  and the mount itself after it, to be entered as Starlette does: its own 404, 405 and redirects.
- `root_path` is taken off the path as text. In a mount, whatever of it is no prefix of the path may
  become one by accident, so nothing in mounts is certain then.
- A parameter of a mount and of a route in it may have the same name; each converts its own.
- Lists of routes may change at any time: those of mounted routers are compared with what was read.

Routes are values here: to change one, replace it in its list. A mount whose own router changed is
entered as Starlette does from then on, with a new index of its own.
"""

from __future__ import annotations

from .changes import Routes
from .fastpath import FastPath
from .router import CompiledRouter

__all__ = ["CompiledRouter", "FastPath", "Routes"]
