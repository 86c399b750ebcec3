"""The calls of Razorpay's API that the adapter makes. Source: its public reference."""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import date, datetime
from typing import Any, TypeVar

import msgspec

from corekit.contracts.payments import Evidence, OutcomeUnknown, ProviderCall, UpiIntent
from corekit_payments.calling import Answer, Line
from corekit_payments.razorpay import reading
from corekit_payments.razorpay.reading import Order, Payment, QrCode, Refund

T = TypeVar("T")
_REF = re.compile(r"[A-Za-z0-9_]{1,64}")
_PAGE = 100
_PAGES = 10_000  # of a list that is read to its end, one in memory: a million rows
_LOOKED = 10  # of one in which something is looked for
_HOLD_AUTOMATIC = 1440  # minutes until what is held is captured no more, and goes back


class Api:
    """One account's calls; lists are read page by page."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def close(self) -> None:
        """Close the connections."""
        await self._line.close()

    async def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for something to be done."""
        return await self._line.ask("POST", path, body=body, headers=headers)

    def convert(self, body: Any, type_: type[T]) -> T:
        """Read an object of theirs (OutcomeUnknown)."""
        try:
            return msgspec.convert(body, type_)
        except (msgspec.ValidationError, ValueError):
            raise OutcomeUnknown("its answer cannot be read") from None

    async def open_order(self, call: ProviderCall, now: datetime) -> Order | Evidence:
        """Open the order of a call, or find it: a receipt is taken once.

        Raises:
            OutcomeUnknown: its receipt is known with another amount (`mismatch`).

        """
        manual = call.capture_method == "manual"
        hold = {"manual_expiry_period": reading.HOLD_MANUAL} if manual else {"automatic_expiry_period": _HOLD_AUTOMATIC}
        answer = await self.post("/orders", {
            "amount": call.amount.minor, "currency": call.amount.currency, "receipt": call.reference,
            "unique_receipt": True, "notes": {"reference": call.reference, "capture": call.capture_method},
            "payment": {"capture": call.capture_method, "capture_options": {**hold, "refund_speed": "normal"}},
        })  # fmt: skip
        if answer.ok:
            return self.convert(answer.body, Order)
        found = await self.order_by(call.reference)
        if found is None:
            return reading.of_refusal(answer, now)
        if (found.amount, found.currency) != (call.amount.minor, call.amount.currency):
            raise OutcomeUnknown("the receipt is known with another amount", mismatch=True)
        return found

    async def intent(self, call: ProviderCall, order: Order, payer: Mapping[str, str], now: datetime) -> Evidence:
        """Begin a payment by link on an order; the link is passed on as it came."""
        answer = await self.post("/payments/create/upi", {
            "amount": call.amount.minor, "currency": call.amount.currency, "order_id": order.id, "method": "upi",
            **payer, "notes": {"reference": call.reference, "capture": call.capture_method}, "upi": {"flow": "intent"},
        })  # fmt: skip
        if not answer.ok:
            return reading.of_refusal(answer, now, order.id)
        link = answer.body.get("link")
        if not isinstance(link, str) or not link.startswith("upi://"):
            raise OutcomeUnknown("its answer has no link")
        return Evidence(
            source="reply", state="requires_action", occurred_at=now, provider_ref=order.id, amount=call.amount,
            next_action=UpiIntent(link=link), raw={"id": order.id, "status": "created"},
        )  # fmt: skip

    async def open_qr(self, call: ProviderCall, close_by: int) -> Answer:
        """Make a QR code for one payment of exactly this amount."""
        return await self.post("/payments/qr_codes", {
            "type": "upi_qr", "name": call.reference, "usage": "single_use", "fixed_amount": True,
            "payment_amount": call.amount.minor, "close_by": close_by, "notes": {"reference": call.reference},
        })  # fmt: skip

    async def order(self, ref: str) -> Order:
        """Read an order."""
        return self.convert(await self._get(f"/orders/{_safe(ref)}"), Order)

    async def payment(self, ref: str) -> Payment:
        """Read a payment."""
        return self.convert(await self._get(f"/payments/{_safe(ref)}"), Payment)

    async def refund(self, ref: str) -> Refund:
        """Read a refund."""
        return self.convert(await self._get(f"/refunds/{_safe(ref)}"), Refund)

    async def qr(self, ref: str) -> QrCode:
        """Read a QR code."""
        return self.convert(await self._get(f"/payments/qr_codes/{_safe(ref)}"), QrCode)

    async def paid_on(self, ref: str) -> list[Payment]:
        """List the payments of an order."""
        return self._items(await self._get(f"/orders/{_safe(ref)}/payments"), Payment)

    async def paid_by_qr(self, ref: str) -> list[Payment]:
        """List the payments by a QR code."""
        return self._items(await self._get(f"/payments/qr_codes/{_safe(ref)}/payments"), Payment)

    async def order_by(self, receipt: str) -> Order | None:
        """Find an order by its receipt."""
        orders = self._items(await self._get("/orders", {"receipt": receipt, "count": _PAGE}), Order)
        same = [one for one in orders if one.receipt == receipt]
        return min(same, key=lambda one: one.created_at) if same else None

    async def qr_by(self, reference: str, since: int) -> QrCode | None:
        """Find a QR code by our reference on it, among those made since then."""
        return await self._find("/payments/qr_codes", QrCode, since, lambda one: _is(one.notes, reference))

    async def refund_by(self, reference: str, since: int) -> Refund | None:
        """Find a refund by our reference on it, among those made since then."""
        return await self._find("/refunds", Refund, since, lambda one: _is(one.notes, reference))

    def payments(self, since: int) -> AsyncIterator[Payment]:
        """List payments made since then."""
        return self._all("/payments", Payment, {"from": since}, _PAGES)

    def refunds(self, since: int) -> AsyncIterator[Refund]:
        """List refunds made since then."""
        return self._all("/refunds", Refund, {"from": since}, _PAGES)

    def settled(self, day: date) -> AsyncIterator[dict[str, Any]]:
        """List the lines of the combined report of a day."""
        asked: dict[str, str | int] = {"year": day.year, "month": f"{day.month:02}", "day": f"{day.day:02}"}
        return self._all("/settlements/recon/combined", dict[str, Any], asked, _PAGES)

    async def _find(self, path: str, type_: type[T], since: int, fits: Callable[[T], bool]) -> T | None:
        async for one in self._all(path, type_, {"from": since}, _LOOKED):
            if fits(one):
                return one
        return None

    async def _all(self, path: str, type_: type[T], asked: Mapping[str, str | int], pages: int) -> AsyncIterator[T]:
        """Read so many pages of a list; one that goes on after them is an error, so that no end is taken for the last.

        Raises:
            OutcomeUnknown: it has more pages, or one cannot be read.

        """
        for page in range(pages):
            many = self._items(await self._get(path, {**asked, "count": _PAGE, "skip": page * _PAGE}), type_)
            for one in many:
                yield one
            if len(many) < _PAGE:
                return
        raise OutcomeUnknown("its list is too long")

    async def _get(self, path: str, params: Mapping[str, str | int] | None = None) -> dict[str, Any]:
        answer = await self._line.ask("GET", path, params=params)
        if not answer.ok:
            raise OutcomeUnknown(f"the provider shows none ({answer.status})")
        return answer.body

    def _items(self, body: dict[str, Any], type_: type[T]) -> list[T]:
        return self.convert(body.get("items"), list[type_])  # type: ignore[valid-type]  # a type at run time


def _is(notes: Any, reference: str) -> bool:
    return reading.notes(notes).reference == reference


def _safe(ref: str) -> str:
    """Let nothing but an id of theirs into a path (OutcomeUnknown)."""
    if not _REF.fullmatch(ref):
        raise OutcomeUnknown("not an id of Razorpay's")
    return ref
