"""Providers: what an adapter is asked, and what it answers. Whatever it does not know for certain stays unknown."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal, Protocol

import msgspec

from corekit.contracts.payments.objects import (
    CaptureMethod,
    ErrorClass,
    Method,
    NextAction,
    OperationKind,
    OperationState,
    ReviewReason,
)
from corekit.settings import Secret, Settings
from corekit.values import Money

Headers = Mapping[str, str]
EvidenceSource = Literal["reply", "fetched", "event", "operator", "local"]
DisputeStage = Literal["opened", "under_review"]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known to have become of one operation, and how.

    `source` is how: the provider's `reply` to a call, an object `fetched` from it, an `event` that it pushed and we
    verified, an `operator`'s word, or `local`, our own decision about what was never sent. `reference` is our own,
    where the provider's object shows it. `captured` is what an authorisation has captured along with itself, `refunded`
    and `fee` are the provider's own figures. `review` asks for a person where the state is `unknown`. `raw` has passed
    the adapter's allow-list.
    """

    source: EvidenceSource
    state: OperationState
    occurred_at: datetime
    provider_ref: str | None = None
    reference: str | None = None
    amount: Money | None = None
    captured: Money | None = None
    refunded: Money | None = None
    fee: Money | None = None
    error_class: ErrorClass | None = None
    next_action: NextAction | None = None
    expires_at: datetime | None = None
    stage: DisputeStage | None = None
    review: ReviewReason | None = None
    raw: dict[str, Any] = {}


class NotAttempted(Exception):
    """Nothing was sent, or the provider refused before it did anything: the same call may be made again.

    `refused` where it took us for nobody or not entitled (401, 403): further calls will end alike until somebody acts.
    """

    def __init__(self, reason: str, *, refused: bool = False, retry_after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.refused = refused
        self.retry_after = retry_after


class OutcomeUnknown(Exception):
    """It may have been done: a lost or unreadable answer, a fault of theirs, or one still in progress.

    `mismatch` where they know our key with another call: a person has to look.
    """

    def __init__(self, reason: str, *, mismatch: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.mismatch = mismatch


class ProviderCall(msgspec.Struct, frozen=True, kw_only=True):
    """One operation as its adapter sends it.

    `key` is the same for every sending of it, `reference` the text by which it can be looked up, `provider_ref` the
    provider's name for what is acted on: for an operation that follows an authorisation, that authorisation's.
    With `challenge` the payer is to prove who they are (3DS), where there is a way.
    """

    key: str
    reference: str
    kind: OperationKind
    amount: Money
    payment: str
    method: Method | None = None
    provider_ref: str | None = None
    capture_method: CaptureMethod = "automatic"
    final: bool = True
    reason: str = ""
    return_url: str | None = None
    challenge: bool = False


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider can do.

    `keys`: it knows a repeated call by its key, for `key_window`. `lookup`: it finds an operation by our reference;
    that it finds none proves absence only `lookup_settles_after` the call. `local`: its effects are rows of this
    database. `disputes`: it is a `DisputingProvider`. `settlements`: its settlement rows name every capture. `minimum`
    and `maximum` are minor units per payment, `rate` is calls per second.
    """

    methods: frozenset[str]
    currencies: frozenset[str]
    multicapture: bool = False
    partial_refund: bool = True
    void: bool = True
    keys: bool = True
    key_window: timedelta = timedelta(hours=20)
    lookup: bool = True
    lookup_settles_after: timedelta = timedelta(minutes=5)
    local: bool = False
    disputes: bool = False
    settlements: bool = False
    collects_for_users: bool = False
    minimum: int = 1
    maximum: int | None = None
    rate: float = 25.0
    poll_schedule: tuple[timedelta, ...] = (
        timedelta(seconds=5),
        timedelta(seconds=90),
        timedelta(minutes=5),
        timedelta(minutes=30),
        timedelta(hours=2),
        timedelta(hours=12),
        timedelta(hours=24),
        timedelta(hours=72),
    )


class ProviderEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A verified notice of a provider's. It is a hint to fetch; `evidence` only where there is nothing to fetch."""

    id: str
    type: str
    live: bool
    provider_ref: str | None = None
    reference: str | None = None
    evidence: Evidence | None = None


class SettlementRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of what a provider has paid out, or taken back."""

    id: str
    kind: Literal["capture", "refund", "dispute", "fee", "other"]
    amount: Money
    settled_at: datetime
    fee: Money | None = None
    tax: Money | None = None
    provider_ref: str | None = None
    utr: str | None = None


class Provider(Protocol):
    """One instance of a provider. It has a client of its own, makes no retries, and knows nothing of our tables.

    Its calls raise nothing but `NotAttempted` and `OutcomeUnknown`; everything else is Evidence. They are made with no
    context open.
    """

    name: str
    capabilities: Capabilities

    async def create(self, call: ProviderCall) -> Evidence:
        """Begin an authorisation, with automatic capture where the call says so."""
        ...

    async def confirm(self, call: ProviderCall) -> Evidence:
        """Go on with an authorisation that `provider_ref` names, after the payer acted."""
        ...

    async def capture(self, call: ProviderCall) -> Evidence:
        """Take what was authorised, or a part; `final` releases the rest."""
        ...

    async def void(self, call: ProviderCall) -> Evidence:
        """Release what was authorised."""
        ...

    async def refund(self, call: ProviderCall) -> Evidence:
        """Give captured money back."""
        ...

    async def fetch(self, ref: str) -> Evidence:
        """Return what became of the object that the provider calls so."""
        ...

    async def lookup(self, reference: str) -> Evidence | None:
        """Find an operation by our reference; None is no proof of absence before `lookup_settles_after`."""
        ...

    def list_since(self, cursor: str) -> AsyncIterator[Evidence]:
        """List what was begun since a time, in seconds (Unix), as it is now; for reconciliation."""
        ...

    def settlement_rows(self, day: date) -> AsyncIterator[SettlementRow]:
        """List what was settled on a day."""
        ...

    def verify(self, headers: Headers, raw: bytes) -> Sequence[ProviderEvent]:
        """Check a notice's signature over its bytes and read it; raises `ValueError` where it is not theirs."""
        ...


class DisputingProvider(Provider, Protocol):
    """A provider that can be asked for disputes; of others they are known by notices alone.

    Its `fetch` takes a dispute's reference too.
    """

    async def disputes(self, ref: str) -> Sequence[Evidence]:
        """List the disputes of what it has taken under this name, each with its own reference, amount and stage."""
        ...


class ProviderSettings(Settings, frozen=True):
    """`[payments.providers.<instance>]`: one account at one provider; secrets come from the environment or files.

    Where a plugin provides `Flags`, the flag `payments.<kind>` says whether payers may begin to pay by it.
    `name` is the instance's, taken from the table; `base_address` is where its provider answers, if not where all do.
    `contact` and `email` are the operator's own, for a provider that demands them with every payment.
    """

    kind: str
    name: str = ""
    enabled: bool = True
    collects_for_users: bool = False
    allow_in_production: bool = False
    base_address: str = ""
    key_id: str = ""
    key_secret: Secret = Secret("")
    webhook_secrets: tuple[Secret, ...] = ()
    contact: str = ""
    email: str = ""
