"""Which bus a kit has."""

from corekit.context import Kit
from corekit.data.redis import Redis, RedisSettings
from corekit.errors import ConfigError
from corekit_realtime.bus.base import Bus
from corekit_realtime.bus.memory import MemoryBus
from corekit_realtime.settings import RealtimeSettings


def choose(kit: Kit, settings: RealtimeSettings) -> Bus:
    """Make the bus of `[realtime] bus`; `auto` needs no further service.

    Raises:
        ConfigError: the bus needs what the kit does not have.

    """
    name = settings.bus
    if name == "auto":
        name = "memory" if kit.database.dialect == "sqlite" else "postgresql"
    if name == "memory":
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
