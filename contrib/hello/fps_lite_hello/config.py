"""What `[hello]` may hold."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from fps_lite import PluginConfig, hookimpl


class HelloConfig(PluginConfig, frozen=True, kw_only=True):
    """The table `[hello]`."""

    greeting: str = "hello"
    count: Annotated[int, Meta(ge=0)] = 0
    """The number after the name."""
    random: bool = False
    """A number from 0 to 250 instead of `count`, anew for each request."""


@hookimpl
def config() -> type[HelloConfig]:
    """Declare the table."""
    return HelloConfig
