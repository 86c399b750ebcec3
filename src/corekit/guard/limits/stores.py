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
    """`[limits]`: `auto` counts in Redis if `[redis] url` is set, else in the database.

    Where one process alone serves on SQLite, it counts in its memory instead of the database.
    """

    store: Literal["auto", "memory", "sql", "redis"] = "auto"
    memory_keys: int = 100_000


def make_limits(kit: Kit, settings: LimitSettings | None = None, redis: Redis | None = None) -> Limits:
    """Pick the store: what several processes count must not lie in the memory of each, unless an operator says so.

    Raises:
        ConfigError: Redis shall count, but there is none.

    """
    settings = settings or LimitSettings()
    store = settings.store
    if store == "auto":
        store = "redis" if redis is not None else "memory" if kit.alone and kit.database.dialect == "sqlite" else "sql"
    if store == "memory":
        return MemoryLimits(kit.clock, settings.memory_keys)
    if store == "sql":
        return SqlLimits(kit)
    if redis is None:
        raise ConfigError('[limits] store = "redis" needs [redis] url, like redis://host:6379/0')
    return RedisLimits(kit, redis)
