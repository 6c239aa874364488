"""Two routers and three ways through an app, compared with Starlette's own by random requests."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, fields
from random import Random
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route, Router

import fps_lite.routing

from .cases import CASES, cases_of
from .endpoints import HANDLED, World, handlers, shown
from .requests import Requests
from .trees import Builder, Spec, Trees, with_convertors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp, Message

REQUESTS_PER_TREE = 40


@dataclass
class Result:
    """All that can be seen of one request."""

    messages: list[Message] = field(default_factory=list)
    error: Any = None
    scope: dict[str, Any] = field(default_factory=dict)
    seen: list[Any] = field(default_factory=list)


class Side:
    """One way through the routes of a tree."""

    def __init__(self, tree: Tree, kind: str) -> None:
        self.kind = kind
        self.world = World()
        router_type = Router if kind == "starlette" else tree.routing.CompiledRouter
        self.builder = Builder(self.world, router_type)
        router = router_type([self.builder.route(one) for one in tree.specs])
        self.router = self.builder.routers[""] = router
        self.app: ASGIApp = router
        if not tree.is_bare:
            made = Starlette(
                exception_handlers=handlers(tree.handled, self.world),
                middleware=[Middleware(self.world.middleware, label="app")] * tree.has_middleware,
                max_body_size=tree.limit,
            )
            made.router = router
            self.app = tree.routing.FastPath(made) if kind == "fast" else made

    async def ask(self, scope: dict[str, Any], fails_at: int) -> Result:
        """Send one request; `fails_at` is the message that the server fails to send."""
        result = Result(scope=scope)
        self.world.seen = result.seen
        incoming: list[Message] = [
            {"type": "http.request", "body": b"123", "more_body": True},
            {"type": "http.request", "body": b"45"},
            {"type": "http.disconnect"},
        ]
        if scope["type"] == "websocket":
            incoming = [{"type": "websocket.connect"}, {"type": "websocket.disconnect"}]

        async def receive() -> Message:
            return incoming.pop(0)

        async def send(message: Message) -> None:
            result.messages.append(dict(message))
            if len(result.messages) == fails_at:
                raise OSError("gone")

        try:
            await self.app(scope, receive, send)
        except BaseException as error:  # noqa: BLE001 - it is compared
            result.error = [type(error), str(error), type(error.__cause__), str(error.__cause__)]
        result.scope = shown(scope)
        return result


class Tree:
    """A random tree of routes, built once for each side."""

    def __init__(self, random: Random, routing: Any) -> None:
        self.random = random
        self.routing = routing
        self.trees = Trees(random)
        self.specs = self.trees.specs()
        self.is_bare = random.random() < 0.2
        self.handled = random.sample(HANDLED, random.choice([0, 0, 1, 2, 3]))
        self.has_middleware = random.random() < 0.1
        self.limit = 3 if random.random() < 0.05 else None
        self.is_changed = False
        kinds = ["starlette", "router", *([] if self.is_bare else ["fast"])]
        self.sides = [Side(self, kind) for kind in kinds]

    def change(self) -> None:
        """Change a list of routes, or what is around it, on all sides alike."""
        owner = self.random.choice(["", *self.sides[0].builder.routers])
        if any(owner not in side.builder.routers for side in self.sides):
            return
        how = self.random.choice(CHANGES)
        spec = self.trees.spec(1)
        place = self.random.random()
        for side in self.sides:
            router = side.builder.routers[owner]
            how(side, router, spec, int(place * len(router.routes)))
        if owner == "":
            self.specs.append(spec)
        self.is_changed = True


def _append(side: Side, router: Router, spec: Spec, _: int) -> None:
    router.routes.append(side.builder.route(spec))


def _insert(side: Side, router: Router, spec: Spec, place: int) -> None:
    router.routes.insert(place, side.builder.route(spec))


def _replace(side: Side, router: Router, spec: Spec, place: int) -> None:
    if router.routes:
        router.routes[place] = side.builder.route(spec)


def _replace_by_equal(side: Side, router: Router, _: Spec, place: int) -> None:
    """Replace a route by one that is equal for Starlette, and has a middleware."""
    old = router.routes[place] if router.routes else None
    if isinstance(old, Route):
        middleware = [Middleware(side.world.middleware, label="new")]
        new: Any = Route(old.path, old.endpoint, methods=old.methods, middleware=middleware)
        new.label = "new"
        router.routes[place] = new


def _pop(_: Side, router: Router, __: Spec, place: int) -> None:
    if router.routes:
        router.routes.pop(place)


def _reverse(_: Side, router: Router, __: Spec, ___: int) -> None:
    router.routes.reverse()


def _assign(side: Side, router: Router, spec: Spec, _: int) -> None:
    router.routes = [side.builder.route(spec), *router.routes]


def _redirect(_: Side, router: Router, __: Spec, ___: int) -> None:
    router.redirect_slashes = not router.redirect_slashes


def _default(side: Side, router: Router, spec: Spec, _: int) -> None:
    router.default = side.world.app(f"default {spec.label}")


def _remount(side: Side, router: Router, _: Spec, place: int) -> None:
    if router.routes and isinstance(mount := router.routes[place], Mount):
        mount.app = side.world.middleware(mount.app, "remounted")


def _wrap(side: Side, router: Router, _: Spec, __: int) -> None:
    stack: Any = side.world.middleware(router.middleware_stack, "wrapped")
    router.middleware_stack = stack


CHANGES: list[Callable[[Side, Router, Spec, int], None]] = [
    _append, _insert, _replace, _replace_by_equal, _pop, _reverse, _assign, _redirect, _default,
    _remount, _wrap,
]  # fmt: skip


@dataclass
class Report:
    """What a run found."""

    requests: int = 0
    cases: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Add what another run found."""
        self.requests += other.requests
        self.cases.update(other.cases)
        self.differences += other.differences


async def _compare(tree: Tree, requests: Requests, report: Report, name: str) -> None:
    scope = requests.scope(tree.specs)
    fails_at = requests.random.choice([0] * 30 + [1, 2])
    results = [await side.ask(_copy(scope), fails_at) for side in tree.sides]
    report.requests += 1
    report.cases.update(cases_of(tree, scope, results[0], fails_at))
    for side, result in zip(tree.sides[1:], results[1:], strict=True):
        if result != results[0]:
            shown = "\n  ".join(_differences(results[0], result))
            report.differences.append(f"{name}, {side.kind}: {scope}\n  {shown}\n  {tree.specs}")


def _differences(expected: Result, result: Result) -> Iterator[str]:
    for each in fields(Result):
        ours, theirs = getattr(result, each.name), getattr(expected, each.name)
        if ours != theirs:
            yield f"{each.name}: expected {theirs}\n  {each.name}: got      {ours}"


def _copy(scope: dict[str, Any]) -> dict[str, Any]:
    return {key: value.copy() if isinstance(value, dict) else value for key, value in scope.items()}


async def fuzz_tree(seed: str, requests: int, report: Report, routing: Any) -> None:
    """Compare that many requests to the tree of a seed."""
    random = Random(seed)
    undo = with_convertors(random)
    try:
        tree = Tree(random, routing)
        made = Requests(random)
        for number in range(requests):
            if number >= requests // 2 and random.random() < 0.12:
                tree.change()
            await _compare(tree, made, report, f"tree {seed}, request {number}")
            if report.differences:
                return
    finally:
        undo()


def fuzz(seed: int, requests: int, routing: Any = fps_lite.routing) -> Report:
    """Compare that many requests, to trees of a seed; stop at a tree with a difference."""

    async def run() -> Report:
        report = Report(cases=Counter(dict.fromkeys(CASES, 0)))
        number = 0
        while report.requests < requests and not report.differences:
            await fuzz_tree(f"{seed}.{number}", REQUESTS_PER_TREE, report, routing)
            number += 1
        return report

    return asyncio.run(run())
