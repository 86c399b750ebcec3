"""`[realtime]`: where the gateway listens, and its limits; or where Centrifugo does its work."""

import re
from typing import Literal
from urllib.parse import urlsplit

from corekit.errors import ConfigError
from corekit.settings import Secret, Settings

BUSES = ("auto", "memory", "postgresql", "redis")
SCHEMES = ("redis", "rediss", "valkey", "valkeys", "nats", "tls")
_SECRET_MIN = 16
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,32}")


class RealtimeSettings(Settings, frozen=True):
    """Times are in seconds, sizes in bytes, rates per second; limits are per connection unless they say otherwise."""

    mode: Literal["gateway", "centrifugo"] = "gateway"
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
    presence_digest: float = 5.0
    leave_delay: float = 10.0
    join_leave_every: float = 0.25
    handshakes: int = 1000
    handshakes_ip_rate: int = 500
    handshakes_ip_burst: int = 2000
    bus: str = "auto"
    bus_prefix: str = "corekit"
    shards: int = 64
    centrifugo_url: str = ""
    centrifugo_api_key: Secret | None = None
    centrifugo_proxy_secret: Secret | None = None
    centrifugo_timeout: float = 5.0
    centrifugo_patience: float = 30.0
    centrifugo_queue: int = 10_000
    centrifugo_senders: int = 8
    centrifugo_sub_refresh: float = 600.0

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
        if self.presence_digest <= 0:
            raise ConfigError("[realtime] presence_digest must be above 0")
        if self.mode == "centrifugo":
            self._demand_centrifugo()

    def _demand_centrifugo(self) -> None:
        address = urlsplit(self.centrifugo_url)
        if address.scheme not in {"http", "https"} or not address.hostname or address.query or address.fragment:
            raise ConfigError("[realtime] centrifugo_url is its HTTP API, as in http://centrifugo.internal:8000/api")
        if self.centrifugo_api_key is None or not self.centrifugo_api_key.reveal():
            raise ConfigError("[realtime] centrifugo_api_key is required where mode is centrifugo")
        if self.centrifugo_proxy_secret is None or len(self.centrifugo_proxy_secret.reveal()) < _SECRET_MIN:
            raise ConfigError(
                f"[realtime] centrifugo_proxy_secret, of {_SECRET_MIN} characters or more, is required where mode is"
                " centrifugo"
            )
        for name in ("timeout", "patience", "queue", "senders", "sub_refresh"):
            if getattr(self, f"centrifugo_{name}") <= 0:
                raise ConfigError(f"[realtime] centrifugo_{name} must be above 0")
