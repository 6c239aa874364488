"""The command line: argv to layers, errors to exit codes; it imports last and starts the data."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .descriptors import open_standard_streams
from .garbage import kept
from .interruption import INTERRUPTED, outlast_signals, take_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command and exit with the contract's code; the only way out of the library."""
    open_standard_streams()
    take_signals()
    try:
        with kept():
            from .command import main as run_and_exit  # noqa: PLC0415 - slow, may be interrupted

        run_and_exit(argv)
    except KeyboardInterrupt:
        outlast_signals()
        sys.stderr.write(f"{INTERRUPTED}\n")
        sys.exit(1)
