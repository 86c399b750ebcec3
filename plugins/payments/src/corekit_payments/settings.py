"""`[payments]`: what a payment may do, and by which providers."""

import re
from typing import Annotated, Literal

import msgspec

from corekit.contracts.payments import ProviderSettings
from corekit.errors import ConfigError
from corekit.settings import Settings
from corekit_payments.fraud.settings import FraudSettings
from corekit_payments.upi.settings import UpiSettings

_URL = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(?:/[A-Za-z0-9._~/-]*[A-Za-z0-9._~-])?")
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class WebhookSettings(Settings, frozen=True):
    """`[payments.webhook]`: a notice has at most `max_body` bytes.

    In seconds: a signature with a time in it is good for `tolerance`, and a notice of what is not known here waits
    `park` for it to become known.
    """

    max_body: Annotated[int, msgspec.Meta(ge=1024, le=1 << 20)] = 256 * 1024
    tolerance: Seconds = 300
    park: Seconds = 600


class ReconciliationSettings(Settings, frozen=True):
    """`[payments.recon]`, in seconds: what a provider lists of the last `window` is held against our books.

    What only one of the two has may still come up at the other for `park` before it is told. What was taken is to be in
    a report of what was paid out within `settle_within`.
    """

    window: Seconds = 72 * 3600
    park: Seconds = 600
    settle_within: Annotated[float, msgspec.Meta(ge=24 * 3600)] = 10 * 24 * 3600


class PaymentsSettings(Settings, frozen=True):
    """`[payments]`: a payment may be tried `max_attempts` times; `return_hosts` are where payers may be sent back to.

    In seconds: a call may take `provider_timeout`, its driver holds the operation for `operation_lease`, nothing is
    sent again under a key older than `key_window`, a payer may take `action_ttl` to act, and a request over HTTP waits
    `request_timeout` for what comes of it. `sweep` says whether this process looks after what is open, `live` whether
    keys that move real money are meant. With `refund_surplus` money that was taken and that nobody owes goes back by
    itself; else a person decides. Links to the checkout page begin with `external_url`, where clients reach us.

    With `amount_source = "client"` a payment that no `price_payment` prices costs what its client says; that is the
    default in dev, elsewhere such a payment is refused. `upi`, `webhook`, `fraud` and `recon` are the tables
    `[payments.upi]`, `[payments.webhook]`, `[payments.fraud]` and `[payments.recon]`.
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
    external_url: str = "http://localhost:8000"
    refund_surplus: bool = False
    upi: UpiSettings = UpiSettings()
    webhook: WebhookSettings = WebhookSettings()
    fraud: FraudSettings = FraudSettings()
    recon: ReconciliationSettings = ReconciliationSettings()
    providers: dict[str, ProviderSettings] = msgspec.field(
        default_factory=lambda: {"sandbox": ProviderSettings(kind="sandbox")}
    )

    def __post_init__(self) -> None:
        """Refuse a lease that a call may outlive, and an address that is none (ConfigError)."""
        if not _URL.fullmatch(self.external_url):
            raise ConfigError("[payments] external_url: http:// or https://, a host, and no / at the end")
        if self.operation_lease < 2 * self.provider_timeout:
            raise ConfigError("[payments] operation_lease is at least twice provider_timeout: a look, then a call")
