"""No search for garbage in what stays, while it is made and after.

Modules, plugins and routes are made by the ten thousand and kept, so that every search is in
vain. Only the command may know that: a library leaves its host's collector alone.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def kept() -> Iterator[None]:
    """Let Python look for no garbage in what the body makes."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # else the first search would look at all of it
        if was_enabled:
            gc.enable()
