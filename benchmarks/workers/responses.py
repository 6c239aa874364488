"""Times making a JSON response: Starlette's beside fps-lite's, in turns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

import fps_lite

from .lines import answer_lines

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 50
PAYLOADS: dict[str, Any] = {
    "hello": {"hello": "world"},
    "row": {"id": 17, "name": "a notebook", "tags": ["a", "b", "c"], "size": 1234.5, "open": True},
    "page": [{"id": number, "name": f"notebook {number}", "open": False} for number in range(50)],
}


def timed(made: Callable[[Any], Any], payload: Any) -> int:
    """Return the nanoseconds of making a few responses."""
    before = time.process_time_ns()
    for _ in range(CHUNK):
        made(payload)
    return time.process_time_ns() - before


def run(payload: str, count: int) -> dict[str, Any]:
    """Time both, chunk by chunk; they must send the same value."""
    content = PAYLOADS[payload]
    ours: Any = getattr(fps_lite, "JSONResponse", None)
    if ours is None:
        raise ImportError("fps_lite has no JSONResponse")
    if ours(content).body != JSONResponse(content).body:
        return {"wrong": f"the bodies of {payload} differ"}
    chunks = range(max(1, count // CHUNK))
    pairs = [(timed(JSONResponse, content), timed(ours, content)) for _ in chunks]
    starlette, fps = (sum(side) / len(pairs) / CHUNK for side in zip(*pairs, strict=True))
    return {"starlette_ns": starlette, "fps_lite_ns": fps}


if __name__ == "__main__":
    answer_lines({"run": run})
