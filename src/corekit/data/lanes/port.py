"""What a plugin declares as a lane, and what it gets back."""

import sqlite3
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from corekit.data.engines import Database
from corekit.errors import Unavailable

Item = TypeVar("Item")
Done = TypeVar("Done")
ItemIn_contra = TypeVar("ItemIn_contra", contravariant=True)
DoneOut_co = TypeVar("DoneOut_co", covariant=True)

QUEUE = 10_000  # items in flight per process; beyond it 429 or error 111
MAX_BATCH = 256  # items per commit


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
            Unavailable: the database did not say that it is stored; it may be, so come again with the same key.
            Problem: whatever the lane's SQL refused.

        """
        ...


@dataclass(frozen=True)
class Batch(Generic[Item, Done]):
    """A lane's one statement on PostgreSQL, over arrays: parameter n holds `columns(item)[n - 1]` of every item.

    It answers one row per item, whose first column is the item's place among them, from 1 (`WITH ORDINALITY`); `answer`
    reads that row, or raises the `Problem` it tells of. What is refused the statement leaves alone: a batch is one
    transaction. `once` is the idempotency key, which a UNIQUE constraint holds too: of equal ones the first is stored
    before the others run.

    With `locks` the statement has one parameter more, an array of keys whose rows it locks in their order. It then runs
    twice in the transaction, first with the keys alone: a statement sees what was committed before it began, so only
    the second sees what the holders of those locks did. The place of a row that only tells of a lock is 0.
    """

    statement: str
    columns: Callable[[Item], Sequence[Any]]
    answer: Callable[[Item, Any], Done]
    once: Callable[[Item], Hashable]
    locks: bool = False


@dataclass(frozen=True)
class LaneSpec(Generic[Item, Done]):
    """One lane, said twice: `sqlite` is a sync function of connection and item, `postgresql` a statement over arrays.

    Both run inside a transaction that they do not end, perhaps more than once, and insert into `corekit_outbox` what
    must be told. `key` names what an item belongs to, for example its conversation; without it all items of the lane
    are one sequence.
    """

    name: str
    sqlite: Callable[[sqlite3.Connection, Item], Done]
    postgresql: Batch[Item, Done]
    key: Callable[[Item], Hashable] | None = None


class Lanes(Protocol):
    """The lanes of one database."""

    async def start(self) -> None:
        """Open the connections."""
        ...

    async def stop(self) -> None:
        """Finish what was accepted, then close."""
        ...

    async def check(self) -> None:
        """Raise where nothing can be appended any more."""
        ...

    def lane(self, spec: LaneSpec[Item, Done]) -> Lane[Item, Done]:
        """Return the lane for the database in use."""
        ...


def lanes_for(database: Database) -> Lanes:
    """Pick the implementation for the database in use."""
    if database.dialect == "sqlite":
        from corekit.data.lanes.sqlite import GroupWriter  # noqa: PLC0415  # neither driver is loaded without need

        return GroupWriter(database)
    from corekit.data.lanes.postgresql import MicroBatches  # noqa: PLC0415

    return MicroBatches(database)


def not_taken(cause: BaseException) -> Unavailable:
    """Say that the database was the reason; each caller gets an error of its own."""
    fault = Unavailable("the database did not take the write")
    fault.__cause__ = cause
    return fault
