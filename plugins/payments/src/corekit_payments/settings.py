"""`[payments]`: what a payment may do, and by which providers."""

from typing import Annotated, Literal

import msgspec

from corekit.contracts.payments import ProviderSettings
from corekit.errors import ConfigError
from corekit.settings import Settings
from corekit_payments.upi.settings import UpiSettings

Seconds = Annotated[float, msgspec.Meta(gt=0)]


class PaymentsSettings(Settings, frozen=True):
    """`[payments]`: a payment may be tried `max_attempts` times; `return_hosts` are where payers may be sent back to.

    In seconds: a call may take `provider_timeout`, its driver holds the operation for `operation_lease`, nothing is
    sent again under a key older than `key_window`, a payer may take `action_ttl` to act, and a request over HTTP waits
    `request_timeout` for what comes of it. `sweep` says whether this process looks after what is open, `live` whether
    keys that move real money are meant. With `refund_surplus` money that was taken and that nobody owes goes back by
    itself; else a person decides.

    With `amount_source = "client"` a payment that no `price_payment` prices costs what its client says; that is the
    default in dev, elsewhere such a payment is refused. `upi` is the table `[payments.upi]`.
    """

    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5
    amount_source: Literal["client", "hook"] | None = None
    return_hosts: tuple[str, ...] = ()
    provider_timeout: Seconds = 20
    operation_lease: Seconds = 60
    key_window: Seconds = 20 * 3600
    action_ttl: Seconds = 24 * 3600
    request_timeout: Seconds = 25
    sweep: bool = True
    live: bool = False
    refund_surplus: bool = False
    upi: UpiSettings = UpiSettings()
    providers: dict[str, ProviderSettings] = msgspec.field(
        default_factory=lambda: {"sandbox": ProviderSettings(kind="sandbox")}
    )

    def __post_init__(self) -> None:
        """Refuse a lease that a call may outlive (ConfigError)."""
        if self.operation_lease < 2 * self.provider_timeout:
            raise ConfigError("[payments] operation_lease is at least twice provider_timeout: a look, then a call")
