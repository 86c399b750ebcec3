"""Limits in Redis or Valkey."""

from corekit.context import Kit
from corekit.data.base import to_micros
from corekit.data.redis import Redis, Script
from corekit.data.resp import RedisRefused
from corekit.guard.limits.rules import Decision, Limits, Rule, demand_account, passed, refused, without_store
from corekit.watch.logs import get_logger

_PREFIX = b"corekit:limits:"

# Lua counts in doubles: microseconds are exact in them until the year 2255, but `tostring` would round them.
_HIT = Script("""
local now, step = tonumber(ARGV[1]), tonumber(ARGV[2])
local start = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
if start > tonumber(ARGV[3]) then return {0, start} end
local tat = start + step
redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000))
return {1, tat}
""")
_REFUND = Script("if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('DECRBY', KEYS[1], ARGV[1]) end")


class RedisLimits(Limits):
    """Limits that all processes on one Redis or Valkey share; a key is an HMAC and ends when it says nothing more."""

    def __init__(self, kit: Kit, redis: Redis) -> None:
        self._kit = kit
        self._redis = redis

    async def hit(self, rule: Rule, key: str, cost: int = 1) -> Decision:
        """Charge a key, in one round trip."""
        self._kit.database.demand_free("Limits.hit")
        step, ahead = rule.micros(cost)
        now = to_micros(self._kit.clock.now())
        try:
            allowed, tat = await self._redis.run(_HIT, [self._key(rule, key)], now, step, now + ahead)
        except (OSError, RedisRefused) as error:
            return without_store(rule, error)
        return passed(rule, tat, now) if allowed else refused(tat, now + ahead)

    async def refund(self, rule: Rule, key: str, cost: int = 1) -> None:
        """Give back."""
        self._kit.database.demand_free("Limits.refund")
        step, _ = rule.micros(cost)
        try:
            await self._redis.run(_REFUND, [self._key(rule, key)], step)
        except (OSError, RedisRefused) as error:
            get_logger("corekit.guard").warning("limit_refund_failed", error=type(error).__name__)

    async def reset(self, rule: Rule, key: str) -> None:
        """Forget a key."""
        demand_account(rule)
        self._kit.database.demand_free("Limits.reset")
        try:
            await self._redis.call("DEL", self._key(rule, key))
        except (OSError, RedisRefused) as error:
            without_store(rule, error)

    def _key(self, rule: Rule, key: str) -> bytes:
        return _PREFIX + self._kit.keyring.mac(f"limits.{rule.name}", key)
