"""The page that lists the servers, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, JSONResponse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from .servers import Server

NOT_RUNNING = "Not running: its path answers 503, and the log says why."
STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882 }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { margin: 0; font-size: 1.15rem }
section { border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; margin: 1rem 0 }
code, pre { font: .9rem/1.5 ui-monospace, monospace }
code { background: var(--soft); border-radius: .25rem; padding: .1rem .3rem }
code { overflow-wrap: anywhere }
pre { background: var(--soft); border-radius: .5rem; padding: 1rem; overflow-x: auto }
dl { margin: .75rem 0 0 } dt { margin-top: .4rem } dd { margin: 0 0 0 1.25rem }
p { margin: .4rem 0 } p, dd { white-space: pre-line }
"""


@dataclass(frozen=True)
class Index:
    """What the page shows."""

    servers: Sequence[Server]
    paths: Mapping[str, str]
    """Their public paths by their names, without the root path."""

    async def answer(self, request: Request) -> Response:
        """Answer with HTML, or with JSON to who asks for that."""
        base = str(request.base_url).rstrip("/")
        urls = {one.name: base + self.paths[one.name] + one.inner_path for one in self.servers}
        listed = [await _entry(one, urls[one.name]) for one in self.servers]
        accept = request.headers.get("accept", "")
        headers = {"vary": "accept", "cache-control": "no-store"}
        if "application/json" in accept and "text/html" not in accept:
            return JSONResponse({"servers": listed}, headers=headers)
        return HTMLResponse(_page(listed), headers=headers)


async def _entry(server: Server, url: str) -> dict[str, Any]:
    about = {key: _text(server.subject, key) for key in ("title", "description")}
    tools = await _tools(server.subject) if server.is_running else []
    return {"name": server.name, "url": url, "running": server.is_running, **about, "tools": tools}


def _text(subject: Any, key: str) -> str:
    return str(getattr(subject, key, None) or "")


async def _tools(subject: Any) -> list[dict[str, str]]:
    lists = getattr(subject, "list_tools", None)
    return [
        {"name": tool.name, "description": cleandoc(tool.description or "")}
        for tool in (await lists() if lists else ())
    ]


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
    down = "" if entry["running"] else f"<p><strong>{NOT_RUNNING}</strong></p>"
    tools = "".join(
        f"<dt><code>{escape(tool['name'])}</code></dt><dd>{escape(tool['description'])}</dd>"
        for tool in entry["tools"]
    )
    listed = f"<dl>{tools}</dl>" if tools else ""
    url = f"<code>{escape(entry['url'])}</code>"
    return f"<section><h2>{title}</h2>{about}{url}{down}{listed}</section>"


def _for_clients(listed: list[dict[str, Any]]) -> str:
    running = [one for one in listed if one["running"]]
    servers = {one["name"]: {"type": "http", "url": one["url"]} for one in running}
    text = json.dumps({"mcpServers": servers}, indent=2)
    return f"<p>For a client's configuration:</p><pre>{escape(text)}</pre>" if running else ""
