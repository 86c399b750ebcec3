"""Who pays: works through numbered orders, each of which is to end as its shape says."""

from typing import Any
from uuid import UUID

import msgspec
from crash_fate import APPROVED, DISPUTED, EXPIRING, SLOW, Fate  # beside this file
from sqlalchemy import select

from corekit.context import Actor, Context
from corekit.contracts.payments import NewPayment, Payments, TokenMethod
from corekit.kit import Corekit
from corekit.values import Money, typeid
from corekit_payments import holding, reading
from corekit_payments.books import lock
from corekit_payments.models import PaymentRow

ALICE, CLARA = Actor("alice"), Actor("clara")
ACCESS = {
    "roles": {"cashier": ["payments:payment:capture", "payments:refund:create"]},
    "grants": {str(CLARA.id): ["cashier"]},
}
TOKENS = {DISPUTED: "tok_dispute", APPROVED: "tok_3ds", SLOW: "tok_3ds"}
AUTOMATIC = (0, DISPUTED, APPROVED, SLOW)
# By shape: status, refunds, dispute (or it was won), then what was authorised, captured,
# refunded and released. 0 is taken at once, 1 in part with a refund, 2 released; of 4 and 7 the hold runs out, of 6 the
# payer never approves.
ENDS: dict[int, tuple[tuple[str, str, str], tuple[int, int, int, int]]] = {
    0: (("succeeded", "none", "none"), (1000, 1000, 0, 0)),
    1: (("succeeded", "partial", "none"), (1001, 700, 300, 0)),
    2: (("canceled", "none", "none"), (1002, 0, 0, 1002)),
    DISPUTED: (("succeeded", "none", "lost"), (1003, 1003, 0, 0)),
    4: (("canceled", "none", "none"), (1004, 0, 0, 0)),
    APPROVED: (("succeeded", "none", "none"), (1005, 1005, 0, 0)),
    SLOW: (("requires_payment_method", "none", "none"), (0, 0, 0, 0)),
    7: (("canceled", "none", "none"), (1007, 0, 0, 0)),
}


class Client:
    """All it remembers is in the database, under the order's number."""

    def __init__(self, kit: Corekit, fate: Fate) -> None:
        self.kit, self.fate = kit, fate
        self.payments: Any = kit.get(Payments)

    def writing(self, who: Actor = ALICE) -> Any:
        return self.kit.caller(who).system("payments").begin()

    def reading(self) -> Any:
        """Read with the rights by which it writes: each life has one connection less to open."""
        return self.kit.caller().system("payments").begin(readonly=True)

    async def work(self) -> None:
        """Go on with what is not at its end and with new orders, in any order: one that is stuck holds up none."""
        async with self.reading() as ctx:
            rows = (await ctx.session.scalars(select(PaymentRow))).all()
        known = {int(row.merchant_reference or 0): row for row in rows}
        asked = range(1, max(known, default=0) + 1 + self.fate.life.orders)  # what was asked and lost is asked again
        todo = [number for number in asked if number not in known or not self.final(number, known[number])]
        self.fate.random.shuffle(todo)
        for number in todo:
            if self.fate.gone:
                return
            await self.order(number, known[number].id if number in known else None)

    async def order(self, number: int, payment: UUID | None) -> None:
        """Bring one order as far as it goes."""
        if payment is None:
            payment = await self.create(number)
        for _ in range(8):
            async with self.reading() as ctx:
                row, operations = await reading.rows_of(ctx, payment)
            if self.final(number, row) or self.fate.gone:
                return
            if (hand := reading.in_hand(operations)) is not None:
                if not self.fate.life.drives:
                    return
                await self.payments._driver.start(hand.id, None, "request")
            elif not await self.ask(number, row):
                return

    async def create(self, number: int) -> UUID:
        self.fate.at("start")
        shape = number % self.fate.setting.shapes
        new = NewPayment(
            amount=Money(1000 + shape, "INR"), capture_method="automatic" if shape in AUTOMATIC else "manual",
            method=TokenMethod(token=TOKENS.get(shape, "tok_ok"), provider="flaky"), merchant_reference=str(number),
            confirm=True,
        )  # fmt: skip
        async with self.writing() as ctx:
            made = reading.parsed((await self.payments.create(ctx, new)).id)
            if self.fate.setting.control == "no_row":
                await self.call_at_once(ctx, number, made)
        self.fate.note("acknowledged", str(number))
        self.fate.at("claimed")
        return made

    async def ask(self, number: int, row: PaymentRow) -> bool:
        """Begin what follows; tell whether anything does."""
        id_, shape = typeid("pay", row.id), number % self.fate.setting.shapes
        if row.status == "requires_capture" and shape not in EXPIRING:
            self.fate.at("start")
            async with self.writing(CLARA) as ctx:
                if shape == 2:
                    await self.payments.cancel(ctx, id_, "not wanted")
                else:
                    await self.payments.capture(ctx, id_, Money(700, "INR"))
        elif (row.status, row.refund_status) == ("succeeded", "none") and shape not in AUTOMATIC:
            self.fate.at("start")
            async with self.writing(CLARA) as ctx:
                await self.payments.refund(ctx, id_, Money(300, "INR"), "returned")
        else:
            return False
        self.fate.at("claimed")
        return True

    async def call_at_once(self, ctx: Context, number: int, payment: UUID) -> None:
        """Be what everybody writes first: the call inside the transaction, nothing on disk before it."""
        operation = (await lock(ctx, payment)).operations[0]
        hold = self.payments._driver._holding
        call = await hold._call(await lock(ctx, payment), operation)
        called = msgspec.structs.replace(call, reference=f"ORDER{number}")
        operation.state, operation.sends = "sending", 1
        await ctx.session.flush()
        found = await hold._providers.named("flaky").create(called)
        await holding.apply(ctx, operation.id, found, via="request")

    def final(self, number: int, row: PaymentRow) -> bool:
        """Tell whether an order is where its client can bring it."""
        status, refund, _ = ENDS[number % self.fate.setting.shapes][0]
        return (row.status, row.refund_status) == (status, refund)
