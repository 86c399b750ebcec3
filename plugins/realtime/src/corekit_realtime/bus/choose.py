"""Which bus a kit has."""

from corekit.context import Kit
from corekit.data.redis import Redis, RedisSettings
from corekit.errors import ConfigError
from corekit_realtime.bus.base import Bus
from corekit_realtime.bus.memory import MemoryBus
from corekit_realtime.settings import RealtimeSettings

_CURES = (
    'set [redis] url and [realtime] bus = "redis", or name a server in bus (redis://… or nats://…),'
    " or use PostgreSQL with its own bus, or run one process: workers = 1, and no `corekit worker`"
)


def choose(kit: Kit, settings: RealtimeSettings) -> Bus:
    """Make the bus of `[realtime] bus`; `auto` needs no service that is not there already.

    Raises:
        ConfigError: the bus needs what the kit does not have, or joins nobody although there are several processes.

    """
    name = settings.bus
    if name == "auto":
        name = _automatic(kit)
    if name == "memory":
        if not kit.alone:
            raise ConfigError(f"[realtime] bus is memory, which joins no other process; {_CURES}")
        return MemoryBus()
    if name == "postgresql":
        if kit.database.dialect != "postgresql":
            raise ConfigError("[realtime] bus is postgresql, but [database] url is not")
        from corekit_realtime.bus.postgresql import postgresql_bus  # noqa: PLC0415  # asyncpg is an extra

        return postgresql_bus(kit.database)
    if name.startswith(("nats://", "tls://")):
        from corekit_realtime.bus.nats import nats_bus  # noqa: PLC0415  # so is nats-py

        return nats_bus(name, settings.bus_prefix)
    from corekit_realtime.bus.redis import redis_bus  # noqa: PLC0415  # and hiredis

    redis = kit.redis if name == "redis" else Redis(RedisSettings(url=name))
    if redis is None:
        raise ConfigError("[realtime] bus is redis, but [redis] url is not set; or write the URL here")
    return redis_bus(redis, settings.bus_prefix)


def _automatic(kit: Kit) -> str:
    if kit.database.dialect == "postgresql":
        return "postgresql"
    return "memory" if kit.redis is None else "redis"
