"""What a plugin declares as a lane, and what it gets back."""

import sqlite3
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from corekit.data.engines import Database

Item = TypeVar("Item")
Done = TypeVar("Done")
ItemIn_contra = TypeVar("ItemIn_contra", contravariant=True)
DoneOut_co = TypeVar("DoneOut_co", covariant=True)

QUEUE = 10_000  # items in flight per process; beyond it 429 or error 111


class Lane(Protocol[ItemIn_contra, DoneOut_co]):
    """Append items durably; the result is there only after COMMIT.

    One item's `Problem` never harms its neighbours. Items of one key keep, within a process, their order of submission.
    It runs with service rights: the SQL repeats the policy, and actor ids come from the authenticated connection.
    """

    async def append(self, item: ItemIn_contra, /) -> DoneOut_co:
        """Write one item.

        Raises:
            InsideContext: the task holds a context.
            TooMany: the queue is full.
            Problem: whatever the lane's SQL refused.

        """
        ...


@dataclass(frozen=True)
class LaneSpec(Generic[Item, Done]):
    """One lane, said twice: `sqlite` is a sync function of connection and item, `postgresql` an async one.

    Both run inside a transaction that they do not end, and insert into `corekit_outbox` what must be told. `key` names
    what an item belongs to, for example its conversation; without it all items of the lane are one sequence.
    """

    name: str
    sqlite: Callable[[sqlite3.Connection, Item], Done]
    postgresql: Callable[[Any, Item], Awaitable[Done]]
    key: Callable[[Item], Hashable] | None = None


class Lanes(Protocol):
    """The lanes of one database."""

    async def start(self) -> None:
        """Open the connections."""
        ...

    async def stop(self) -> None:
        """Finish what was accepted, then close."""
        ...

    def lane(self, spec: LaneSpec[Item, Done]) -> Lane[Item, Done]:
        """Return the lane for the database in use."""
        ...


def lanes_for(database: Database) -> Lanes:
    """Pick the implementation for the database in use."""
    if database.dialect == "sqlite":
        from corekit.data.lanes.sqlite import GroupWriter  # noqa: PLC0415  # neither driver is loaded without need

        return GroupWriter(database)
    from corekit.data.lanes.postgresql import StatementLanes  # noqa: PLC0415

    return StatementLanes(database)
