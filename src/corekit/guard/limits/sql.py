"""Limits in the kit's database."""

from sqlalchemy import BigInteger, LargeBinary, TextClause, bindparam, delete, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from corekit.context import Context, Kit
from corekit.data.base import to_micros
from corekit.guard.limit_rows import LimitRow
from corekit.guard.limits.rules import Decision, Limits, Rule, demand_account, passed, refused, without_store
from corekit.watch.logs import get_logger

PURPOSE = "corekit.limits"
_PRUNE_EVERY = 10_000

# PostgreSQL cannot type `:now + :step` between two parameters, so everything is computed outside.
_HIT = """
INSERT INTO corekit_limits (key, tat) VALUES (:key, :first)
ON CONFLICT (key) DO UPDATE SET tat = greatest(corekit_limits.tat, :now) + :step
WHERE greatest(corekit_limits.tat, :now) <= :latest RETURNING tat
"""


class SqlLimits(Limits):
    """Limits that all processes on one database share; a key is an HMAC, so the table holds no address."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._hit = _statement(kit.database.dialect)
        self._hits = 0

    async def hit(self, rule: Rule, key: str, cost: int = 1) -> Decision:
        """Charge a key, in a short writing context."""
        step, ahead = rule.micros(cost)
        now = to_micros(self._kit.clock.now())
        row = {"key": self._key(rule, key), "first": now + step, "now": now, "step": step, "latest": now + ahead}
        try:
            async with self._kit.caller().system(PURPOSE).begin() as ctx:
                await self._prune(ctx, now)
                tat = (await ctx.session.execute(self._hit, row)).scalar()
                if tat is None:
                    taken = await ctx.session.scalar(select(LimitRow.tat).where(LimitRow.key == row["key"]))
                    return refused(taken or now, now + ahead)
        except (SQLAlchemyError, OSError) as error:
            return without_store(rule, error)
        return passed(rule, tat, now)

    async def refund(self, rule: Rule, key: str, cost: int = 1) -> None:
        """Give back."""
        step, _ = rule.micros(cost)
        statement = update(LimitRow).where(LimitRow.key == self._key(rule, key)).values(tat=LimitRow.tat - step)
        try:
            async with self._kit.caller().system(PURPOSE).begin() as ctx:
                await ctx.session.execute(statement, execution_options={"synchronize_session": False})
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

    async def _prune(self, ctx: Context, now: int) -> None:
        """Drop rows that say nothing any more, once in many hits, or every address ever seen would stay."""
        self._hits += 1
        if self._hits % _PRUNE_EVERY == 0:
            await ctx.session.execute(delete(LimitRow).where(LimitRow.tat < now))

    def _key(self, rule: Rule, key: str) -> bytes:
        return self._kit.keyring.mac(f"limits.{rule.name}", key)


def _statement(dialect: str) -> TextClause:
    numbers = [bindparam(name, type_=BigInteger) for name in ("first", "now", "step", "latest")]
    sql = _HIT if dialect == "postgresql" else _HIT.replace("greatest", "max")
    return text(sql).bindparams(bindparam("key", type_=LargeBinary), *numbers)
