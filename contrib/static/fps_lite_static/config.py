"""What `[static]` may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta, field

from fps_lite import PluginConfig, hookimpl

PublicPath = Annotated[str, Meta(pattern=r"^(/[^/{}\s]+)+$", description='like "/assets"')]
Directories = dict[PublicPath, Path]


class StaticConfig(PluginConfig, frozen=True, kw_only=True):
    """The table `[static]`."""

    directories: Directories = field(default_factory=dict)
    """Public path to directory, whose files are served as they are."""
    # A table of its own: a value that is a path or a table could not be relative to its file.
    sites: Directories = field(default_factory=dict)
    """Public path to directory, where `index.html` stands for its directory."""


@hookimpl
def config() -> type[StaticConfig]:
    """Declare the table."""
    return StaticConfig
