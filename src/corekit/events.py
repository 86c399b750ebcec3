"""Events: what happened, told in the same transaction, heard after the commit, at least once per listener."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from corekit.context import Context
from corekit.data.base import table_of
from corekit.data.outbox import OnceRow, OutboxRow
from corekit.errors import PluginError
from corekit.values import uuid7

E = TypeVar("E", bound="Event")
P = TypeVar("P")
_MARK = "__corekit_on__"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every event: past tense, ids instead of texts, a stable `tag=` so that a renamed class reads old rows."""


def tag_of(event: type[Event]) -> str:
    """Return the stable name of an event class."""
    tag = event.__struct_config__.tag
    if not isinstance(tag, str):
        raise PluginError(
            f"event {event.__name__} needs a tag, as in `class {event.__name__}(Event, tag='plugin.name')`"
        )
    return tag


def on(
    event: type[E],
) -> Callable[[Callable[[P, Context, E], Awaitable[None]]], Callable[[P, Context, E], Awaitable[None]]]:
    """Mark a plugin's async method `(ctx, event)` as a listener: idempotent, in a transaction of its own."""
    tag_of(event)

    def mark(function: Callable[[P, Context, E], Awaitable[None]]) -> Callable[[P, Context, E], Awaitable[None]]:
        if listened(function):
            raise PluginError(f"{function.__qualname__} listens to two events; write one method for each")
        setattr(function, _MARK, event)
        return function

    return mark


def listened(function: Any) -> type[Event] | None:
    """Return the event that a marked function listens to."""
    event: type[Event] | None = getattr(function, _MARK, None)
    return event


async def emit(ctx: Context, event: Event) -> None:
    """Record an event in this transaction; each listener hears of it after the commit."""
    ctx.demand_writing("emit")
    ctx.session.add(
        OutboxRow(
            id=uuid7(),
            kind="event",
            tag=tag_of(type(event)),
            payload=msgspec.json.encode(event),
            priority=0,
            tenant=ctx.tenant,
            actor=person.id if (person := ctx.caller.person) else None,
            trace=ctx.caller.request_id,
            created_at=ctx.now(),
        )
    )
    ctx.work.wakes = True


async def once(ctx: Context, event: Any) -> bool:
    """Tell, in a listener or a job, whether this is the first time: False if it was handled and committed before.

    What the listener then does in this same context is in the database exactly once, however often it is called.
    """
    delivery = ctx.caller.delivery
    if delivery is None:
        raise PluginError(f"once({type(event).__name__}) is for a listener or a job: nothing was delivered here")
    table = table_of(OnceRow)
    dialect_insert = sqlite_insert if ctx.kit.database.dialect == "sqlite" else postgresql_insert
    row = dialect_insert(table).values(listener=delivery.listener, event=delivery.id, created_at=ctx.now())
    return (await (await ctx.session.connection()).execute(row.on_conflict_do_nothing())).rowcount == 1
