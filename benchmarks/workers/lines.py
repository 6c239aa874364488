"""How a worker is asked: a line of JSON in, a line of JSON out."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def answer_lines(known: Mapping[str, Callable[..., dict[str, Any]]]) -> None:
    """Do what each line asks for until there is none."""
    # A peer may print; what the parent reads goes by a descriptor of its own.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = known[request.pop("do")](**request)
        except ImportError as error:
            reply = {"absent": str(error)}
        except Exception as error:  # noqa: BLE001 - the parent is told, and goes on without it
            reply = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=out, flush=True)
