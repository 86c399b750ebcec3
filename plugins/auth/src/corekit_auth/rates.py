"""The limits of auth, as settings: by address, by prefix, by session, by whom a code goes to."""

from collections.abc import Sequence
from typing import Literal

from corekit.guard import Rule
from corekit.settings import Settings

Kind = Literal["ip", "prefix", "session", "address", "global"]


class Rate(Settings, frozen=True):
    """`count` in `period` seconds, of which `burst` at once."""

    count: int
    period: float
    burst: int


class Rates(Settings, frozen=True, kw_only=True):
    """One rate per class; `address_…` count the codes to one address, `mail_…` and `sms_…` those of everybody."""

    token_rate: Rate = Rate(count=150, period=300, burst=30)
    prefix_failure_rate: Rate = Rate(count=300, period=3600, burst=300)
    refresh_rate: Rate = Rate(count=150, period=300, burst=30)
    session_refresh_rate: Rate = Rate(count=30, period=300, burst=30)
    otp_rate: Rate = Rate(count=30, period=300, burst=30)
    address_interval_rate: Rate = Rate(count=1, period=60, burst=1)
    address_hourly_rate: Rate = Rate(count=5, period=3600, burst=5)
    mail_rate: Rate = Rate(count=1000, period=3600, burst=1000)
    sms_rate: Rate = Rate(count=100, period=3600, burst=100)
    sms_prefixes: Sequence[str] = ()  # country prefixes that get SMS, as in "49"; none named: all
    verify_rate: Rate = Rate(count=30, period=300, burst=30)
    anonymous_rate: Rate = Rate(count=30, period=3600, burst=30)
    mfa_rate: Rate = Rate(count=15, period=60, burst=30)
    passkey_rate: Rate = Rate(count=30, period=300, burst=30)
    failures_free: int = 10
    failures_base: float = 30
    failures_max: float = 3600

    @property
    def rules(self) -> dict[str, Rule]:
        """The limits, by the name of their class."""
        classes: Sequence[tuple[str, Kind]] = (
            ("token", "ip"),
            ("prefix_failure", "prefix"),
            ("refresh", "ip"),
            ("session_refresh", "session"),
            ("otp", "ip"),
            ("address_interval", "address"),
            ("address_hourly", "address"),
            ("mail", "global"),
            ("sms", "global"),
            ("verify", "ip"),
            ("anonymous", "ip"),
            ("mfa", "ip"),
            ("passkey", "ip"),
        )
        return {name: self._rule(name, kind) for name, kind in classes}

    def _rule(self, name: str, kind: Kind) -> Rule:
        rate: Rate = getattr(self, f"{name}_rate")
        return Rule(f"auth.{name}", rate.count, rate.period, rate.burst, kind)
