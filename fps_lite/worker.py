"""`python -m fps_lite.worker`: one worker of `fps-lite serve`, which starts it."""

from __future__ import annotations

import faulthandler
import os
import sys

from fps_lite.cli.interruption import outlast_signals, take_signals
from fps_lite.errors import FPSError


def main() -> None:
    """Do what the parent says; argv has the descriptors of the link to it and of the trace."""
    take_signals()
    from fps_lite.cli.ending import end, hold_signals_off  # noqa: PLC0415 - may be interrupted

    hold_signals_off()
    link, trace = map(int, sys.argv[1:3])
    # Where it is when it must be killed, or crashes.
    os.set_inheritable(trace, False)  # noqa: FBT003 - as it is spelt
    faulthandler.enable(file=trace)
    code = _run(link)
    outlast_signals()
    end(code)


def _run(link: int) -> int:
    try:
        from fps_lite.cli.command import invoke  # noqa: PLC0415 - slow, and may be interrupted
        from fps_lite.cli.worker import hired  # noqa: PLC0415

        worker = hired(link)
    except KeyboardInterrupt:
        return 1
    if worker is None:
        return 0
    try:
        invoke(worker.job.argv, worker=worker)
    except KeyboardInterrupt:
        return 1
    except FPSError as error:
        return worker.fail(error)
    return 0


if __name__ == "__main__":
    main()
