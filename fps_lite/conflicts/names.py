"""What is given twice beside requests: names of routes, handlers of exceptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import get_name

from fps_lite.contributions import handled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fps_lite.contributions import Collected

    from .claims import Claim


def name_conflicts(claims: Iterable[Claim]) -> Iterator[str]:
    """Yield each name that two plugins give to routes."""
    named: dict[str, Claim] = {}
    for claim in claims:
        name = _given_name(claim.route)
        first = named.setdefault(name, claim) if name else claim
        if first.owner != claim.owner:
            yield f'route name "{name}" is given twice: by {first} and by {claim}'


def _given_name(route: Any) -> str:
    """Return a route's name if its author gave one: the default is the endpoint's."""
    name = getattr(route, "name", None) or ""
    endpoint = getattr(route, "endpoint", None)
    return "" if endpoint is not None and name == get_name(endpoint) else name


def handler_conflicts(collected: Collected) -> Iterator[str]:
    """Yield each exception that two plugins handle."""
    owners: dict[int | type[Exception], str] = {}
    for contribution in collected.contributions:
        for key in contribution.handlers:
            # Starlette has one place for both.
            owner = owners.setdefault(500 if key is Exception else key, contribution.name)
            if owner != contribution.name:
                yield (
                    f"exceptions {handled(key)} have two handlers: "
                    f'by "{owner}" and by "{contribution.name}"'
                )
