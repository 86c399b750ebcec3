"""What the holder of a link can do: see the payment, pay it by what needs no script, cancel it; nothing else."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from corekit.actors import Actor
from corekit.context import Caller, Context, Kit
from corekit.contracts.payments import (
    Method,
    Operation,
    Payment,
    PaymentMethod,
    RedirectUrl,
    TokenMethod,
    UpiIntentMethod,
    UpiQrMethod,
)
from corekit.errors import Conflict, Invalid
from corekit.guard.idempotency import (
    IdempotencyInProgress,
    IdempotencyKey,
    IdempotencyKeyReused,
    Replay,
    fingerprint,
)
from corekit.guard.limits import Limits, Rule, address_key
from corekit.guard.preconditions import IfMatch, PreconditionFailed
from corekit.values import parse_id, typeid
from corekit_payments import reading
from corekit_payments.attempts import demand_payable
from corekit_payments.checkout.links import Link, Links
from corekit_payments.checkout.refusals import FormStale, LinkExpired, LinkUnknown, TooOften
from corekit_payments.errors import PaymentDeclined, ProviderUnavailable
from corekit_payments.models import PURPOSE, PaymentRow
from corekit_payments.providers import Providers
from corekit_payments.requesting import Requests
from corekit_payments.sandbox import Sandbox
from corekit_payments.telling import Asked
from corekit_payments.upi.rules import UpiRules

RULE = Rule("payments.checkout", count=30, period=60, burst=30)  # requests for each link and address
_UPI: dict[str, tuple[type[UpiIntentMethod | UpiQrMethod], str]] = {
    "upi_intent": (UpiIntentMethod, "Pay in a UPI app on this device"),
    "upi_qr": (UpiQrMethod, "Pay by QR code"),
}
_TOKENS = {
    "tok_ok": "Sandbox: pay",
    "tok_3ds": "Sandbox: ask me first",
    "tok_declined": "Sandbox: decline",
    "tok_pending": "Sandbox: take your time",
}
_PAYABLE, _CANCELABLE = "requires_payment_method", ("requires_payment_method", "requires_action")
_ON_ITS_WAY = (Conflict, IdempotencyInProgress, PaymentDeclined, ProviderUnavailable, Replay)  # the page tells of it
_Act = Callable[[Caller, UUID, IdempotencyKey, Asked], Awaitable[None]]


@dataclass(frozen=True)
class Choice:
    """A way to pay that needs no script; `value` names it in the form."""

    value: str
    label: str
    method: Method


@dataclass(frozen=True)
class Sheet:
    """What the page shows; `form` is the token of its forms, `stand_in` where the sandbox's payer acts."""

    link: Link
    payment: Payment
    choices: list[Choice]
    form: str
    stand_in: str | None = None

    @property
    def cancelable(self) -> bool:
        """Whether it may be cancelled from here."""
        return self.payment.status in _CANCELABLE


class Checkout:
    """Pages and their forms; each method charges the limit first.

    Raises:
        LinkUnknown, LinkExpired, TooOften: each method.
        FormStale: those of forms; nothing was done.

    """

    def __init__(self, kit: Kit, requests: Requests, providers: Providers, upi: UpiRules, merchant: str) -> None:
        self.merchant = merchant or "the merchant"
        self._kit = kit
        self._requests = requests
        self._providers = providers
        self._upi = upi
        self._links = Links(kit.keyring)

    async def show(self, caller: Caller, token: str) -> Sheet:
        """Return what the page shows now."""
        link = await self._open(caller, token)
        payer = await self._payer(caller, link)
        async with payer.system(PURPOSE).begin(readonly=True) as ctx:
            payment = await reading.read(ctx, link.payment)
            tries = await reading.operations(ctx, link.payment)
            choices = self._choices(ctx, payment) if payment.status == _PAYABLE else []
        return Sheet(
            link=link,
            payment=payment,
            choices=choices,
            form=self._links.form(link, payment.version),
            stand_in=self._stand_in(payment, tries),
        )

    async def pay(self, caller: Caller, token: str, form: str, choice: str) -> None:
        """Try to be paid, as a form asks; what comes of it is on the page, a decline too."""

        async def act(payer: Caller, payment: UUID, key: IdempotencyKey, asked: Asked) -> None:
            async with payer.system(PURPOSE).begin(readonly=True) as ctx:
                choices = self._choices(ctx, await reading.read(ctx, payment))
            method = next((one.method for one in choices if one.value == choice), None)
            if method is None:
                raise FormStale
            await self._requests.confirm(payer, key, typeid("pay", payment), method, None, asked)

        await self._act(caller, token, form, choice, act)

    async def cancel(self, caller: Caller, token: str, form: str) -> None:
        """Cancel, as a form asks."""

        async def act(payer: Caller, payment: UUID, key: IdempotencyKey, asked: Asked) -> None:
            await self._requests.cancel(payer, key, typeid("pay", payment), "on the checkout page", asked)

        await self._act(caller, token, form, "cancel", act)

    async def _act(self, caller: Caller, token: str, form: str, what: str, act: _Act) -> None:
        """Do what a form asks, under the token of its page as the key: a second click does nothing more."""
        link = await self._open(caller, token)
        try:
            version = self._links.version(link, form)
        except ValueError:
            raise FormStale from None
        payer = await self._payer(caller, link)
        key = IdempotencyKey(form, fingerprint("POST", f"/payments/v1/checkout/{link.token}", what))
        asked = Asked(via="checkout-link", if_match=IfMatch(frozenset({str(version)})))
        try:
            await act(payer, link.payment, key, asked)
        except (PreconditionFailed, IdempotencyKeyReused, Invalid):
            raise FormStale from None
        except _ON_ITS_WAY:
            return

    async def _open(self, caller: Caller, token: str) -> Link:
        try:
            link = self._links.read(token)
        except ValueError:
            raise LinkUnknown from None
        limits = self._kit.get(Limits)
        decision = await limits.hit(RULE, f"{self._kit.keyring.mac(RULE.name, token).hex()} {_address(caller)}")
        if not decision.allowed:
            raise TooOften(retry_after=max(1, round(decision.retry_after)))
        if self._kit.clock.now() >= link.expires_at:
            raise LinkExpired
        return link

    async def _payer(self, caller: Caller, link: Link) -> Caller:
        """Return who made the link, from where its holder is: they act for that person alone."""
        async with caller.system(PURPOSE).begin(readonly=True) as ctx:
            row = await ctx.session.get(PaymentRow, link.payment)
        if row is None:
            raise LinkUnknown
        return replace(caller, actor=Actor(row.payer), tenant=row.tenant, on_behalf_of=None)

    def _stand_in(self, payment: Payment, tries: Sequence[Operation]) -> str | None:
        """Say where to be the app of a payer who is shown a link or code of the sandbox's."""
        if payment.status != "requires_action" or isinstance(payment.next_action, RedirectUrl):
            return None
        provider = self._providers.named(tries[-1].provider)
        return provider.page(tries[-1].provider_ref or "") if isinstance(provider, Sandbox) else None

    def _choices(self, ctx: Context, payment: Payment) -> list[Choice]:
        offered = self._providers.taking(ctx, payment.amount.currency, self._upi)
        return [choice for one in offered if self._fits(one, payment) for choice in _choices_of(one)]

    def _fits(self, offered: PaymentMethod, payment: Payment) -> bool:
        provider = self._providers.named(offered.provider)
        if provider is None or (offered.maximum is not None and payment.amount > offered.maximum):
            return False
        try:
            demand_payable(provider, payment.amount, _payee(payment))
        except Invalid:
            return False
        return True


def _choices_of(offered: PaymentMethod) -> list[Choice]:
    at = f"@{offered.provider}"
    if offered.type == "token":
        return [
            Choice(f"{token}{at}", label, TokenMethod(token=token, provider=offered.provider))
            for token, label in _TOKENS.items()
        ]
    if offered.type in _UPI:
        method, label = _UPI[offered.type]
        return [Choice(f"{offered.type}{at}", label, method(provider=offered.provider))]
    return []  # the rest needs a script, as a card's form does


def _payee(payment: Payment) -> UUID | None:
    return None if payment.payee == "merchant" else parse_id("usr", payment.payee)


def _address(caller: Caller) -> str:
    return address_key(caller.client.address)
