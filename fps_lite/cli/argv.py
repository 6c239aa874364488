"""From argv to what every command shares: directory, files, switches and dotted options.

These leave argv before click parses it, so that a plugin's command takes them like any
other, and before a plugin is imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import click
from msgspec import Struct

from fps_lite.config import Option

DOTTED = re.compile(r"--([A-Za-z0-9][\w-]*(?:\.[\w-]+)+)(?:=(.*))?", re.DOTALL)
SHARED = {
    "--config": ("FILE", "Read this TOML file, above the others."),
    "--directory": ("DIR", "Change to this directory first."),
    "--enable": ("NAME", "Enable this plugin."),
    "--disable": ("NAME", "Disable this plugin."),
}

Names = Callable[[click.Context], Iterable[str]]


def shared_options(names: Names) -> list[click.Option]:
    """Return the shared options as click shows and completes them; it never gets to parse one."""

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        return [name for name in names(ctx) if name.startswith(incomplete)]

    kinds: dict[str, dict[str, Any]] = {
        "FILE": {"type": click.Path()},
        "DIR": {"type": click.Path(file_okay=False)},
        "NAME": {"shell_complete": complete},
    }
    return [
        click.Option(
            [flag], metavar=kind, help=said, multiple=True, expose_value=False, **kinds[kind]
        )
        for flag, (kind, said) in SHARED.items()
    ]


class Word(Struct, frozen=True):
    """An option with its value, and its place in argv: of two, the later wins."""

    position: int
    flag: str
    value: str


class Invocation(Struct, frozen=True):
    """One command line, taken apart."""

    argv: tuple[str, ...]
    rest: tuple[str, ...] = ()
    """What click gets."""
    dotted: tuple[Word, ...] = ()
    shared: tuple[Word, ...] = ()

    def values(self, flag: str) -> list[str]:
        """Return the values of a shared option in the order given."""
        return [word.value for word in self.shared if word.flag == flag]

    def options(self, named: dict[str, tuple[str, str]] | None = None) -> list[Option]:
        """Return dotted and named options in the order given.

        `named` maps a flag to its dotted key and its text.
        """
        placed = [
            (word.position, _option(word.flag, word.flag[2:], word.value)) for word in self.dotted
        ]
        for flag, (key, text) in (named or {}).items():
            placed.append((self._last(flag), _option(flag, key, text)))
        return [option for _, option in sorted(placed, key=lambda pair: pair[0])]

    def _last(self, flag: str) -> int:
        given = (
            i for i, word in enumerate(self.argv) if word == flag or word.startswith(flag + "=")
        )
        return max(given, default=-1)


def _option(flag: str, key: str, text: str) -> Option:
    return Option(flag, tuple(key.split(".")), text)


def take_apart(argv: list[str]) -> Invocation:
    """Take the shared and the dotted options out of `argv`; all after `--` is left alone."""
    rest: list[str] = []
    dotted: list[Word] = []
    shared: list[Word] = []
    position = 0
    while position < len(argv) and argv[position] != "--":
        word, following = argv[position], argv[position + 1 : position + 2]
        if match := DOTTED.fullmatch(word):
            value, used = _dotted_value(match[2], following)
            dotted.append(Word(position, f"--{match[1]}", value))
        elif word.partition("=")[0] in SHARED:
            value, used = _shared_value(word, following)
            shared.append(Word(position, word.partition("=")[0], value))
        else:
            rest.append(word)
            used = 0
        position += 1 + used
    return Invocation(tuple(argv), (*rest, *argv[position:]), tuple(dotted), tuple(shared))


def _dotted_value(attached: str | None, following: list[str]) -> tuple[str, int]:
    if attached is not None:
        return attached, 0
    if following and not following[0].startswith("--"):
        return following[0], 1
    return "true", 0


def _shared_value(word: str, following: list[str]) -> tuple[str, int]:
    flag, has_value, value = word.partition("=")
    if has_value:
        return value, 0
    if not following or following[0].startswith("--"):
        message = f"Option '{flag}' requires an argument."
        raise click.UsageError(message)
    return following[0], 1
