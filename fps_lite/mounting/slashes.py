"""The bare path of a mount and the one with a slash: who is led from one to the other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urljoin, urlsplit

from starlette.datastructures import Headers

if TYPE_CHECKING:
    from starlette.types import Message, Scope

IN_A_PATH = "/:@!$&'()*+,;=~"
_NO_WEIGHT = re.compile(r"q\s*=\s*0(\.0*)?")


def reads(scope: Scope) -> bool:
    """Tell whether a request is one of those that a browser follows redirects with."""
    return scope["type"] == "http" and scope["method"] in ("GET", "HEAD")


def reads_html(scope: Scope) -> bool:
    """Tell whether a page is asked for by name: `*/*` is what any client sends."""
    accepted = ",".join(Headers(scope=scope).getlist("accept")).lower()
    return reads(scope) and any(map(_is_html, accepted.split(",")))


def _is_html(accepted: str) -> bool:
    """Tell whether one range of an `Accept` is HTML, and not with a weight of zero."""
    kind, *parameters = (part.strip() for part in accepted.split(";"))
    return kind == "text/html" and not any(_NO_WEIGHT.fullmatch(one) for one in parameters)


def with_slash(scope: Scope) -> str:
    """Return where the slash is: a path alone, as the client's Host may be a lie."""
    # Two slashes at its start would make a host of what follows.
    path = "/" + quote(scope["path"].lstrip("/"), IN_A_PATH) + "/"
    query = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def leads_back(message: Message, scope: Scope) -> bool:
    """Tell whether an answer to the path with the slash leads to the bare one, and on in circles.

    With another query it does not: what follows is another request.
    """
    if message["type"] != "http.response.start":
        return False
    # Some apps write the names of headers with capitals, whatever ASGI says.
    values = [value for name, value in message.get("headers", ()) if name.lower() == b"location"]
    if not values:
        return False
    try:
        location = values[0].decode("latin-1")
        parts = urlsplit(urljoin(quote(scope["path"], IN_A_PATH), location))
    except ValueError:  # no URL at all
        return False
    is_here = parts.netloc in ("", Headers(scope=scope).get("host"))
    is_bare = unquote(parts.path) == scope["path"].removesuffix("/")
    return is_here and is_bare and parts.query == scope["query_string"].decode("latin-1")
