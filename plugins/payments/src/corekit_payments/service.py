"""The verbs: they record what somebody wants, after asking what they may; no provider is called in them."""

import builtins
from datetime import timedelta
from uuid import UUID

from corekit.context import Caller, Context, Kit
from corekit.contracts.payments import (
    CheckoutLink,
    Method,
    NewPayment,
    Operation,
    Payment,
    PaymentCanceled,
    PaymentCreated,
    PaymentMethod,
    PaymentQuery,
    Payments,
    Refund,
    Verdict,
    price_payment,
)
from corekit.errors import Invalid
from corekit.events import emit
from corekit.values import Money, Page, parse_id, uuid7
from corekit_payments import reading
from corekit_payments.attempts import add_attempt, demand_payable, demand_resolved, free_the_hand
from corekit_payments.books import Books, demand_purpose, lock
from corekit_payments.checkout.linking import checkout_link
from corekit_payments.checks import refuse_card_numbers, refuse_foreign_return
from corekit_payments.deriving import Derived
from corekit_payments.driving import Driver
from corekit_payments.errors import (
    AmountMismatch,
    AmountOutOfRange,
    PayeeNotSupported,
    PaymentState,
)
from corekit_payments.fraud.assessing import Fraud
from corekit_payments.models import PaymentRow
from corekit_payments.moving import begin_capture, begin_refund, tell_refund
from corekit_payments.providers import Providers
from corekit_payments.reviewing import demand_not_held_back, review
from corekit_payments.rights import (
    CAPTURE,
    REFUND,
    demand_may_cancel,
    demand_payer,
    demand_permission,
    person_of,
)
from corekit_payments.settings import PaymentsSettings
from corekit_payments.telling import ASKED, Asked, Via, common, demand_version, record_request
from corekit_payments.upi.rules import UpiRules


class PaymentsService(Payments):
    """Payments in the kit's own database."""

    def __init__(
        self, kit: Kit, settings: PaymentsSettings, providers: Providers, driver: Driver, upi: UpiRules
    ) -> None:
        self._kit = kit
        self._settings = settings
        self._providers = providers
        self._driver = driver
        self._upi = upi
        self._fraud = Fraud(settings.fraud)

    async def create(self, ctx: Context, new: NewPayment) -> Payment:
        """Record a payment; what it costs is the server's to say."""
        demand_purpose(ctx)
        person = person_of(ctx)
        refuse_card_numbers(new)
        refuse_foreign_return(new.return_url, self._settings.return_hosts)
        payee = self._payee(new, person)
        await self._demand_price(ctx, new)
        if new.confirm != (new.method is not None):
            raise Invalid("a method goes with confirm, and confirm with a method", pointer="/method")
        row = self._row(ctx, new, person, payee)
        ctx.session.add(row)
        books = Books(ctx, row, [])
        if new.method is not None:
            await ctx.session.flush()
            await self._attempt(books, new.method, person, "request")
            await ctx.session.flush()
        await emit(ctx, PaymentCreated(**common(books), amount=new.amount))
        await record_request(books, "payment.created", amount=row.amount, currency=row.currency)
        return await reading.shown(ctx, books.payment, books.operations)

    async def confirm(
        self,
        ctx: Context,
        id: str,  # noqa: A002  # the field's own name
        method: Method,
        return_url: str | None = None,
        *,
        asked: Asked = ASKED,
    ) -> Payment:
        """Record another attempt; one that was certainly never sent gives way to it."""
        demand_purpose(ctx)
        person = person_of(ctx)
        refuse_card_numbers(method)
        refuse_card_numbers({"return_url": return_url})
        refuse_foreign_return(return_url, self._settings.return_hosts)
        books = await lock(ctx, reading.parsed(id))
        demand_payer(books)
        demand_version(books, asked)
        demand_not_held_back(books)
        books = await free_the_hand(books)
        demand_resolved(books)
        await self._attempt(books, method, person, asked.via)
        books.payment.return_url = return_url or books.payment.return_url
        books.changed()
        await ctx.session.flush()
        await record_request(books, "payment.confirmed", via=asked.via, attempt=len(books.operations))
        return await reading.shown(ctx, books.payment, books.operations)

    async def cancel(self, ctx: Context, id: str, reason: str, *, asked: Asked = ASKED) -> Payment:  # noqa: A002
        """Cancel what was not sent, release what is held; what is on its way is surplus should it arrive."""
        demand_purpose(ctx)
        person = person_of(ctx)
        refuse_card_numbers({"reason": reason})
        books = await lock(ctx, reading.parsed(id))
        demand_may_cancel(books)
        demand_version(books, asked)
        if books.payment.status == "canceled" or books.payment.cancel_requested_at is not None:
            return await reading.shown(ctx, books.payment, books.operations)
        if books.payment.captured or books.payment.capture_pending:
            raise PaymentState(payment_status=books.payment.status)
        books = await free_the_hand(books)
        await self._release(books, person, reason, asked.via)
        return await reading.shown(ctx, books.payment, books.operations)

    async def capture(
        self,
        ctx: Context,
        id: str,  # noqa: A002
        amount: Money | None = None,
        *,
        final: bool = True,
    ) -> Payment:
        """Record that what is held is to be taken."""
        demand_purpose(ctx)
        person = person_of(ctx)
        books = await lock(ctx, reading.parsed(id))
        demand_permission(books, CAPTURE)
        await begin_capture(books, self._providers, amount, person, final=final)
        books.settle_columns()
        books.changed()
        await ctx.session.flush()
        return await reading.shown(ctx, books.payment, books.operations)

    async def refund(self, ctx: Context, id: str, amount: Money | None, reason: str) -> Refund:  # noqa: A002
        """Record that captured money is to be given back."""
        demand_purpose(ctx)
        person = person_of(ctx)
        refuse_card_numbers({"reason": reason})
        books = await lock(ctx, reading.parsed(id))
        demand_permission(books, REFUND)
        operation = await begin_refund(books, amount, reason, person)
        books.settle_columns()
        books.changed()
        await tell_refund(ctx, books, operation)
        return await reading.refund(ctx, operation, books.payment.currency)

    async def review(self, ctx: Context, id: str, verdict: Verdict, reason: str) -> Payment:  # noqa: A002
        """Let what is held back go, or end it."""
        return await review(ctx, id, verdict, reason)

    async def checkout_link(self, ctx: Context, id: str) -> CheckoutLink:  # noqa: A002
        """Make a link to the page on which the holder may pay."""
        return await checkout_link(
            ctx, id, self._settings.external_url, lifetime=timedelta(seconds=self._settings.action_ttl)
        )

    async def drive(self, caller: Caller, id: str, timeout: float = 25.0) -> Payment:  # noqa: A002, ASYNC109
        """Have what is in hand driven, and wait for it; `timeout` bounds the wait and not the work."""
        return await self._driver.drive(caller, reading.parsed(id), timeout)

    async def get(self, ctx: Context, id: str) -> Payment:  # noqa: A002
        """Return one."""
        return await reading.read(ctx, reading.parsed(id))

    async def list(self, ctx: Context, query: PaymentQuery) -> Page[Payment]:
        """List them."""
        return await reading.page(ctx, query)

    async def operations(self, ctx: Context, id: str) -> builtins.list[Operation]:  # noqa: A002
        """List a payment's operations."""
        return await reading.operations(ctx, reading.parsed(id))

    async def methods(self, ctx: Context, currency: str) -> builtins.list[PaymentMethod]:
        """List what the enabled instances offer now."""
        return self._providers.taking(ctx, currency, self._upi)

    async def _release(self, books: Books, person: UUID, reason: str, via: Via) -> None:
        """Void what is held; where nothing is, keep that it was cancelled."""
        ctx, payment, held = books.ctx, books.payment, books.winner()
        before = payment.status
        if held is not None:
            provider = self._providers.named(held.provider)
            if provider is None or not provider.capabilities.void:
                raise PaymentState("this provider releases nothing", payment_status=payment.status)
            books.begin("void", held.attempt_id, held.provider, held.amount, initiator=person, reason=reason)
        else:
            payment.cancel_requested_at = ctx.now()
        books.settle_columns()
        books.changed()
        await ctx.session.flush()
        if payment.status == "canceled" != before:
            await emit(ctx, PaymentCanceled(**common(books), amount=Money(payment.amount, payment.currency)))
        await record_request(books, "payment.canceled", via=via, before=before, after=payment.status)

    async def _attempt(self, books: Books, method: Method, person: UUID, via: Via) -> None:
        payment, provider = books.payment, self._providers.offering(books.ctx, method)
        amount = Money(payment.amount, payment.currency)
        demand_payable(provider, amount, payment.payee)
        self._upi.demand(str(type(method).__struct_config__.tag), amount)
        await self._fraud.assess(books, *await add_attempt(books, provider, method, person), via)

    async def _demand_price(self, ctx: Context, new: NewPayment) -> None:
        if new.amount.minor <= 0:
            raise AmountOutOfRange(pointer="/amount/amount")
        price = await ctx.kit.hooks.first(price_payment, new, ctx)
        source = self._settings.amount_source or ("client" if self._kit.env == "dev" else "hook")
        if price is None and source == "client":
            return
        if price != new.amount:
            raise AmountMismatch(pointer="/amount")

    def _payee(self, new: NewPayment, person: UUID) -> UUID | None:
        if new.payee == "merchant":
            return None
        payee = parse_id("usr", new.payee, pointer="/payee")
        if payee == person:
            raise PayeeNotSupported(pointer="/payee")
        return payee

    def _row(self, ctx: Context, new: NewPayment, payer: UUID, payee: UUID | None) -> PaymentRow:
        now, totals = ctx.now(), {name: 0 for name in Derived.__struct_fields__ if not name.endswith("status")}
        return PaymentRow(
            id=uuid7(), tenant=ctx.tenant, payer=payer, payee=payee, amount=new.amount.minor,
            currency=new.amount.currency, capture_method=new.capture_method,
            merchant_reference=new.merchant_reference, status="requires_payment_method", refund_status="none",
            dispute_status="none", max_attempts=self._settings.max_attempts, description=new.description,
            details=new.metadata, return_url=new.return_url,
            allow_duplicate=new.allow_duplicate, version=1, created_at=now, updated_at=now, **totals,
        )  # fmt: skip
