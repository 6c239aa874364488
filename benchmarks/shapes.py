"""The routes that are measured and the requests to them; the same ones for every subject.

`flat` and `mounted` have N routes of N/10 plugins, each plugin under a prefix of its own: five
paths without a parameter, three with one, two with two. `jupyverse` is one real composition's
shape: 13 plugins, 66 HTTP routes, 2 websockets, 4 mounts; 38 paths without a parameter, 26 with
one, 6 with two, 2 with three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

PER_PLUGIN = 10


@dataclass(frozen=True)
class Parameter:
    """A part of a path that is another one in each request: an `int` or a `str`."""

    name: str
    kind: str

    def value(self, rng: Random) -> str:
        """Return a value at random: fixed ones are answered from some peers' caches of paths."""
        if self.kind == "int":
            return str(rng.randrange(1_000_000, 10_000_000))
        return f"{rng.getrandbits(40):010x}"


Segment = str | Parameter
"""A literal, or a parameter."""


def _segments(path: str) -> tuple[Segment, ...]:
    """Read `/items/{id:int}/{name}`."""
    read: list[Segment] = []
    for text in path.split("/")[1:]:
        if text.startswith("{"):
            name, _, kind = text[1:-1].partition(":")
            read.append(Parameter(name, kind or "str"))
        else:
            read.append(text)
    return tuple(read)


@dataclass(frozen=True)
class Spec:
    """One route: its answer is `number` as text."""

    number: int
    plugin: int
    prefix: str
    segments: tuple[Segment, ...]
    kind: str = "http"  # or "websocket", or "mount"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Return the parameters of its path."""
        return tuple(one for one in self.segments if isinstance(one, Parameter))

    @property
    def body(self) -> bytes:
        """Return what it answers."""
        return str(self.number).encode()

    def path(self, written: Callable[[Parameter], str]) -> str:
        """Return the path below the prefix, its parameters as a framework writes them."""
        parts = [one if isinstance(one, str) else written(one) for one in self.segments]
        return "/" + "/".join(parts)

    def request(self, rng: Random) -> str:
        """Return a path that this route answers."""
        below = "/asset.js" if self.kind == "mount" else ""
        return self.prefix + self.path(lambda parameter: parameter.value(rng)) + below


IN_A_PLUGIN = (
    "/items",
    "/status",
    "/config",
    "/jobs/recent",
    "/about",
    "/items/{id:int}",
    "/users/{name}",
    "/files/{name}/meta",
    "/users/{name}/posts/{post:int}",
    "/items/{id:int}/versions/{version}",
)


def flat(count: int) -> list[Spec]:
    """Return `count` routes, in the order declared; a prefix is as long whatever the count."""
    return [
        Spec(
            number,
            number // PER_PLUGIN,
            f"/plugin{number // PER_PLUGIN:05d}",
            _segments(IN_A_PLUGIN[number % PER_PLUGIN]),
        )
        for number in range(count)
    ]


JUPYVERSE = {
    "auth": ["/login", "/logout", "/me", "/users", "/users/{id:int}", "/tokens"],
    "contents": ["/list", "/{name}", "/{name}/checkpoints", "/{name}/checkpoints/{id:int}"],
    "environments": ["/all", "/{name}", "/{name}/{package}"],
    "frontend": ["/index", "/favicon", "/page/{name}", "mount /static"],
    "jupyterlab": [
        *("/lab", "/settings", "/settings/{name}", "/settings/{name}/{plugin}", "/workspaces"),
        *("/workspaces/{name}", "/translations", "/translations/{name}", "/tree/{name}"),
        *("/themes", "/listings", "/extensions", "/doc/{name}", "mount /static", "mount /assets"),
    ],
    "kernels": [
        *("/specs", "/specs/{name}", "/specs/{name}/{file}", "/running", "/sessions", "/status"),
        *("/sessions/{id}", "/{id}", "/{id}/restart", "/{id}/interrupt", "/{id}/execute"),
        "/{id}/executions/{cell}/{frame}",
        "websocket /{id}/channels",
    ],
    "login": ["/form", "/theme", "/providers"],
    "nbconvert": ["/formats", "/formats/{name}", "/{format}/{name}"],
    "notebook": [
        *("/tree", "/tree/{name}", "/notebooks/{name}", "/consoles/{name}", "/edit/{name}"),
        *("/terminals/{name}", "mount /static"),
    ],
    "resource_usage": ["/metrics", "/metrics/history", "/limits"],
    "terminals": ["/all", "/{name}", "websocket /{name}/socket"],
    "webdav": ["/root", "/options", "/locks", "/depth", "/{name}/properties/{key}"],
    "yjs": ["/rooms", "/rooms/{id}", "/forks/{room}/{id}/{version}"],
}


def jupyverse(_count: int = 72) -> list[Spec]:
    """Return the realistic composition."""
    specs: list[Spec] = []
    for plugin, (name, paths) in enumerate(JUPYVERSE.items()):
        for text in paths:
            kind, _, path = text.rpartition(" ")
            segments = _segments(path)
            specs.append(Spec(len(specs), plugin, f"/api/{name}", segments, kind or "http"))
    return specs


SHAPES: dict[str, Callable[[int], list[Spec]]] = {
    "flat": flat,
    "mounted": flat,
    "jupyverse": jupyverse,
}


def by_plugin(specs: list[Spec]) -> list[list[Spec]]:
    """Return the routes of each plugin."""
    plugins: dict[int, list[Spec]] = {}
    for spec in specs:
        plugins.setdefault(spec.plugin, []).append(spec)
    return list(plugins.values())


def hits(specs: list[Spec], count: int, rng: Random) -> list[tuple[str, bytes]]:
    """Return paths that are answered, each with its answer, in an order at random.

    The routes are sorted by their shape and cut into `count` strata of equal size, with one
    route at random from each: every shape has its share whatever the count, and every part of
    the table, too. A stride would meet the shapes in step.
    """
    answered = [one for one in specs if one.kind != "websocket"]
    answered.sort(key=lambda spec: (spec.number % PER_PLUGIN, spec.number))
    width = len(answered) / count
    chosen = [answered[int((stratum + rng.random()) * width)] for stratum in range(count)]
    rng.shuffle(chosen)
    return [(spec.request(rng), spec.body) for spec in chosen]


def misses(specs: list[Spec], count: int, rng: Random) -> list[tuple[str, bytes]]:
    """Return paths that no route answers: half of them below the prefix of a plugin."""
    prefixes = (rng.choice(specs).prefix if number % 2 else "" for number in range(count))
    return [(f"{prefix}/absent/{rng.getrandbits(40):010x}/none", b"") for prefix in prefixes]
