"""FastAPI."""

from __future__ import annotations

from fastapi import FastAPI

app = FastAPI()


@app.get("/bench")
async def hello() -> dict[str, str]:
    """Say hello."""
    return {"hello": "world"}
