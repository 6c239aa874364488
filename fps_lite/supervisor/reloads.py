"""A reload: asked for, and answered to all that wait for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fps_lite.errors import FPSError


@dataclass(frozen=True, slots=True)
class Reload:
    """One reload that was asked for, and how it ended."""

    force: bool = False
    result: asyncio.Future[tuple[FPSError | None, str]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


def answer(asked: Iterable[Reload], error: FPSError | None, said: str) -> None:
    """Tell all that asked how it ended."""
    for one in asked:
        if not one.result.done():  # whoever asked may be gone
            one.result.set_result((error, said))
