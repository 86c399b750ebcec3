"""A fork server of lives: each is a process with a real kit that pays, or sweeps, and kills itself at a drawn place.

`python crash_life.py SETTING` reads one list of lives per line and answers how each ended; with a life as the second
argument it lives that one itself.
"""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

sys.path.append(str(Path(__file__).parents[1]))

import msgspec
from crash_fate import Fate, Flaky, FlakyPlugin, Life, Setting  # beside this file
from generous import GENEROUS  # in the folder above
from sqlalchemy import select

from corekit.context import Actor, Context
from corekit.contracts.payments import (
    NewPayment,
    OutcomeUnknown,
    Payments,
    ProviderSettings,
    TokenMethod,
)
from corekit.data import DatabaseSettings
from corekit.kit import Corekit
from corekit.testing import FakeClock, make_kit
from corekit.values import Money, typeid
from corekit_payments import PaymentsPlugin, PaymentsSettings, holding, reading
from corekit_payments.books import lock
from corekit_payments.holding import Holding
from corekit_payments.models import PaymentRow

ALICE, CLARA = Actor("alice"), Actor("clara")
ACCESS = {
    "roles": {"cashier": ["payments:payment:capture", "payments:refund:create"]},
    "grants": {str(CLARA.id): ["cashier"]},
}


class Client:
    """Works through numbered orders; all it remembers is in the database, under the order's number."""

    def __init__(self, kit: Corekit, fate: Fate) -> None:
        self.kit, self.fate = kit, fate
        self.payments: Any = kit.get(Payments)

    def writing(self, who: Actor = ALICE) -> Any:
        return self.kit.caller(who).system("payments").begin()

    async def work(self) -> None:
        """Go on with what is not at its end and with new orders, in any order: one that is stuck holds up none."""
        async with self.kit.caller().system("payments").begin(readonly=True) as ctx:
            rows = (await ctx.session.scalars(select(PaymentRow))).all()
        known = {int(row.merchant_reference or 0): row for row in rows}
        asked = range(1, max(known, default=0) + 1 + self.fate.life.orders)  # what was asked and lost is asked again
        todo = [number for number in asked if number not in known or not final(number, known[number])]
        self.fate.random.shuffle(todo)
        for number in todo:
            await self.order(number, known[number].id if number in known else None)

    async def order(self, number: int, payment: UUID | None) -> None:
        """Bring one order as far as it goes."""
        if payment is None:
            payment = await self.create(number)
        for _ in range(8):
            async with self.kit.caller(ALICE).begin(readonly=True) as ctx:
                row, operations = await reading.see(ctx, payment)
            if final(number, row):
                return
            if (hand := reading.in_hand(operations)) is not None:
                await self.payments._driver.start(hand.id, None, "request")
            elif not await self.ask(number, row):
                return

    async def create(self, number: int) -> UUID:
        self.fate.at("start")
        new = NewPayment(
            amount=Money(1000, "INR"), capture_method="automatic" if number % 3 == 0 else "manual", confirm=True,
            method=TokenMethod(token="tok_ok", provider="flaky"), merchant_reference=str(number),
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
        id_ = typeid("pay", row.id)
        if row.status == "requires_capture":
            self.fate.at("start")
            async with self.writing(CLARA) as ctx:
                if number % 3 == 1:
                    await self.payments.capture(ctx, id_, Money(700, "INR"))
                else:
                    await self.payments.cancel(ctx, id_, "not wanted")
        elif row.status == "succeeded" and row.refund_status == "none":
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


def final(number: int, row: PaymentRow) -> bool:
    """Tell whether an order is where it is to end: every third is taken at once, in part with a refund, or released."""
    ends = {0: ("succeeded", "none"), 1: ("succeeded", "partial"), 2: ("canceled", "none")}
    return (row.status, row.refund_status) == ends[number % 3]


def break_in(fate: Fate) -> None:
    """Put the points of P3 where they are, and take away what the control names."""
    end, apply = Holding.end, holding.apply

    async def applied(*given: Any, **named: Any) -> Any:
        done = await apply(*given, **named)
        fate.at("precommit")
        return done

    async def ended(*given: Any) -> None:
        fate.at("replied")
        await end(*given)
        fate.at("committed")

    holding.apply = applied  # type: ignore[assignment]  # where P3 calls it
    Holding.end = ended  # type: ignore[method-assign]
    if fate.setting.control == "no_lookup":
        holding.step_of = lambda *_: "send"  # type: ignore[assignment]


async def live(setting: Setting, life: Life) -> None:
    """Start a kit and work, until there is nothing to do or the end comes."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGALRM, tell_where)
    fate, clock = Fate(setting, life), FakeClock(life.now)
    if life.mortal or life.stops:
        break_in(fate)
    settings = PaymentsSettings(providers={"flaky": ProviderSettings(kind="flaky")}, sweep=life.sweeps, fraud=GENEROUS)
    kit = make_kit(
        [PaymentsPlugin(settings), FlakyPlugin(Flaky(fate, clock))], database=setting.database,
        tmp_path=Path(setting.folder) / "data", clock=clock, settings={"jobs": {"worker": False}, "access": ACCESS},
    )  # fmt: skip
    async with kit as made:
        if not life.sweeps:
            with contextlib.suppress(OutcomeUnknown):  # who calls inside the transaction asks again in another life
                await Client(made, fate).work()
            return
        driver: Any = made.get(Payments)._driver  # type: ignore[attr-defined]
        while driver.running or await driver._holding.due(1):
            await asyncio.sleep(0.02)


def tell_where() -> None:
    """Say in the log where everything hangs, and end."""
    for task in asyncio.all_tasks():
        task.print_stack()
    sys.stderr.flush()
    os._exit(signal.SIGALRM)


def warm_up() -> None:
    """Live once in this process, elsewhere: what is imported and computed once need not be so in every life."""
    with tempfile.TemporaryDirectory() as folder:
        elsewhere = Setting(DatabaseSettings(url=f"sqlite:///{folder}/warm.db"), folder)
        asyncio.run(live(elsewhere, Life(0, datetime.now(UTC), mortal=False, orders=3)))
    gc.freeze()


def serve(setting: Setting) -> None:
    """Fork lives that live at the same time, and say how they ended."""
    warm_up()
    for line in sys.stdin:
        pids = []
        for life in msgspec.json.decode(line, type=list[Life]):
            if (pid := os.fork()) == 0:
                signal.alarm(180)  # a life that hangs ends with 14, and says where
                code = 1
                try:
                    asyncio.run(live(setting, life))
                    code = 0
                finally:
                    sys.stderr.flush()
                    os._exit(code)
            pids.append(pid)
        ended = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        sys.stdout.write(f"{msgspec.json.encode(ended).decode()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    shared = msgspec.json.decode(sys.argv[1], type=Setting)
    if len(sys.argv) > 2:
        asyncio.run(live(shared, msgspec.json.decode(sys.argv[2], type=Life)))
    else:
        serve(shared)
