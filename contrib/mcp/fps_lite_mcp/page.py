"""The page that lists the servers, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, JSONResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882 }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { margin: 0; font-size: 1.15rem }
section { border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; margin: 1rem 0 }
code, pre { font: .9rem/1.5 ui-monospace, monospace }
code { background: var(--soft); border-radius: .25rem; padding: .1rem .3rem }
pre { background: var(--soft); border-radius: .5rem; padding: 1rem; overflow-x: auto }
dl { margin: .75rem 0 0 } dt { margin-top: .4rem } dd { margin: 0 0 0 1.25rem }
p { margin: .4rem 0; white-space: pre-line }
"""


@dataclass(frozen=True)
class Index:
    """What the page shows."""

    servers: Mapping[str, Any]
    """The servers as they were imported, by name."""
    paths: Mapping[str, str]
    """Their public paths, without the root path."""

    async def answer(self, request: Request) -> Response:
        """Answer with HTML, or with JSON to who asks for that."""
        base = str(request.base_url).rstrip("/")
        listed = [
            await _entry(name, one, base + self.paths[name]) for name, one in self.servers.items()
        ]
        accept = request.headers.get("accept", "")
        headers = {"vary": "accept", "cache-control": "no-store"}
        if "application/json" in accept and "text/html" not in accept:
            return JSONResponse({"servers": listed}, headers=headers)
        return HTMLResponse(_page(listed), headers=headers)


async def _entry(name: str, server: Any, url: str) -> dict[str, Any]:
    described = {key: getattr(server, key, None) or "" for key in ("title", "description")}
    lists = getattr(server, "list_tools", None)
    tools = [
        {"name": tool.name, "description": (tool.description or "").strip()}
        for tool in (await lists() if lists else ())
    ]
    return {"name": name, "url": url, **described, "tools": tools}


def _page(listed: list[dict[str, Any]]) -> str:
    sections = "".join(map(_section, listed))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>MCP servers</title><style>{STYLE}</style>"
        f"<body><h1>MCP servers</h1>{sections}{_for_clients(listed)}</body></html>"
    )


def _section(entry: dict[str, Any]) -> str:
    title = escape(entry["title"] or entry["name"])
    about = f"<p>{escape(entry['description'])}</p>" if entry["description"] else ""
    tools = "".join(
        f"<dt><code>{escape(tool['name'])}</code></dt><dd>{escape(tool['description'])}</dd>"
        for tool in entry["tools"]
    )
    listed = f"<dl>{tools}</dl>" if tools else ""
    return f"<section><h2>{title}</h2>{about}<code>{escape(entry['url'])}</code>{listed}</section>"


def _for_clients(listed: list[dict[str, Any]]) -> str:
    servers = {one["name"]: {"type": "http", "url": one["url"]} for one in listed}
    text = json.dumps({"mcpServers": servers}, indent=2)
    return f"<p>For a client's configuration:</p><pre>{escape(text)}</pre>"
