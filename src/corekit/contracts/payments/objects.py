"""What payments speak of: ids are wire ids (`pay_… pop_… att_… usr_…`), totals are minor units of one currency."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from corekit.values import Money

CaptureMethod = Literal["automatic", "manual"]
OperationKind = Literal["authorize", "capture", "void", "refund", "dispute"]
OperationState = Literal[
    "created", "sending", "unknown", "requires_action", "pending", "canceled", "failed", "succeeded"
]
PaymentStatus = Literal[
    "requires_payment_method",
    "requires_action",
    "processing",
    "requires_capture",
    "partially_captured",
    "succeeded",
    "canceled",
    "failed",
    "needs_review",
]
RefundStatus = Literal["none", "pending", "partial", "full", "failed"]
DisputeStatus = Literal["none", "opened", "under_review", "won", "lost"]
ErrorClass = Literal[
    "declined",
    "funds",
    "limit",
    "risk",
    "expired",
    "authentication",
    "retry_later",
    "rejected",
    "other",
    "blocked",  # by our own rules, before anything was sent
]
ReviewReason = Literal["fraud", "unknown"]
Verdict = Literal["accept", "reject"]

PaymentId = Annotated[str, msgspec.Meta(max_length=64)]
InstanceName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,31}(?!\n)$")]  # `$` alone lets a newline pass
NO_NUL = r"^[^\x00]*$"  # PostgreSQL takes none
Text = Annotated[str, msgspec.Meta(max_length=500, pattern=NO_NUL)]
MetadataName = Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=NO_NUL)]
Metadata = Annotated[dict[MetadataName, Text], msgspec.Meta(max_length=20)]
ReturnUrl = Annotated[str, msgspec.Meta(max_length=2048, pattern=NO_NUL)]


class _Method(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """How somebody pays; `provider` is an instance, null where only one offers the type."""

    provider: InstanceName | None = None


class TokenMethod(_Method, frozen=True, tag="token"):
    """A token of the sandbox."""

    token: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}(?!\n)$")]


class CardMethod(_Method, frozen=True, tag="card"):
    """A card as the provider's own form has turned it into a token: no card number passes here."""

    token: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}(?!\n)$")]


class UpiIntentMethod(_Method, frozen=True, tag="upi_intent"):
    """A link that opens the payer's UPI app."""


class UpiQrMethod(_Method, frozen=True, tag="upi_qr"):
    """A QR code that the payer's UPI app reads."""


class RedirectMethod(_Method, frozen=True, tag="redirect"):
    """A page of the provider's, by its name for the method."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]{1,64}(?!\n)$")]


Method = TokenMethod | CardMethod | UpiIntentMethod | UpiQrMethod | RedirectMethod


class RedirectUrl(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="redirect_url"):
    """The payer goes to this address, as for 3DS."""

    url: str


class UseStripeSdk(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="use_stripe_sdk"):
    """The payer's client goes on with the provider's own SDK."""

    client_secret: str


class UpiIntent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="upi_intent"):
    """The payer opens this link on their phone."""

    link: str


class UpiQr(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="upi_qr"):
    """The payer reads this text as a QR code."""

    payload: str
    expires_at: datetime | None


NextAction = RedirectUrl | UseStripeSdk | UpiIntent | UpiQr  # shown to the payer only


class NewPayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants to pay; `payee` is a person's id or the operator, `merchant_reference` names the order.

    With `allow_duplicate` they mean it although they have just paid the same.
    """

    amount: Money
    capture_method: CaptureMethod = "automatic"
    method: Method | None = None
    confirm: bool = False
    payee: Annotated[str, msgspec.Meta(max_length=64)] = "merchant"
    merchant_reference: Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=NO_NUL)] | None = None
    description: Text | None = None
    metadata: Metadata = {}
    return_url: ReturnUrl | None = None
    allow_duplicate: bool = False


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What of a payment has moved, and what may have: whatever is not proven to have stayed counts as pending."""

    authorized: int = 0
    captured: int = 0
    capture_pending: int = 0
    refunded: int = 0
    refund_pending: int = 0
    disputed: int = 0


class Decline(msgspec.Struct, frozen=True, kw_only=True):
    """Why the last attempt was refused."""

    reason: ErrorClass


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as its payer or payee sees it; `version` rises with every change. No code sets `status`: it follows."""

    id: str
    version: int
    status: PaymentStatus
    refund_status: RefundStatus
    dispute_status: DisputeStatus
    amount: Money
    totals: Totals
    payer: str
    payee: str
    capture_method: CaptureMethod
    provider: str | None
    merchant_reference: str | None
    description: str | None
    metadata: dict[str, str]
    next_action: NextAction | None
    decline: Decline | None
    review: ReviewReason | None
    return_url: str | None
    authorization_expires_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing asked of a provider, with its own key and outcome; `of` is the surplus that a refund returns."""

    id: str
    payment: str
    attempt: str
    kind: OperationKind
    seq: int
    amount: Money
    final: bool
    state: OperationState
    surplus: bool
    of: str | None
    provider: str
    provider_ref: str | None
    reference: str
    error: ErrorClass | None
    review: ReviewReason | None
    initiator: str | None
    created_at: datetime
    updated_at: datetime


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """Money on its way back, or back."""

    id: str
    payment: str
    amount: Money
    state: OperationState
    reason: str
    surplus: bool
    error: ErrorClass | None
    created_at: datetime
    updated_at: datetime


class RefundDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A refund before it is recorded; where `surplus`, the money is not the payment's, and goes back by itself."""

    payment: str
    amount: Money
    reason: str
    surplus: bool = False


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """A balanced pair of the ledger: `amount`, above zero, from the account that is debited to the one credited."""

    debit: str
    credit: str
    amount: Money


class PaymentMethod(msgspec.Struct, frozen=True, kw_only=True):
    """A method that can be used now: its `type`, the instance that offers it, and what it takes of one currency."""

    type: str
    provider: str
    minimum: Money
    maximum: Money | None


class CheckoutLink(msgspec.Struct, frozen=True, kw_only=True):
    """Where the holder of the link may pay one payment, until when."""

    url: str
    expires_at: datetime


class PaymentQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which payments, the newest first; what is not given does not restrict. `since` is included, `until` is not."""

    status: PaymentStatus | None = None
    provider: InstanceName | None = None
    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    cursor: str | None = None
