"""What a record is about, beside its message: the worker, the plugin, the request."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from fps_lite.whose import PLUGIN

if TYPE_CHECKING:
    import logging


class Asked(Protocol):
    """A request, as the log knows it."""

    @property
    def id(self) -> str:
        """What all records of the request have in common."""

    @property
    def plugin(self) -> str:
        """Whose route answers it, or "" if that is not known."""


REQUEST: ContextVar[Asked | None] = ContextVar("fps_lite.request", default=None)
"""The request that is answered; tasks and threads inherit it."""


@dataclass(frozen=True, slots=True)
class About:
    """What is known of each record of one process."""

    worker: int | None = None
    """The worker's number, from 1; None in any other process."""
    is_alone: bool = True
    """Whether there is no more than one worker."""
    plugins: frozenset[str] = frozenset()
    """The names of the plugins, and so of their loggers below `fps_lite`."""

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return what is known; must be asked where the record was made."""
        request = REQUEST.get()
        found: dict[str, Any] = {}
        if self.worker is not None:
            found["worker"] = self.worker
        if plugin := self._plugin(record, request):
            found["plugin"] = plugin
        if request is not None:
            found["request"] = request.id
        return found

    def _plugin(self, record: logging.LogRecord, request: Asked | None) -> str:
        package, _, rest = record.name.partition(".")
        name = rest.partition(".")[0]
        if package == "fps_lite" and name in self.plugins:
            return name
        return PLUGIN.get() or (request.plugin if request is not None else "")
