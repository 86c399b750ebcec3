"""Ends that a cancelled task must not tear."""

import asyncio
import sqlite3
from collections.abc import Coroutine
from typing import Any, TypeVar

R = TypeVar("R")


async def to_the_end(work: Coroutine[Any, Any, R]) -> R:
    """Run this to its end even where the caller is cancelled meanwhile; the cancellation is raised after it."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                continue
        if not task.cancelled():
            task.exception()  # it has been seen: the cancellation counts more
        raise


class SqliteConnection(sqlite3.Connection):
    """Rolls back before it closes.

    A cursor that some traceback still holds keeps a closed connection alive, and with it the lock of its transaction:
    nobody could write until the garbage collector came.
    """

    def close(self) -> None:
        if self.in_transaction:
            self.rollback()
        super().close()
