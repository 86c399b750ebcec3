"""Limits in the kit's database."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select, text
from sqlalchemy.exc import SQLAlchemyError

from corekit.context import Kit
from corekit.data.base import to_micros
from corekit.guard.limit_rows import LimitRow
from corekit.guard.limits.rules import Decision, Limits, Rule, demand_account, passed, refused, without_store
from corekit.watch.logs import get_logger

PURPOSE = "corekit.limits"
_PRUNE_EVERY = 10_000

_HIT = text(
    "INSERT INTO corekit_limits (key, tat) VALUES (:key, :first)"
    " ON CONFLICT (key) DO UPDATE SET tat = max(corekit_limits.tat, :now) + :step"
    " WHERE max(corekit_limits.tat, :now) <= :latest RETURNING tat"
)


# One statement alone, which does not wait for the disk: whoever crashes forgets the last hits of less than a second.
_HIT_ON_POSTGRESQL = """
WITH quick AS (SELECT set_config('synchronous_commit', 'off', true)), hit AS (
    INSERT INTO corekit_limits (key, tat) SELECT $1::bytea, $2::bigint FROM quick
    ON CONFLICT (key) DO UPDATE SET tat = greatest(corekit_limits.tat, $3::bigint) + $4::bigint
    WHERE greatest(corekit_limits.tat, $3::bigint) <= $5::bigint RETURNING tat)
SELECT (SELECT tat FROM hit) AS now, (SELECT tat FROM corekit_limits WHERE key = $1::bytea) AS before
"""
_REFUND = text("UPDATE corekit_limits SET tat = tat - :step WHERE key = :key")
_REFUND_ON_POSTGRESQL = """
WITH quick AS (SELECT set_config('synchronous_commit', 'off', true))
UPDATE corekit_limits SET tat = tat - $2::bigint FROM quick WHERE key = $1::bytea
"""


class SqlLimits(Limits):
    """Limits that all processes on one database share; a key is an HMAC, so the table holds no address."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._hits = 0

    async def hit(self, rule: Rule, key: str, cost: int = 1) -> Decision:
        """Charge a key, in a transaction of its own."""
        step, ahead = rule.micros(cost)
        now = to_micros(self._kit.clock.now())
        row = {"key": self._key(rule, key), "first": now + step, "now": now, "step": step, "latest": now + ahead}
        try:
            await self._prune(now)
            tat, before = await self._charge(row)
        except (SQLAlchemyError, OSError) as error:
            return without_store(rule, error)
        return passed(rule, tat, now) if tat is not None else refused(before or now, now + ahead)

    async def refund(self, rule: Rule, key: str, cost: int = 1) -> None:
        """Give back."""
        step, _ = rule.micros(cost)
        row = {"key": self._key(rule, key), "step": step}
        try:
            if self._kit.database.dialect == "postgresql":
                await self._alone("execute", _REFUND_ON_POSTGRESQL, row)
                return
            async with self._kit.caller().system(PURPOSE).begin() as ctx:
                await ctx.session.execute(_REFUND, row)
        except (SQLAlchemyError, OSError) as error:
            get_logger("corekit.guard").warning("limit_refund_failed", error=type(error).__name__)

    async def reset(self, rule: Rule, key: str) -> None:
        """Forget a key."""
        demand_account(rule)
        try:
            async with self._kit.caller().system(PURPOSE).begin() as ctx:
                await ctx.session.execute(delete(LimitRow).where(LimitRow.key == self._key(rule, key)))
        except (SQLAlchemyError, OSError) as error:
            without_store(rule, error)

    async def _charge(self, row: Mapping[str, Any]) -> tuple[int | None, int | None]:
        """Return when the key is free again if that was passed, and when it was before."""
        if self._kit.database.dialect == "postgresql":
            found: tuple[int | None, int | None] = await self._alone("fetchrow", _HIT_ON_POSTGRESQL, row)
            return found
        async with self._kit.caller().system(PURPOSE).begin() as ctx:
            tat = (await ctx.session.execute(_HIT, row)).scalar()
            taken = await ctx.session.scalar(select(LimitRow.tat).where(LimitRow.key == row["key"]))
            return tat, taken

    async def _alone(self, how: str, sql: str, row: Mapping[str, Any]) -> Any:
        """Run one statement by a method of the driver; its parameters are the row's values in their order."""
        return await self._kit.database.lend(sql, lambda lent: getattr(lent.driver_connection, how)(sql, *row.values()))

    async def _prune(self, now: int) -> None:
        """Drop rows that say nothing any more, once in many hits, or every address ever seen would stay."""
        self._hits += 1
        if self._hits % _PRUNE_EVERY == 0:
            async with self._kit.caller().system(PURPOSE).begin() as ctx:
                await ctx.session.execute(delete(LimitRow).where(LimitRow.tat < now))

    def _key(self, rule: Rule, key: str) -> bytes:
        return self._kit.keyring.mac(f"limits.{rule.name}", key)
