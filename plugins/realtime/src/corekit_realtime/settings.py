"""`[realtime]`: where the gateway listens, and its limits."""

import re
from typing import Literal

from corekit.errors import ConfigError
from corekit.settings import Settings

BUSES = ("auto", "memory", "postgresql", "redis")
SCHEMES = ("redis", "rediss", "valkey", "valkeys", "nats", "tls")
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,32}")


class RealtimeSettings(Settings, frozen=True):
    """Times are in seconds, sizes in bytes, rates per second; limits are per connection unless they say otherwise."""

    path: str = "/connection/websocket"
    origins: tuple[str, ...] = ()
    ping: float = 25.0
    pong_timeout: float = 10.0
    stale: float = 10.0
    expiry_grace: float = 25.0
    reauthorise: float = 60.0
    frame_max: int = 65_536
    soft_buffer: int = 262_144
    hard_buffer: int = 1_048_576
    slow_for: float = 10.0
    linger: float = 0.0
    channels_max: int = 128
    connections_per_user: int = 20
    limit_policy: Literal["refuse", "oldest"] = "refuse"
    connections_max: int = 10_000
    rpc_concurrency: int = 16
    commands_rate: int = 50
    commands_burst: int = 100
    commands_patience: float = 10.0
    publish_rate: int = 5
    read_rate: int = 10
    recover_rows: int = 500
    recover_bytes: int = 1_048_576
    history_max: int = 300
    position_check: float = 40.0
    presence_max: int = 200
    leave_delay: float = 10.0
    join_leave_every: float = 0.25
    handshakes: int = 1000
    handshakes_ip_rate: int = 500
    handshakes_ip_burst: int = 2000
    bus: str = "auto"
    bus_prefix: str = "corekit"
    shards: int = 64

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigError: naming the settings and what they must be.

        """
        if not 0 < self.pong_timeout < self.ping:
            raise ConfigError("[realtime] pong_timeout must be above 0 and below ping")
        if self.hard_buffer < self.soft_buffer:
            raise ConfigError("[realtime] hard_buffer must not be below soft_buffer")
        if self.bus not in BUSES and self.bus.partition("://")[0] not in SCHEMES:
            allowed = ", ".join((*BUSES, *(f"{scheme}://…" for scheme in SCHEMES)))
            raise ConfigError(f"[realtime] bus is one of {allowed}")
        if not _PREFIX.fullmatch(self.bus_prefix):
            raise ConfigError("[realtime] bus_prefix is 1 to 32 letters, digits, '-' and '_'")
