"""Random requests for a tree of routes, most of them near to what it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import PARAM_REGEX

if TYPE_CHECKING:
    from random import Random
    from re import Match

    from .trees import Spec

MANY_DIGITS = "9" * 4301
UUIDS = ["12345678-1234-5678-1234-567812345678", "12345678123456781234567812345678", "ABCDEFAB" * 4]
VALUES = {
    "str": ["a", "b", "x.y", "12", "a b", "é", "v1", "٣", "{bad-x}", "a.b", "%2F"],
    "int": ["0", "7", "12", "007", "٣", "-1", "1.5", "1", "1", "1_0"],
    "float": ["1", "1.5", "1.", "٣", ".5", "2.25", "1e5"],
    "uuid": [*UUIDS, UUIDS[0] + "0", UUIDS[1][:-1]],
    "path": ["", "a", "a/b", "/", "a//b", "a/b/"],
    "letters": ["", "ab", "a/b", "A"],
    "picky": ["a", "b", "ab"],
}
ODD = ["", "/", "//", "///", "*", "/a/", "/a/b/", "/a//b", "//a", "/\n", "/a\n", "/a/b\n", "a"]
ROOTS = ["/a", "/root", "/a.b", "/a/", "/", "/root/", "/A"]


class Requests:
    """Makes random scopes."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def fill(self, path: str) -> str:
        def value(found: Match[str]) -> str:
            kind = (found[2] or ":str")[1:]
            if kind == "int" and self.random.random() < 0.02:
                return MANY_DIGITS
            return self.random.choice(VALUES[kind])

        return PARAM_REGEX.sub(value, path)

    def near(self, specs: list[Spec]) -> tuple[str, Spec | None]:
        """Return a path that a random route may match, and that route."""
        spec = self.random.choice(specs) if specs else None
        if spec is None:
            return "/", None
        path = self.fill(spec.path)
        if spec.kind == "host":
            return self.near(spec.children)
        if spec.kind in {"mount", "router", "foreign"}:
            if self.random.random() < 0.1:
                return path, spec
            inner, hit = self.near(spec.children)
            return path.rstrip("/") + inner, hit
        if spec.kind in {"app", "narrowed"}:
            path = path.rstrip("/") + self.random.choice(["", "/", "/a", "/a/b"])
        return path, spec

    def bent(self, path: str) -> str:
        """Return the path, or one near to it."""
        random = self.random
        how = random.random()
        if how < 0.72:
            return path
        if how < 0.82:
            return path.rstrip("/") if path.endswith("/") else path + "/" * random.randint(1, 2)
        if how < 0.85:
            return path + "\n"
        if how < 0.88:
            return random.choice(ODD)
        segments = path.split("/")
        place = random.randrange(len(segments))
        segments[place] = random.choice(["a", "b", "", "12", "A", "a\n", "v1", "x.y", "1.5"])
        return "/".join(segments)

    def scope(self, specs: list[Spec]) -> dict[str, Any]:
        """Return a scope; ASGI wants the root path in the path, and servers differ."""
        random = self.random
        near, spec = self.near(specs)
        path = self.bent(near)
        is_websocket = random.random() < (0.7 if spec and spec.kind == "websocket" else 0.04)
        scope: dict[str, Any] = {
            "type": "websocket" if is_websocket else "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "ws" if is_websocket else "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": random.choice([b"", b"", b"a=1&b=2"]),
            "headers": self.headers(specs),
            "server": ("testserver", 80),
            "client": ("127.0.0.1", 1),
        }
        if is_websocket:
            scope["subprotocols"] = []
            if random.random() < 0.7:
                scope["extensions"] = {"websocket.http.response": {}}
        else:
            scope["method"] = self.method(spec)
            if random.random() < 0.5:
                scope["extensions"] = {"http.response.push": {}}
        self.put_root(scope)
        if random.random() < 0.04:
            scope["path_params"] = {"p": "given", "other": 1}
        return scope

    def put_root(self, scope: dict[str, Any]) -> None:
        random = self.random
        how = random.random()
        if how < 0.8:
            if how < 0.4:
                scope["root_path"] = ""
            return
        root = scope["root_path"] = random.choice(ROOTS)
        if how < 0.93:
            scope["path"] = root + scope["path"]
        elif how < 0.95:
            scope["path"] = root
        elif how < 0.97:
            scope["path"] = root + "x" + scope["path"]
        if random.random() < 0.2:
            scope["app_root_path"] = "/outside"

    def method(self, spec: Spec | None) -> str:
        if spec is not None and spec.methods and self.random.random() < 0.75:
            return self.random.choice(spec.methods).upper()
        return self.random.choice(["GET", "GET", "GET", "POST", "HEAD", "PUT", "OPTIONS", "FOO"])

    def headers(self, specs: list[Spec]) -> list[tuple[bytes, bytes]]:
        random = self.random
        host = random.choice([b"testserver"] * 9 + [b"x.example.org"] * 2 + [b"bad host"])
        headers = [(b"host", host)]
        if specs and random.random() < 0.08:
            names = [random.choice(specs).label, "anywhere"]
            headers.append((b"x-custom", random.choice(names).encode()))
        if random.random() < 0.05:
            headers.append((b"x-partial", b"1"))
        return headers
