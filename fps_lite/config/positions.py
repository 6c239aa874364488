"""Where each key and value of a TOML text stands, by tree-sitter.

Only asked for once an error or an origin is to be shown: parsing twice would otherwise
cost every start. tomllib alone decides what the values are.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

KeyPath = tuple[str | int, ...]

_KEYS = frozenset({"bare_key", "quoted_key", "dotted_key"})


class Place(NamedTuple):
    """Line and column, both from 1; columns count characters."""

    line: int
    column: int


class Token(NamedTuple):
    """Where a key and its value begin; for a table the value is its header."""

    key: Place
    value: Place


def positions(source: str) -> dict[KeyPath, Token]:
    """Return the place of each key path in a valid TOML document.

    A `-` in the name of a top-level table is given as `_`, as in plugins' names.
    """
    root, index = _parse(source)
    for node in root.named_children:
        index.statement(node)
    return {(str(path[0]).replace("-", "_"), *path[1:]): at for path, at in index.tokens.items()}


def key_before(source: str, place: Place) -> tuple[KeyPath, Place] | None:
    """Return the last key or header before `place`, None if that is unclear."""
    root, index = _parse(source)
    if root.has_error:
        return None
    keys = (key for node in root.named_children for key in index.keys(node))
    return max((key for key in keys if key[1] < place), key=lambda key: key[1], default=None)


def long_integer(source: str) -> Place | None:
    """Return the place of the first integer that has more digits than Python reads."""
    limit = sys.get_int_max_str_digits()
    root, index = _parse(source)
    nodes = [root]
    while nodes:
        node = nodes.pop()
        if node.type == "integer" and len((node.text or b"").replace(b"_", b"")) > limit:
            return index.place(node)
        nodes += reversed(node.named_children)
    return None


def _parse(source: str) -> tuple[Node, _Index]:
    import tree_sitter_toml  # noqa: PLC0415 - only needed when something is shown
    from tree_sitter import Language, Parser  # noqa: PLC0415

    data = source.encode()
    tree = Parser(Language(tree_sitter_toml.language())).parse(data)
    return tree.root_node, _Index(data.split(b"\n"))


@dataclass
class _Index:
    """Tokens found so far, and how many elements each array of tables has."""

    lines: list[bytes]
    tokens: dict[KeyPath, Token] = field(default_factory=dict)
    lengths: dict[KeyPath, int] = field(default_factory=dict)

    def place(self, node: Node) -> Place:
        row, column = node.start_point
        return Place(row + 1, len(self.lines[row][:column].decode()) + 1)

    def statement(self, node: Node) -> None:
        if node.type == "pair":
            self.pair(node, ())
        elif node.type in {"table", "table_array_element"}:
            base = self.header(node)
            for inner in node.named_children:
                if inner.type == "pair":
                    self.pair(inner, base)

    def keys(self, node: Node) -> Iterator[tuple[KeyPath, Place]]:
        """Yield the path and place of a header and of each key of a statement."""
        base: KeyPath = ()
        if node.type in {"table", "table_array_element"}:
            base = self.header(node)
            yield base, self.tokens[base].key
        for pair in [node] if node.type == "pair" else node.named_children:
            if pair.type == "pair":
                names = _names(pair.named_children[0])
                yield (*base, *(name for name, _ in names)), self.place(pair)

    def header(self, node: Node) -> KeyPath:
        """Note a header's tables; return the path of the one that it opens."""
        key = next(inner for inner in node.named_children if inner.type in _KEYS)
        *outer, last = _names(key)
        at = self.place(node)
        path: KeyPath = ()
        for name, token in outer:
            path = (*path, name)
            self.tokens.setdefault(path, Token(self.place(token), at))
            if path in self.lengths:
                path = (*path, self.lengths[path] - 1)
        path = (*path, last[0])
        here = Token(self.place(last[1]), at)
        if node.type == "table":
            self.tokens[path] = here
            return path
        self.tokens.setdefault(path, here)
        self.lengths[path] = self.lengths.get(path, 0) + 1
        path = (*path, self.lengths[path] - 1)
        self.tokens[path] = here
        return path

    def pair(self, node: Node, base: KeyPath) -> None:
        key, value = (one for one in node.named_children if one.type != "comment")
        *outer, last = _names(key)
        for name, token in outer:
            base = (*base, name)
            at = self.place(token)
            self.tokens.setdefault(base, Token(at, at))
        self.value(value, (*base, last[0]), self.place(last[1]))

    def value(self, node: Node, path: KeyPath, key: Place | None) -> None:
        at = self.place(node)
        self.tokens[path] = Token(key or at, at)
        inner = [one for one in node.named_children if one.type != "comment"]
        if node.type == "array":
            for number, one in enumerate(inner):
                self.value(one, (*path, number), None)
        elif node.type == "inline_table":
            for one in inner:
                self.pair(one, path)


def _names(key: Node) -> Iterator[tuple[str, Node]]:
    """Yield the parts of a key, unquoted, with their tokens."""
    if key.type == "dotted_key":
        for inner in key.named_children:
            yield from _names(inner)
        return
    text = (key.text or b"").decode()
    if key.type == "quoted_key":
        import tomllib  # noqa: PLC0415 - as tree-sitter

        text = next(iter(tomllib.loads(f"{text}=0")))
    yield text, key
