"""The adapter of Razorpay: the calls of `Provider`, made with our own client."""

from collections.abc import AsyncIterator, Sequence
from datetime import date, timedelta

from corekit.contracts.payments import (
    Capabilities,
    Evidence,
    Headers,
    OutcomeUnknown,
    Provider,
    ProviderCall,
    ProviderEvent,
    ProviderSettings,
    SettlementRow,
    UpiIntentMethod,
    UpiQrMethod,
)
from corekit.errors import ConfigError
from corekit.values import Clock, Money
from corekit_payments.calling import Line
from corekit_payments.live import demand_encrypted
from corekit_payments.razorpay import notices, reading
from corekit_payments.razorpay.api import Api
from corekit_payments.razorpay.settled import rows

BASE = "https://api.razorpay.com/v1"
_KEYS = ("rzp_test_", "rzp_live_")
_CLOSE_MIN, _CLOSE_MAX = timedelta(minutes=16), timedelta(days=45)  # from now, as a code must live 15 minutes


class Razorpay(Provider):
    """One account. An order, or a QR code, stands for an attempt until somebody has paid; then their payment does.

    Orders and refunds have a key at Razorpay; a capture is looked at before it is made. It releases nothing: what is
    held and not captured goes back by itself.
    """

    def __init__(self, settings: ProviderSettings, line: Line, clock: Clock, close_after: timedelta) -> None:
        self.name = settings.name
        self._reachable = bool(settings.contact and settings.email)  # what their payments by link demand of a payer
        self.capabilities = Capabilities(
            methods=frozenset({"upi_intent", "upi_qr"} if self._reachable else {"upi_qr"}),
            currencies=frozenset({"INR"}),
            void=False,
            settlements=True,
            collects_for_users=settings.collects_for_users,
            minimum=100,
        )
        self._payer = {"contact": settings.contact, "email": settings.email}
        self._secrets = settings.webhook_secrets
        self._live = settings.key_id.startswith("rzp_live_")
        self._api = Api(line)
        self._clock = clock
        self._close_after = min(max(close_after, _CLOSE_MIN), _CLOSE_MAX)

    async def create(self, call: ProviderCall) -> Evidence:
        """Begin an authorisation: a link on an order with our reference as its receipt, or a QR code."""
        if isinstance(call.method, UpiQrMethod) and call.capture_method == "automatic":
            return await self._qr(call)
        if isinstance(call.method, UpiIntentMethod) and self._reachable:
            return await self._intent(call)
        return self._refuse("a method, or a way to capture, that this account has not")

    async def confirm(self, call: ProviderCall) -> Evidence:
        """Return what became of an authorisation."""
        return await self.fetch(call.provider_ref or "")

    async def capture(self, call: ProviderCall) -> Evidence:
        """Take what is held, all of it; it is taken once, so it is looked at first."""
        held = await self._payment_of(call.provider_ref or "")
        if held.status == "authorized":
            body = {"amount": call.amount.minor, "currency": call.amount.currency}
            answer = await self._api.post(f"/payments/{held.id}/capture", body)
            if answer.ok:
                held = self._api.convert(answer.body, reading.Payment)
            else:
                held = await self._api.payment(held.id)
                if held.status == "authorized":
                    return reading.of_refusal(answer, self._clock.now())
        if held.status != "captured" or held.amount != call.amount.minor:
            return self._refuse("not held, or another amount")
        return reading.of_payment(held, "fetched")

    async def void(self, call: ProviderCall) -> Evidence:  # noqa: ARG002
        """Refuse: nothing is released at Razorpay."""
        return self._refuse("Razorpay releases nothing")

    async def refund(self, call: ProviderCall) -> Evidence:
        """Give captured money back, or a part, once for its key."""
        paid = await self._payment_of(call.provider_ref or "")
        body = {"amount": call.amount.minor, "speed": "normal", "notes": {"reference": call.reference}}
        key = {"X-Refund-Idempotency": call.key}
        answer = await self._api.post(f"/payments/{paid.id}/refund", body, key)
        if not answer.ok:
            return reading.of_refusal(answer, self._clock.now())
        return reading.of_refund(self._api.convert(answer.body, reading.Refund), "reply")

    async def fetch(self, ref: str) -> Evidence:
        """Return what became of an order, a QR code, a payment or a refund."""
        if ref.startswith("pay_"):
            return reading.of_payment(await self._api.payment(ref), "fetched")
        if ref.startswith("rfnd_"):
            return reading.of_refund(await self._api.refund(ref), "fetched")
        if ref.startswith("qr_"):
            code = await self._api.qr(ref)
            paid = reading.of_payments(await self._api.paid_by_qr(ref), "automatic", ref)
            return reading.of_qr(code, "INR", "fetched") if paid is None or paid.state == "failed" else paid
        order = await self._api.order(ref)
        found = reading.of_payments(await self._api.paid_on(ref), reading.notes(order.notes).capture, ref)
        if found is not None:
            return found
        return Evidence(
            source="fetched", state="requires_action", occurred_at=reading.at(order.created_at), provider_ref=order.id,
            amount=Money(order.amount, order.currency), raw={"id": order.id, "status": order.status},
        )  # fmt: skip

    async def lookup(self, reference: str) -> Evidence | None:
        """Find a payment, or a refund, by our reference; what nobody can have paid yet is none, and is begun again."""
        order = await self._api.order_by(reference)
        if order is not None:
            found = await self.fetch(order.id)
            return found if found.state in {"succeeded", "pending", "canceled"} else None
        since = int((self._clock.now() - self.capabilities.key_window).timestamp())
        refund = await self._api.refund_by(reference, since)
        if refund is not None:
            return reading.of_refund(refund, "fetched")
        code = await self._api.qr_by(reference, since)
        return None if code is None else await self.fetch(code.id)

    async def list_since(self, cursor: str) -> AsyncIterator[Evidence]:
        """List payments that moved money, or hold none any more, and refunds, made since a time in seconds (Unix)."""
        since = int(cursor or 0)
        async for payment in self._api.payments(since):
            said = reading.of_payment(payment, "fetched")
            if said.state in {"succeeded", "canceled"}:
                yield said
        async for refund in self._api.refunds(since):
            yield reading.of_refund(refund, "fetched")

    async def settlement_rows(self, day: date) -> AsyncIterator[SettlementRow]:
        """List what was settled on a day in India, from the combined report."""
        async for item in self._api.settled(day):
            for row in rows(item):
                yield row

    def verify(self, headers: Headers, raw: bytes) -> Sequence[ProviderEvent]:
        """Check a notice's signature over its bytes, by any of the secrets (ValueError)."""
        return notices.verify(headers, raw, self._secrets, live=self._live)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def _intent(self, call: ProviderCall) -> Evidence:
        order = await self._api.open_order(call, self._clock.now())
        if isinstance(order, Evidence):
            return order
        capture = reading.notes(order.notes).capture
        done = reading.of_payments(await self._api.paid_on(order.id), capture, order.id)
        if done is not None and done.state in {"succeeded", "pending", "canceled"}:
            return done
        return await self._api.intent(call, order, self._payer, self._clock.now())

    async def _qr(self, call: ProviderCall) -> Evidence:
        now = self._clock.now()
        code = await self._api.qr_by(call.reference, int((now - self.capabilities.key_window).timestamp()))
        if code is None:
            made = await self._api.open_qr(call, int((now + self._close_after).timestamp()))
            if not made.ok:
                return reading.of_refusal(made, now)
            return reading.of_qr(self._api.convert(made.body, reading.QrCode), call.amount.currency, "reply")
        if code.payment_amount != call.amount.minor:
            raise OutcomeUnknown("the reference is known with another amount", mismatch=True)
        return await self.fetch(code.id)

    async def _payment_of(self, ref: str) -> reading.Payment:
        """Return the payment that a reference of theirs stands for (OutcomeUnknown)."""
        if ref.startswith("pay_"):
            return await self._api.payment(ref)
        many = await (self._api.paid_by_qr(ref) if ref.startswith("qr_") else self._api.paid_on(ref))
        found = [one for one in many if one.status in {"authorized", "captured", "refunded"}]
        if not found:
            raise OutcomeUnknown("nothing was paid there")
        return found[0]

    def _refuse(self, why: str) -> Evidence:
        return Evidence(
            source="reply", state="failed", occurred_at=self._clock.now(), error_class="rejected", raw={"reason": why}
        )


def bring(settings: ProviderSettings, clock: Clock, close_after: timedelta) -> Razorpay:
    """Make the adapter of an instance.

    Raises:
        ConfigError: a key is missing or none of Razorpay's, or `httpx` is.

    """
    place = f"[payments.providers.{settings.name}]"
    if not settings.key_id.startswith(_KEYS):
        raise ConfigError(f"{place}: key_id is missing, or does not begin with {' or '.join(_KEYS)}")
    if not settings.key_secret.reveal():
        raise ConfigError(f"{place}: key_secret is missing")
    if not any(secret.reveal() for secret in settings.webhook_secrets):
        raise ConfigError(f"{place}: webhook_secrets are missing")
    if bool(settings.contact) != bool(settings.email):
        raise ConfigError(f"{place}: contact and email go together; without them there is no upi_intent")
    demand_encrypted(settings)
    line = Line(settings.base_address or BASE, (settings.key_id, settings.key_secret.reveal()))
    return Razorpay(settings, line, clock, close_after)
