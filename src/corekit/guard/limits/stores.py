"""Which store counts."""

from typing import Literal

from corekit.context import Kit
from corekit.data.redis import Redis
from corekit.errors import ConfigError
from corekit.guard.limits.memory import MemoryLimits
from corekit.guard.limits.redis import RedisLimits
from corekit.guard.limits.rules import Limits
from corekit.guard.limits.sql import SqlLimits
from corekit.settings import Settings


class LimitSettings(Settings, frozen=True):
    """`[limits]`: `auto` counts in Redis if `[redis] url` is set, else in memory on SQLite, else in the database."""

    store: Literal["auto", "memory", "sql", "redis"] = "auto"
    memory_keys: int = 100_000


def make_limits(kit: Kit, settings: LimitSettings | None = None, redis: Redis | None = None) -> Limits:
    """Pick the store; with SQLite one process serves, so `auto` may count in its memory.

    Raises:
        ConfigError: Redis shall count, but there is none.

    """
    settings = settings or LimitSettings()
    store = settings.store
    if store == "auto":
        store = "redis" if redis is not None else "sql" if kit.database.dialect == "postgresql" else "memory"
    if store == "memory":
        return MemoryLimits(kit.clock, settings.memory_keys)
    if store == "sql":
        return SqlLimits(kit)
    if redis is None:
        raise ConfigError('[limits] store = "redis" needs [redis] url, like redis://host:6379/0')
    return RedisLimits(kit, redis)
