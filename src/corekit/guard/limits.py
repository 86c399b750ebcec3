"""Rate limits: the generic cell rate algorithm (GCRA), one number per key, no history."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Literal, Protocol

import msgspec
from sqlalchemy import BigInteger, LargeBinary, TextClause, bindparam, delete, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from corekit.context import Context, Kit
from corekit.data.base import to_micros
from corekit.errors import Unavailable
from corekit.guard.limit_rows import LimitRow
from corekit.settings import Settings
from corekit.values import Clock
from corekit.watch.logs import get_logger

PURPOSE = "corekit.limits"
_OPEN = frozenset(("ip", "prefix", "session"))
_PRUNE_EVERY = 10_000
_SECOND = 1_000_000

# PostgreSQL cannot type `:now + :step` between two parameters, so everything is computed outside.
_HIT = """
INSERT INTO corekit_limits (key, tat) VALUES (:key, :first)
ON CONFLICT (key) DO UPDATE SET tat = greatest(corekit_limits.tat, :now) + :step
WHERE greatest(corekit_limits.tat, :now) <= :latest RETURNING tat
"""


class LimitSettings(Settings, frozen=True):
    """`[limits]`: `auto` counts in memory where one process serves (SQLite), in the database elsewhere."""

    store: Literal["auto", "memory", "sql"] = "auto"
    memory_keys: int = 100_000


class Rule(msgspec.Struct, frozen=True):
    """`count` hits per `period` seconds, of which `burst` may come at once; `kind` says what a key stands for.

    If the store fails, rules of kind ip, prefix and session let pass; the others answer 503.
    """

    name: str
    count: int
    period: float
    burst: int
    kind: Literal["ip", "prefix", "account", "address", "session", "global"] = "ip"

    def micros(self, cost: int) -> tuple[int, int]:
        """Return what `cost` hits take and what may be taken in advance, both in microseconds.

        Raises:
            ValueError: the cost is more than the burst, so no hit could ever pass.

        """
        if not 0 < cost <= self.burst:
            raise ValueError(f"rule {self.name}: cost must be 1 to {self.burst}")
        step = round(self.period * _SECOND / self.count)
        return step * cost, step * (self.burst - cost)


class Decision(msgspec.Struct, frozen=True):
    """Whether a hit passed; `retry_after` is in seconds, `remaining` counts what may still come at once."""

    allowed: bool
    retry_after: float = 0.0
    remaining: int = 0


class Limits(Protocol):
    """Counts hits, the same way for every plugin. Its verbs may open a context, so none may be open."""

    async def hit(self, rule: Rule, key: str, cost: int = 1) -> Decision:
        """Charge a key; charge before verifying, refund on success."""
        ...

    async def refund(self, rule: Rule, key: str, cost: int = 1) -> None:
        """Give back exactly what one attempt charged."""
        ...

    async def reset(self, rule: Rule, key: str) -> None:
        """Forget a key.

        Raises:
            ValueError: the rule is not of kind `account`; mixing in successes would pass any other without bound.

        """
        ...


class MemoryLimits(Limits):
    """Limits of one process: a dict of at most `keys` entries, the ones nearest to their end dropped first."""

    def __init__(self, clock: Clock, keys: int = 100_000) -> None:
        self._clock = clock
        self._keys = keys
        self._tat: dict[tuple[str, str], int] = {}

    async def hit(self, rule: Rule, key: str, cost: int = 1) -> Decision:
        """Charge a key."""
        step, ahead = rule.micros(cost)
        now = to_micros(self._clock.now())
        start = max(self._tat.get((rule.name, key), now), now)
        if start > now + ahead:
            return _refused(start, now + ahead)
        self._tat[rule.name, key] = start + step
        if len(self._tat) > self._keys:
            self._shrink(now)
        return _passed(rule, start + step, now)

    async def refund(self, rule: Rule, key: str, cost: int = 1) -> None:
        """Give back."""
        if (rule.name, key) in self._tat:
            self._tat[rule.name, key] -= rule.micros(cost)[0]

    async def reset(self, rule: Rule, key: str) -> None:
        """Forget a key."""
        _demand_account(rule)
        self._tat.pop((rule.name, key), None)

    def _shrink(self, now: int) -> None:
        """Drop what says nothing any more; if that is not a tenth, what will soonest say nothing."""
        self._tat = {key: tat for key, tat in self._tat.items() if tat > now}
        if len(self._tat) > self._keys * 9 // 10:
            latest = sorted(self._tat.items(), key=lambda item: item[1])
            self._tat = dict(latest[len(latest) - self._keys * 9 // 10 :])


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
                    return _refused(taken or now, now + ahead)
        except (SQLAlchemyError, OSError) as error:
            return _without_store(rule, error)
        return _passed(rule, tat, now)

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
        _demand_account(rule)
        async with self._kit.caller().system(PURPOSE).begin() as ctx:
            await ctx.session.execute(delete(LimitRow).where(LimitRow.key == self._key(rule, key)))

    async def _prune(self, ctx: Context, now: int) -> None:
        """Drop rows that say nothing any more, once in many hits, or every address ever seen would stay."""
        self._hits += 1
        if self._hits % _PRUNE_EVERY == 0:
            await ctx.session.execute(delete(LimitRow).where(LimitRow.tat < now))

    def _key(self, rule: Rule, key: str) -> bytes:
        return self._kit.keyring.mac(f"limits.{rule.name}", key)


def make_limits(kit: Kit, settings: LimitSettings | None = None) -> Limits:
    """Pick the store."""
    settings = settings or LimitSettings()
    shared = settings.store == "sql" or (settings.store == "auto" and kit.database.dialect == "postgresql")
    return SqlLimits(kit) if shared else MemoryLimits(kit.clock, settings.memory_keys)


def address_key(address: str) -> str:
    """Name who is behind an address: IPv4 itself, the /64 of IPv6, since one customer holds all of that."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return address if parsed is None else str(parsed)


def prefix_key(address: str) -> str:
    """Name the neighbourhood of an address: /24 of IPv4, /64 of IPv6."""
    parsed = _parsed(address)
    if parsed is None:
        return address
    return str(ip_network((parsed, 64 if parsed.version == 6 else 24), strict=False))  # noqa: PLR2004


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _statement(dialect: str) -> TextClause:
    numbers = [bindparam(name, type_=BigInteger) for name in ("first", "now", "step", "latest")]
    sql = _HIT if dialect == "postgresql" else _HIT.replace("greatest", "max")
    return text(sql).bindparams(bindparam("key", type_=LargeBinary), *numbers)


def _passed(rule: Rule, tat: int, now: int) -> Decision:
    step, _ = rule.micros(1)
    return Decision(allowed=True, remaining=max(0, (now + step * rule.burst - tat) // step))


def _refused(start: int, latest: int) -> Decision:
    return Decision(allowed=False, retry_after=max(start - latest, 1) / _SECOND)


def _demand_account(rule: Rule) -> None:
    if rule.kind != "account":
        raise ValueError(f"rule {rule.name} is of kind {rule.kind}: only account rules are reset")


def _without_store(rule: Rule, error: Exception) -> Decision:
    get_logger("corekit.guard").warning("limit_store_failed", tag=rule.name, error=type(error).__name__)
    if rule.kind in _OPEN:
        return Decision(allowed=True)
    raise Unavailable("limits cannot be counted now") from error
