"""The index of one list of routes for one type of scope: which of them can match a path."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from .segments import segments_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .entries import Entry

Hit = tuple["Entry", dict[str, Any], str | None]
"""What answers, found without asking it; its parameters; the part of the path that mounts took."""
_NUMBER = attrgetter("number")


class Node(dict[str, "Node"]):
    """What can follow some segments of a path: the next, each with its own node."""

    __slots__ = ("depth", "ends", "goes_on", "param")

    def __init__(self, depth: int = 0) -> None:
        super().__init__()
        self.depth = depth
        self.param: Node | None = None
        self.ends: tuple[Entry, ...] = ()
        self.goes_on: tuple[Entry, ...] = ()

    def after(self, segment: str | None) -> Node:
        """Return the node after a segment, None being a parameter; make it if it is new."""
        if segment is None:
            self.param = Node(self.depth + 1) if self.param is None else self.param
            return self.param
        if segment not in self:
            self[segment] = Node(self.depth + 1)
        return self[segment]

    def collect(self, segments: Sequence[str], found: list[Entry]) -> None:
        """Add to `found` what can match the segments, from this node on."""
        node = self
        for segment in segments[self.depth :] if self.depth else segments:
            if node.goes_on:
                found += node.goes_on
            literal = node.get(segment)
            if node.param is not None and segment:
                if literal is not None:
                    literal.collect(segments, found)
                node = node.param
            elif literal is not None:
                node = literal
            else:
                return
        found += node.ends

    def collect_near(self, segments: Sequence[str], least: int, found: list[Entry]) -> None:
        """Add to `found` what can match the segments, or the first of them but `least` or more."""
        node = self
        while True:
            found += node.goes_on
            if node.depth >= least:
                found += node.ends
            if node.depth == len(segments):
                return
            literal = node.get(segments[node.depth])
            if node.param is not None:
                if literal is not None:
                    literal.collect_near(segments, least, found)
                node = node.param
            elif literal is not None:
                node = literal
            else:
                return


class Exact(dict["str | None", dict[str, "Entry"]]):
    """What certainly answers each path without parameters, by the method of the request."""

    def __init__(self, methods: Iterable[str]) -> None:
        super().__init__((method, {}) for method in methods)
        self.other: dict[str, Entry] = {}
        """For the methods that no route names."""

    def __missing__(self, _: str | None) -> dict[str, Entry]:
        return self.other


class Index:
    """The routes of one list, and of the routers in its mounts, by the segments of their paths."""

    def __init__(self, scope_type: str, entries: Iterable[Entry]) -> None:
        flattened = [one for entry in entries for one in entry.flattened()]
        matching = [one for one in flattened if one.scope_type in (scope_type, None)]
        shared: dict[Any, Any] = {}
        placed = [
            replace(one, number=number, params=shared.setdefault(one.params, one.params))
            for number, one in enumerate(matching)
        ]
        self.root = Node()
        self.anywhere: list[Entry] = []
        self.exact = Exact({method for one in placed for method in one.methods or ()})
        for entry in placed:
            self._place(entry)
        for entry in placed:
            self._find_static(entry)

    def _place(self, entry: Entry) -> None:
        if entry.segments is None:
            self.anywhere.append(entry)
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
        path = entry.route.path if entry.depth is None else "/" + "/".join(segments)
        if "\n" in path:
            return
        methods: Iterable[str | None] = entry.methods or (*self.exact, None)
        for method in methods:
            hit = self.find(segments, method)
            if hit is not None and not hit[1] and not hit[0].is_mount:
                self.exact[method][path] = hit[0]

    def candidates(self, path: str) -> list[Entry]:
        """Return the routes that can match a path, with or without slashes at its end.

        There may be others among them, but none that can match is left out.
        """
        found = self.anywhere.copy()
        if path.startswith("/") or not path:
            segments = segments_of(path)
            segments.append("")
            least = len(segments_of(path.rstrip("/")))
            self.root.collect_near(segments, least, found)
        return found

    def find(self, segments: Sequence[str], method: str | None) -> Hit | None:
        """Return the first route that fully matches, None if there is none or none is certain."""
        found = self.anywhere.copy()
        self.root.collect(segments, found)
        if len(found) > 1:
            found.sort(key=_NUMBER)
        try:
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
                        return _hit(entry, params, segments)
        except Exception:  # noqa: BLE001 - a convertor's; Starlette's own code raises it again
            return None
        return None


def _hit(entry: Entry, params: dict[str, Any], segments: Sequence[str]) -> Hit | None:
    if entry.depth is None:
        return entry, params, None
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
