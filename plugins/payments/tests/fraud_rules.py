"""Fraud rules for a test, what is stored of them, and many who try at once."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from sqlalchemy import select

from corekit.kit import Corekit
from corekit_payments.fraud.settings import RULES, FraudSettings
from corekit_payments.models import PURPOSE

T = TypeVar("T")


def only(**rules: Any) -> FraudSettings:
    """Have these rules and no others."""
    return FraudSettings(off=tuple(name for name in RULES if name not in rules), **rules)


async def rows(kit: Corekit, row: Any) -> list[Any]:
    async with kit.caller().system(PURPOSE).begin(readonly=True) as ctx:
        return list((await ctx.session.scalars(select(row))).all())


async def raced(tries: Iterable[Coroutine[Any, Any, T]], most: int = 4) -> list[T]:
    """Let many run at once, as many as a pool has connections: who waits for one longer than a while is refused."""
    room = asyncio.Semaphore(most)

    async def one(trying: Coroutine[Any, Any, T]) -> T:
        async with room:
            return await trying

    return await asyncio.gather(*map(one, tries))
