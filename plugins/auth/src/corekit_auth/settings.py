"""`[auth]`: every number of the plugin, with the defaults of a strict server."""

from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

from corekit.errors import ConfigError
from corekit.guard import Rule
from corekit.settings import Settings

Kind = Literal["ip", "prefix", "session"]
_ACCESS_TTL_MIN = 300
_FREE_MIN = 2
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


class Rate(Settings, frozen=True):
    """`count` in `period` seconds, of which `burst` at once."""

    count: int
    period: float
    burst: int


class AuthSettings(Settings, frozen=True):
    """Times are in seconds.

    `mailer_autoconfirm` trusts an address without a mail; left out, it is on in the environment `dev` alone.
    `external_url` is where clients reach this server; `issuer` is derived from it where it is left out.
    """

    prefix: str = "/auth/v1"
    site_url: str = "http://localhost:3000"
    external_url: str = "http://localhost:8000"
    issuer: str = ""
    aud: str = "authenticated"
    role: str = "authenticated"
    admin_roles: Sequence[str] = ("service_role", "supabase_admin")

    disable_signup: bool = False
    mailer_autoconfirm: bool | None = None
    password_min: int = 8
    password_checks: bool = True
    product_words: Sequence[str] = ("corekit", "password")
    max_metadata: int = 4096
    demand_current_password: bool = True
    fresh_sign_in: float = 900

    access_ttl: int = 900
    reuse_interval: float = 10
    inactivity: float = 30 * 86_400
    absolute_life: float = 180 * 86_400
    token_cache: int = 10_000
    revocation_poll: float = 0.5
    revocation_stale: float = 5

    hash_threads: int = 0
    hash_wait: float = 2
    request_timeout: float = 10

    token_rate: Rate = Rate(count=150, period=300, burst=30)
    prefix_failure_rate: Rate = Rate(count=300, period=3600, burst=300)
    refresh_rate: Rate = Rate(count=150, period=300, burst=30)
    session_refresh_rate: Rate = Rate(count=30, period=300, burst=30)
    otp_rate: Rate = Rate(count=30, period=300, burst=30)
    failures_free: int = 10
    failures_base: float = 30
    failures_max: float = 3600

    def autoconfirm(self, env: str) -> bool:
        """Tell whether an address counts as confirmed at once."""
        return env == "dev" if self.mailer_autoconfirm is None else self.mailer_autoconfirm

    @property
    def iss(self) -> str:
        """The issuer of our tokens."""
        return self.issuer or self.external_url.rstrip("/") + self.prefix

    @property
    def rules(self) -> dict[str, Rule]:
        """The limits by address, prefix and session, by the name of their class."""
        classes: Sequence[tuple[str, Kind]] = (
            ("token", "ip"),
            ("prefix_failure", "prefix"),
            ("refresh", "ip"),
            ("session_refresh", "session"),
            ("otp", "ip"),
        )
        return {name: self._rule(name, kind) for name, kind in classes}

    def check(self, env: str) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigError: naming the setting and what is allowed.

        """
        if self.access_ttl < _ACCESS_TTL_MIN:
            raise ConfigError(
                f"[auth] access_ttl must be at least {_ACCESS_TTL_MIN}: clients refresh 90 s before the end"
            )
        if env != "dev" and urlsplit(self.external_url).hostname in _LOOPBACK:
            raise ConfigError(
                f"[auth] external_url is required in {env}: the address at which clients reach this server"
            )
        if self.failures_free < _FREE_MIN:
            raise ConfigError(f"[auth] failures_free must be at least {_FREE_MIN}")
        if self.prefix and not self.prefix.startswith("/"):
            raise ConfigError('[auth] prefix must begin with "/", or be empty')

    def _rule(self, name: str, kind: Kind) -> Rule:
        rate: Rate = getattr(self, f"{name}_rate")
        return Rule(f"auth.{name}", rate.count, rate.period, rate.burst, kind)
