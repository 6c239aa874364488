"""The three descriptors that every program has, and some starters of programs close."""

from __future__ import annotations

import os
import sys


def open_standard_streams() -> None:
    """Open what is closed of stdin, stdout and stderr: a socket must not take their place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            os.set_inheritable(number, True)  # noqa: FBT003 - as it is spelt
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115
