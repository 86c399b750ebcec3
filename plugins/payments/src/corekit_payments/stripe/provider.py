"""The adapter of Stripe: the calls of `Provider`, each through one method and each answer as evidence."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from corekit.contracts.payments import (
    Capabilities,
    Evidence,
    Headers,
    OutcomeUnknown,
    Provider,
    ProviderCall,
    ProviderEvent,
    SettlementRow,
)
from corekit.settings import Secret
from corekit.values import Clock
from corekit.watch import get_logger
from corekit_payments.signing import TOLERANCE, demand_signed
from corekit_payments.stripe.amounts import CURRENCIES
from corekit_payments.stripe.asking import cancel_params, capture_params, create_params, intent_of, refund_params
from corekit_payments.stripe.line import Line
from corekit_payments.stripe.listing import LOOK_BACK, MOST, held_intent, pages, settlement_row, since
from corekit_payments.stripe.notices import notice_of
from corekit_payments.stripe.objects import (
    Intent,
    Refund,
    capture_evidence,
    intent_evidence,
    refund_evidence,
    understanding,
    void_evidence,
)
from corekit_payments.stripe.refusals import Refusal

CAPABILITIES = Capabilities(
    methods=frozenset({"card", "redirect"}),
    currencies=CURRENCIES,
    multicapture=True,
    settlements=True,
    maximum=99_999_999,  # of Stripe's units: eight digits, whatever the currency
)
_CHARGE = {"expand": ["latest_charge"]}
_SIGNATURE = "stripe-signature"


class StripeProvider(Provider):
    """One instance; the payer's card is a `pm_…`, or their client goes on with the client secret (`elements`)."""

    def __init__(
        self,
        name: str,
        line: Line,
        clock: Clock,
        secrets: Sequence[Secret] = (),
        *,
        collects_for_users: bool = False,
        tolerance: timedelta = TOLERANCE,
    ) -> None:
        self.name = name
        self.capabilities = msgspec.structs.replace(CAPABILITIES, collects_for_users=collects_for_users)
        self._line = line
        self._clock = clock
        self._secrets = tuple(secrets)
        self._tolerance = tolerance

    async def create(self, call: ProviderCall) -> Evidence:
        """Begin an authorisation: an intent, confirmed where the payer's card is known."""
        return await self._write(call, "payment_intents", "create", create_params, self._of_intent)

    async def confirm(self, call: ProviderCall) -> Evidence:
        """Go on after the payer acted: nothing to do but to look, unless Stripe waits for us."""
        intent = await self._intent(call.provider_ref or "")
        if intent.status != "requires_confirmation":
            with understanding():
                return intent_evidence(intent, "fetched", self._clock.now())
        again = msgspec.structs.replace(call, key=f"{call.key}-confirm")  # a key is of one request
        return await self._write(
            again, "payment_intents", "confirm", lambda _: dict(_CHARGE), self._of_intent, within=True
        )

    async def capture(self, call: ProviderCall) -> Evidence:
        """Take what was authorised, or a part; the intent keeps our reference, so that it can be found."""

        def taken(answer: dict[str, Any]) -> Evidence:
            return _known(capture_evidence(msgspec.convert(answer, Intent), call.reference, "reply", self._clock.now()))

        return await self._write(call, "payment_intents", "capture", capture_params, taken, within=True)

    async def void(self, call: ProviderCall) -> Evidence:
        """Release what was authorised; that it was released before is as good."""
        return await self._write(call, "payment_intents", "cancel", cancel_params, self._of_void, within=True)

    async def refund(self, call: ProviderCall) -> Evidence:
        """Give captured money back."""
        if call.provider_ref is not None and call.provider_ref.startswith("re_"):  # it was made, and is known
            return await self.fetch(call.provider_ref)
        return await self._write(call, "refunds", "create", refund_params, self._of_refund)

    async def fetch(self, ref: str) -> Evidence:
        """Return what became of an object: an intent, a capture of one, or a refund."""
        now = self._clock.now()
        if ref.startswith("re_"):
            found = await self._read("refunds", "retrieve", {}, ref)
            with understanding():
                return refund_evidence(msgspec.convert(found, Refund), "fetched", now)
        intent = await self._intent(ref)
        _, of_capture, reference = ref.partition("/")
        with understanding():
            if of_capture:
                return _known(capture_evidence(intent, reference, "fetched", now))
            return intent_evidence(intent, "fetched", now)

    async def lookup(self, reference: str) -> Evidence | None:
        """Find an operation by our reference among what is new; a release leaves none behind, its key brings it."""
        begun = since(self._clock.now() - LOOK_BACK)
        async for intent in self._intents(begun, MOST):
            with understanding():
                if intent.note("reference") == reference:
                    return intent_evidence(intent, "fetched", self._clock.now())
                if reference in intent.captures():
                    return capture_evidence(intent, reference, "fetched", self._clock.now())
        async for refund in self._refunds(begun, MOST):
            if (refund.metadata or {}).get("reference") == reference:
                with understanding():
                    return refund_evidence(refund, "fetched", self._clock.now())
        return None

    async def list_since(self, cursor: str) -> AsyncIterator[Evidence]:
        """List what was made since a time, in seconds as Stripe counts them: intents with their captures, refunds."""
        begun, now = {"created": {"gte": int(cursor or 0)}}, self._clock.now()
        async for intent in self._intents(begun):
            with understanding():
                captures = [capture_evidence(intent, reference, "fetched", now) for reference in intent.captures()]
                shown = [intent_evidence(intent, "fetched", now), *(one for one in captures if one is not None)]
            for one in shown:
                yield one
        async for refund in self._refunds(begun):
            with understanding():
                given = refund_evidence(refund, "fetched", now)
            yield given

    async def settlement_rows(self, day: date) -> AsyncIterator[SettlementRow]:
        """List what moved on the account's balance on a day (UTC)."""
        begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
        within = {"gte": int(begin.timestamp()), "lt": int((begin + timedelta(days=1)).timestamp())}
        params = {"created": within, "expand": ["data.source"]}
        async for line in pages(self._read, "balance_transactions", params):
            with understanding():
                held = held_intent(line)
            intent = None if held is None else await self._intent(held)
            with understanding():
                row = settlement_row(line, intent)
            yield row

    def verify(self, headers: Headers, raw: bytes) -> Sequence[ProviderEvent]:
        """Check a notice's signature over its bytes and read it (ValueError)."""
        header = next((value for name, value in headers.items() if name.lower() == _SIGNATURE), None)
        demand_signed(header, raw, self._secrets, self._clock.now(), self._tolerance)
        return [notice_of(raw)]

    async def close(self) -> None:
        """End the line."""
        await self._line.close()

    async def _call(
        self, resource: str, verb: str, params: Mapping[str, Any], key: str | None = None, of: str | None = None
    ) -> dict[str, Any]:
        """Make a call; there is no other way to Stripe."""
        return await self._line.send(resource, verb, params, key, of)

    async def _write(
        self,
        call: ProviderCall,
        resource: str,
        verb: str,
        ask: Callable[[ProviderCall], dict[str, Any]],
        read: Callable[[dict[str, Any]], Evidence],
        *,
        within: bool = False,
    ) -> Evidence:
        """Send what may move money, under its key and `within` its authorisation; a no is evidence."""
        try:
            params, of = ask(call), intent_of(call.provider_ref) if within else None
        except ValueError as error:  # nothing that Stripe could do
            get_logger("corekit.payments").error("payments_not_askable", reason=str(error))
            return Evidence(source="reply", state="failed", error_class="rejected", occurred_at=self._clock.now())
        try:
            answer = await self._call(resource, verb, params, call.key, of)
        except Refusal as refusal:
            return self._refused(call, refusal)
        with understanding():
            return read(answer)

    async def _read(self, resource: str, verb: str, params: Mapping[str, Any], of: str | None = None) -> dict[str, Any]:
        """Look; that they show nothing says nothing of what was done (OutcomeUnknown)."""
        try:
            return await self._call(resource, verb, params, None, of)
        except Refusal as refusal:
            raise OutcomeUnknown(f"not shown: {refusal}") from refusal

    async def _intent(self, ref: str) -> Intent:
        with understanding():
            of = intent_of(ref)
        found = await self._read("payment_intents", "retrieve", _CHARGE, of)
        with understanding():
            return msgspec.convert(found, Intent)

    async def _intents(self, params: Mapping[str, Any], most: int | None = None) -> AsyncIterator[Intent]:
        async for found in pages(self._read, "payment_intents", params, most=most):
            with understanding():
                intent = msgspec.convert(found, Intent)
            yield intent

    async def _refunds(self, params: Mapping[str, Any], most: int | None = None) -> AsyncIterator[Refund]:
        async for found in pages(self._read, "refunds", params, most=most):
            with understanding():
                refund = msgspec.convert(found, Refund)
            yield refund

    def _refused(self, call: ProviderCall, refusal: Refusal) -> Evidence:
        """Write a no down; what was to be released and is, is released."""
        failure, shown = refusal.failure, refusal.failure.payment_intent
        if call.kind == "void" and shown is not None and shown.get("status") == "canceled":
            with understanding():
                return self._of_void(shown)
        if refusal.error_class == "rejected":
            get_logger("corekit.payments").error("payments_rejected", reason=f"stripe {failure.code} {failure.param}")
        intent = (shown or {}).get("id") if call.kind == "authorize" else None
        return Evidence(
            source="reply", state="failed", error_class=refusal.error_class, occurred_at=self._clock.now(),
            provider_ref=intent if isinstance(intent, str) else None, raw={"error": failure.shown()},
        )  # fmt: skip

    def _of_intent(self, answer: dict[str, Any]) -> Evidence:
        return intent_evidence(msgspec.convert(answer, Intent), "reply", self._clock.now())

    def _of_void(self, answer: dict[str, Any]) -> Evidence:
        return void_evidence(msgspec.convert(answer, Intent), "reply", self._clock.now())

    def _of_refund(self, answer: dict[str, Any]) -> Evidence:
        return refund_evidence(msgspec.convert(answer, Refund), "reply", self._clock.now())


def _known(capture: Evidence | None) -> Evidence:
    """Return a capture (ValueError where its intent has no mark of it)."""
    if capture is None:
        raise ValueError("the intent has no mark of this capture")
    return capture
