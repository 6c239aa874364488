"""The semantics that are easy to get wrong, and which requests are about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import PARAM_REGEX

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = {
    "1 newline": "a regex's `$` matches before a last newline",
    "2 digits": "int() raises for more than 4,300 digits, if the whole regex matched",
    "3 partial": "the first route of another method says what is allowed",
    "4 order": "the first of several that match answers",
    "5 mount stops": "what a mount matches is not tried elsewhere",
    "6 root path": "a root path that the path does not begin with, equals, or that ends in /",
    "7 redirect": "a slash more or less leads to a route",
    "8 empty": "empty segments, mounts at the root",
    "9 segments": "segments of several parts, float, uuid, digits of other scripts",
    "10 same name": "a parameter of a mount and of a route in it, or given before",
    "11 websocket": "websockets see other routes",
    "12 scope": "what mounts leave in the scope, and url_for in them",
    "13 own ways": "routes with matches, handle, endpoints, middleware of their own",
    "14 changed": "lists that changed after the first request",
    "15 errors": "errors before and after the start, handlers, streams, background",
}
ANSWERS = {"endpoint", "class", "app", "custom", "websocket"}
MOUNTS = {"mount", "router", "foreign", "app"}
CALM = {"plain", "json", "url_for", "push", "cookie", "denial", "sync"}
SEGMENTS = ("v{", ".{", "-{", "{c", "{bad", "{u", "{f")
OWN = {"foreign", "narrowed", "custom", "overridden", "handled", "class", "partial"}


def cases_of(tree: Any, scope: dict[str, Any], result: Any, fails_at: int) -> Iterator[str]:
    """Yield the cases that a request to a tree is about, by what Starlette made of it."""
    seen = [one for one in result.seen if isinstance(one, tuple)]
    answered = next((one for one in reversed(seen) if one[0] in ANSWERS), None)
    label = answered[1] if answered else result.scope.get("route")
    chain = tree.sides[0].builder.chains.get(label, ())
    if answered is None:
        yield from _of_misses(result, seen, chain)
    elif chain:
        yield from _of_hits(scope, chain)
    if "\n" in scope["path"]:
        yield "1 newline"
    if sum(_matches(one, scope) for one in tree.sides[0].router.routes) > 1:
        yield "4 order"
    if _has_odd_root(scope["path"], scope.get("root_path", "")):
        yield "6 root path"
    if scope["type"] == "websocket":
        yield "11 websocket"
    if tree.is_changed:
        yield "14 changed"
    is_fast = len(tree.sides) > 2 and answered and answered[0] == "endpoint"
    if is_fast and chain and (fails_at or chain[-1].behaviour not in CALM):
        yield "15 errors"


def _of_misses(result: Any, seen: list[Any], chain: tuple[Any, ...]) -> Iterator[str]:
    status = next((one["status"] for one in result.messages if "status" in one), 0)
    raised = f"{result.error} {[what for what, *_ in seen]}"
    if "4300 digits" in raised:
        yield "2 digits"
    if status == 405 or "Method Not Allowed" in raised:
        yield "3 partial"
    if chain and chain[-1].kind in {"mount", "router"}:
        yield "5 mount stops"
    if status == 307:
        yield "7 redirect"


def _of_hits(scope: dict[str, Any], chain: tuple[Any, ...]) -> Iterator[str]:
    path, spec = scope["path"], chain[-1]
    paths = [one.path for one in chain]
    if "//" in path or path in {"", "/"} or {"", "/"} & set(paths[:-1]):
        yield "8 empty"
    if any(part in one for one in paths for part in SEGMENTS):
        yield "9 segments"
    names = [name for one in paths for name, _ in PARAM_REGEX.findall(one)]
    if len(names) > len(set(names)) or (names and {"path_params", "app_root_path"} & set(scope)):
        yield "10 same name"
    if len(chain) > 1 and chain[0].kind in MOUNTS:
        yield "12 scope"
    if any(one.kind in OWN or one.middleware or one.limit for one in chain) or (
        spec.behaviour.startswith("sync")
    ):
        yield "13 own ways"


def _matches(route: Any, scope: dict[str, Any]) -> bool:
    if type(route).__name__ not in {"Route", "Mount", "WebSocketRoute"}:
        return False
    try:
        return bool(route.matches(scope)[0].value)
    except (ValueError, LookupError):
        return False


def _has_odd_root(path: str, root: str) -> bool:
    return root.endswith("/") or path == root != "" or not f"{path}/".startswith(f"{root}/")
