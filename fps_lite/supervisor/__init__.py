"""Workers that serve one app: started, watched, replaced, and ended by their parent."""

from __future__ import annotations

from .child import Command
from .control import Answer, Question, answering, ask, of_directory, refused
from .link import Link
from .messages import Checked, Drain, Failed, Go, Job, Leaving, Ready, Terms
from .supervisor import Host, Supervisor

__all__ = [
    "Answer",
    "Checked",
    "Command",
    "Drain",
    "Failed",
    "Go",
    "Host",
    "Job",
    "Leaving",
    "Link",
    "Question",
    "Ready",
    "Supervisor",
    "Terms",
    "answering",
    "ask",
    "of_directory",
    "refused",
]
