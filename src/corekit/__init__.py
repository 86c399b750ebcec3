"""corekit: the backend of a super-app as a library. A small core with typed hooks, and installable plugins."""

from corekit.context import NOBODY, Actor, Caller, Client, Context
from corekit.events import Event, emit, on, once
from corekit.hooks import hookspec, implements
from corekit.jobs import enqueue, job, schedule
from corekit.kit import Corekit
from corekit.plugin import Kit, Plugin
from corekit.settings import Secret, Settings

__all__ = [
    "NOBODY",
    "Actor",
    "Caller",
    "Client",
    "Context",
    "Corekit",
    "Event",
    "Kit",
    "Plugin",
    "Secret",
    "Settings",
    "emit",
    "enqueue",
    "hookspec",
    "implements",
    "job",
    "on",
    "once",
    "schedule",
]
