"""Random trees of routes, written down as data, so that two routers are built of each."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.convertors import CONVERTOR_TYPES, Convertor
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import (
    BaseRoute,
    Host,
    Match,
    Mount,
    Route,
    Router,
    WebSocketRoute,
    compile_path,
)

from .endpoints import BEHAVIOURS, endpoint, websocket_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from starlette.types import Receive, Scope, Send

    from .endpoints import World

LITERALS = ["a", "b", "a.b", "v1", "12", "A", "{bad-x}", "é", "", "a b", "a\n"]
PARAMS = ["{p}", "{p:int}", "{q:int}", "{q}", "{f:float}", "{u:uuid}", "{p:path}", "{r:path}"]
COMPOUND = ["v{n:int}", "{p}.{q}", "x-{f:float}", "{c:letters}", "{c:picky}", "{c:letters}.b"]
METHODS = [None, None, ["GET"], ["GET"], ["POST"], ["GET", "POST"], ["PUT"], ["get"], [], ["HEAD"]]
KINDS = {
    "route": 46, "websocket": 9, "mount": 24, "host": 2, "custom": 2, "narrowed": 4, "foreign": 4,
    "overridden": 2, "handled": 3, "app": 4, "class": 4, "partial": 3, "router": 4,
}  # fmt: skip


class Letters(Convertor[str]):
    """Matches nothing, one segment or many."""

    regex = "[a-z/]*"

    def convert(self, value: str) -> str:
        return value.upper()

    def to_string(self, value: str) -> str:
        return value.lower()


class Picky(Letters):
    """Refuses what it has matched."""

    regex = "[a-z]+"

    def convert(self, value: str) -> str:
        if value == "b":
            raise LookupError(value)
        return value


class Signed(Convertor[int]):
    """Takes the place of `int`."""

    regex = "-?[0-9]+"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


CONVERTORS: dict[str, Convertor[Any]] = {"letters": Letters(), "picky": Picky()}


@dataclass
class Spec:
    """One route, and what is in it."""

    kind: str
    path: str
    label: str
    methods: list[str] | None = None
    behaviour: str = "plain"
    middleware: bool = False
    limit: int | None = None
    compiled: bool = False
    redirect_slashes: bool = True
    default: bool = False
    children: list[Spec] = field(default_factory=list)


class Trees:
    """Makes random trees."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.number = 0

    def path(self, *, most: int = 3) -> str:
        pick = self.random.choices([LITERALS, PARAMS, COMPOUND], [6, 4, 1], k=most)
        segments = [self.random.choice(some) for some in pick[: self.random.randint(1, most)]]
        return "/" + "/".join(segments)

    def spec(self, depth: int = 0) -> Spec:
        random = self.random
        self.number += 1
        kind = random.choices(list(KINDS), list(KINDS.values()))[0]
        if depth >= 3 and kind in {"mount", "router"}:
            kind = "route"
        made = Spec(
            kind,
            self.path(most=2 if kind in {"mount", "router", "foreign", "app"} else 3),
            f"r{self.number}",
            methods=random.choice(METHODS),
            behaviour=random.choices(list(BEHAVIOURS), list(BEHAVIOURS.values()))[0],
            middleware=random.random() < 0.07,
            limit=random.choice([None] * 15 + [3]),
            compiled=random.random() < 0.3,
            redirect_slashes=random.random() < 0.9,
            default=random.random() < 0.08,
        )
        if kind in {"mount", "router", "foreign", "host"}:
            made.children = self.specs(depth + 1)
            made.path = random.choice([made.path] * 8 + ["", "/"])
        is_mount = kind in {"mount", "router", "foreign", "app", "narrowed"}
        try:
            compile_path(made.path.rstrip("/") + "/{path:path}" if is_mount else made.path)
        except ValueError:  # a parameter twice
            made.path = "/{q}"
        return made

    def specs(self, depth: int = 0) -> list[Spec]:
        return [self.spec(depth) for _ in range(self.random.randint(1, 9 if depth == 0 else 5))]


class Custom(BaseRoute):
    """A route of a kind of its own: asked, it tells the world."""

    def __init__(self, spec: Spec, world: World) -> None:
        self.spec, self.world = spec, world

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        self.world.saw("asked", self.spec.label, scope)
        if (b"x-custom", self.spec.label.encode()) in scope.get("headers", ()):
            return Match.FULL, {"custom": self.spec.label}
        if (b"x-partial", b"1") in scope.get("headers", ()):
            return Match.PARTIAL, {"partial": self.spec.label}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.world.saw("custom", self.spec.label, scope)
        if scope["type"] == "http":
            await PlainTextResponse(self.spec.label)(scope, receive, send)


class Narrowed(Custom):
    """A route that says where it can match, and tells nobody that it was asked."""

    def __init__(self, spec: Spec, world: World) -> None:
        super().__init__(spec, world)
        self.inner = Mount(spec.path, app=world.app(spec.label))

    @property
    def only_under(self) -> str:
        return self.spec.path

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = self.inner.matches(scope)
        if match is Match.NONE or scope.get("method") == "PUT":
            return Match.NONE, {}
        return (Match.PARTIAL if scope.get("method") == "POST" else match), child


class Foreign(Mount):
    """A mount that answers its bare path, too."""

    @property
    def only_under(self) -> str:
        return self.path

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        if match is Match.NONE and self.path:
            return super().matches({**scope, "path": scope["path"] + "/"})
        return match, child


class Overridden(Route):
    """A route that matches where its path does not."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if (b"x-custom", b"anywhere") in scope.get("headers", ()):
            return Match.FULL, {"endpoint": self.endpoint}
        return super().matches(scope)


class Handled(Route):
    """A route that handles what it matched in its own way."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["handled"] = self.name
        await super().handle(scope, receive, send)


class Builder:
    """Builds the routes of specs for one side of a comparison."""

    def __init__(self, world: World, compiled: type[Router]) -> None:
        self.world = world
        self.compiled = compiled
        self.routers: dict[str, Router] = {}
        self.chains: dict[str, tuple[Spec, ...]] = {}
        """Each route's spec, after those of what it is in."""
        self._above: tuple[Spec, ...] = ()

    def router(self, spec: Spec) -> Router:
        kind = self.compiled if spec.compiled else Router
        middleware = self.middleware(spec) if spec.kind == "router" else None
        default = self.world.app(f"default {spec.label}") if spec.default else None
        children = [self.route(one) for one in spec.children]
        made = kind(children, spec.redirect_slashes, default, middleware=middleware)
        self.routers[spec.label] = self.labelled(made, spec)
        return made

    def labelled(self, made: Any, spec: Spec) -> Any:
        made.label = spec.label
        return made

    def middleware(self, spec: Spec) -> list[Middleware]:
        return [Middleware(self.world.middleware, label=spec.label)]

    def route(self, spec: Spec) -> BaseRoute:
        make: Callable[[Spec], Any] = getattr(self, f"_{spec.kind}")
        above, self._above = self._above, (*self._above, spec)
        self.chains[spec.label] = self._above
        made = self.labelled(make(spec), spec)
        self._above = above
        return made  # type: ignore[no-any-return]

    def _route(self, spec: Spec, kind: type[Route] = Route, target: Any = None) -> Route:
        return kind(
            spec.path,
            endpoint(spec.behaviour, spec.label, self.world) if target is None else target,
            methods=spec.methods,
            name=spec.label,
            middleware=self.middleware(spec) if spec.middleware else None,
            max_body_size=spec.limit,
        )

    def _overridden(self, spec: Spec) -> Route:
        return self._route(spec, Overridden)

    def _handled(self, spec: Spec) -> Route:
        return self._route(spec, Handled)

    def _partial(self, spec: Spec) -> Route:
        inner = endpoint(spec.behaviour, spec.label, self.world)
        return self._route(spec, target=self.labelled(functools.partial(inner), spec))

    def _class(self, spec: Spec) -> Route:
        world, label = self.world, spec.label

        class Endpoint(HTTPEndpoint):
            async def get(self, request: Any) -> PlainTextResponse:
                world.saw("class", label, request.scope)
                return PlainTextResponse(label)

        return self._route(spec, target=self.labelled(Endpoint, spec))

    def _websocket(self, spec: Spec) -> WebSocketRoute:
        target = websocket_endpoint(spec.behaviour, spec.label, self.world)
        middleware = self.middleware(spec) if spec.middleware else None
        return WebSocketRoute(spec.path, target, name=spec.label, middleware=middleware)

    def _mount(self, spec: Spec, kind: type[Mount] = Mount) -> Mount:
        middleware = self.middleware(spec) if spec.middleware else None
        name = None if spec.limit else spec.label
        return kind(spec.path, self.router(spec), name=name, middleware=middleware)

    _router = _mount

    def _foreign(self, spec: Spec) -> Mount:
        return self._mount(spec, Foreign)

    def _app(self, spec: Spec) -> Mount:
        return Mount(spec.path, self.world.app(spec.label), name=spec.label)

    def _host(self, spec: Spec) -> Host:
        return Host("{sub}.example.org", self.router(spec), name=spec.label)

    def _custom(self, spec: Spec) -> Custom:
        return Custom(spec, self.world)

    def _narrowed(self, spec: Spec) -> Custom:
        return Narrowed(spec, self.world)


def with_convertors(random: Random) -> Callable[[], None]:
    """Register the convertors, sometimes another `int`; return what undoes it."""
    before = dict(CONVERTOR_TYPES)
    CONVERTOR_TYPES.update(CONVERTORS)
    if random.random() < 0.05:
        CONVERTOR_TYPES["int"] = Signed()

    def undo() -> None:
        CONVERTOR_TYPES.clear()
        CONVERTOR_TYPES.update(before)

    return undo
