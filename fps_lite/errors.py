"""Everything that can be wrong, as a tree; each branch is one exit code.

    FPSError             1   anything that fps-lite expects to go wrong
    ├── ConfigError      3   a key or value, from whatever layer
    ├── PluginError      4   a plugin that cannot be used: import, hook, conflict, cycle
    └── StartupError     1   a lifespan or a socket that did not start
        └── StoppedError 1   what ended after the start, and is in the log already

An error is a value before it is raised: each stage returns those that it found, so that
a user sees all of them at once (`refuse`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


class FPSError(Exception):
    """One or more problems, one line each."""

    exit_code: ClassVar[int] = 1

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(self.problems)


class ConfigError(FPSError):
    """Configuration that cannot be used: `where: key: what`."""

    exit_code: ClassVar[int] = 3


class PluginError(FPSError):
    """A plugin, or a composition of plugins, that cannot be used."""

    exit_code: ClassVar[int] = 4


class StartupError(FPSError):
    """Something that was fine to compose and did not start."""


class StoppedError(StartupError):
    """What crashed or did not stop in order; each line has been logged when it happened."""


def refuse(errors: Iterable[FPSError]) -> None:
    """Raise all `errors` as one, a `ConfigError` if any of them is one; else nothing."""
    found = tuple(errors)
    if not found:
        return
    kind = max((type(error) for error in found), key=_severity)
    ordered = sorted(found, key=lambda error: -_severity(type(error)))
    lines = dict.fromkeys(line for error in ordered for line in error.problems)
    raise kind(*lines)


def kind_of(exit_code: int) -> type[FPSError]:
    """Return the branch whose exit code this is."""
    kinds: dict[int, type[FPSError]] = {3: ConfigError, 4: PluginError}
    return kinds.get(exit_code, StartupError)


def system_reason(error: OSError) -> str:
    """Return what the operating system says, to follow a colon: `address already in use`."""
    text = error.strerror or str(error)
    # A name like AF_UNIX stays as it is.
    is_name = text[1:2].isupper() or text[1:2] == "_"
    return text if is_name else text[:1].lower() + text[1:]


def _severity(kind: type[FPSError]) -> int:
    return [FPSError, StartupError, PluginError, ConfigError].index(
        StartupError if issubclass(kind, StartupError) else kind
    )
