"""The index of one list of routes for one type of scope: which of them can match a path."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from .segments import segments_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .entries import Entry

Hit = tuple["Entry", dict[str, Any], str | None]
"""What answers, found without asking it; its parameters; the part of the path that mounts took."""
ANY_OTHER = None
"""Stands for each method that no route names."""
_ORDER = attrgetter("order")


class Node(dict[str, "Node"]):
    """What can follow some segments of a path: the next, each with its own node."""

    __slots__ = ("ends", "goes_on", "param")

    def __init__(self) -> None:
        super().__init__()
        self.param: Node | None = None
        self.ends: tuple[Entry, ...] = ()
        self.goes_on: tuple[Entry, ...] = ()

    def after(self, segment: str | None) -> Node:
        """Return the node after a segment, None being a parameter; make it if it is new."""
        if segment is None:
            self.param = Node() if self.param is None else self.param
            return self.param
        if segment not in self:
            self[segment] = Node()
        return self[segment]

    def collect(self, segments: Sequence[str], found: list[Entry]) -> None:
        """Add to `found` what is on the way of the segments."""
        node = self
        for depth, segment in enumerate(segments, 1):
            if node.goes_on:
                found += node.goes_on
            literal = node.get(segment)
            if node.param is not None and segment:
                if literal is not None:
                    literal.collect(segments[depth:], found)
                node = node.param
            elif literal is not None:
                node = literal
            else:
                return
        found += node.ends


class Index:
    """The routes of one list, and of the routers in its mounts, by the segments of their paths."""

    def __init__(self, scope_type: str, entries: Iterable[Entry]) -> None:
        flattened = [one for entry in entries for one in entry.flattened()]
        placed = [one for one in flattened if one.scope_type in (scope_type, None)]
        methods = {method for one in placed for method in one.methods or ()}
        self.root = Node()
        self.anywhere = [one for one in placed if one.segments is None]
        self.exact: dict[str | None, dict[str, Entry]] = {method: {} for method in methods}
        self.exact_other: dict[str, Entry] = {}
        for entry in placed:
            self._place(entry)
        for entry in placed:
            self._find_static(entry)

    def _place(self, entry: Entry) -> None:
        if entry.segments is None:
            return
        node = self.root
        for segment in entry.segments:
            node = node.after(segment)
        if entry.ends:
            node.ends += (entry,)
        if entry.goes_on:
            node.goes_on += (entry,)

    def _find_static(self, entry: Entry) -> None:
        """Find now what answers a path without parameters."""
        if entry.asks or entry.is_mount or entry.params:
            return
        segments = [segment or "" for segment in entry.segments or ()]
        path = "/" + "/".join(segments)
        if "\n" in path:
            return
        tables = {**self.exact, ANY_OTHER: self.exact_other}
        for method in entry.methods or tables:
            hit = self.find(segments, method)
            if hit is not None and not hit[1] and not hit[0].is_mount:
                tables[method][path] = hit[0]

    def candidates(self, path: str) -> list[Entry]:
        """Return the routes of the list that can match a path, in its order; no other can."""
        found = self.anywhere.copy()
        if path.startswith("/"):
            self.root.collect(segments_of(path), found)
        found.sort(key=_ORDER)
        return [one for one in found if not one.mounts]

    def find(self, segments: Sequence[str], method: str | None) -> Hit | None:
        """Return the first route that fully matches, None if there is none or none is certain.

        What a convertor raises comes out: Starlette's own code must raise it where it would.
        """
        found = self.anywhere.copy()
        self.root.collect(segments, found)
        if len(found) > 1:
            found.sort(key=_ORDER)
        for entry in found:
            if entry.asks:
                return None
            params = {}
            for position, name, takes in entry.params:
                segment = params[name] = segments[position]
                if not takes(segment):
                    break
            else:
                # Only now: to convert can raise, and must not for a path that does not match.
                for name, convert in entry.conversions:
                    params[name] = convert(params[name])
                if not entry.methods or method in entry.methods:
                    if entry.depth is None:
                        return entry, params, None
                    return _in_mount(entry, params, segments)
        return None


def _in_mount(entry: Entry, params: dict[str, Any], segments: Sequence[str]) -> Hit | None:
    if not are_current(entry.mounts):
        return None
    prefix = entry.prefix
    if prefix is None:
        prefix = "/" + "/".join(segments[: entry.depth])
    return entry, params, prefix


def are_current(mounts: Iterable[Any]) -> bool:
    """Tell whether the routers in these mounts are what they were."""
    for mount in mounts:  # noqa: SIM110 - a generator costs more than what it runs
        if not mount.is_current():
            return False
    return True
