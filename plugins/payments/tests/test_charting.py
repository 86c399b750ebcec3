"""Another chart of accounts: what is asked, what is posted, and what becomes of an answer that does not add up."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest
from generous import GENEROUS

from corekit.context import Context
from corekit.contracts.payments import Operation, Posting, ledger_postings
from corekit.data import DatabaseSettings
from corekit.hooks import implements
from corekit.kit import Corekit
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit.testing import FakeClock, make_kit
from corekit.values import Money
from corekit_payments import PaymentsPlugin, PaymentsSettings
from corekit_payments.disputes import Disputes
from corekit_payments.ledger import LedgerQuery, account


def pair(debit: str, credit: str, minor: int, currency: str = "INR") -> Posting:
    return Posting(debit=debit, credit=credit, amount=Money(minor, currency))


class ChartPlugin(Plugin[Settings]):
    """A shop that books its commission apart; and what a test has it say instead."""

    name = "chart"

    def __init__(self) -> None:
        super().__init__(Settings())
        self.asked: list[tuple[str, str, bool]] = []
        self.says: Sequence[Posting] | None = None

    @implements(ledger_postings)
    async def chart(self, op: Operation, ctx: Context) -> Sequence[Posting] | None:
        assert ctx.actor.name == "payments"
        self.asked.append((op.kind, op.state, op.surplus))
        if self.says is not None:
            return self.says
        if (op.kind, op.surplus) != ("capture", False):
            return None
        fee = op.amount.minor // 10
        return [pair("bank", "sales:books", op.amount.minor - fee), pair("bank", "commission", fee)]


@pytest.fixture
def chart() -> ChartPlugin:
    return ChartPlugin()


@pytest.fixture
async def kit(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock, chart: ChartPlugin
) -> AsyncGenerator[Corekit]:
    plugins = [PaymentsPlugin(PaymentsSettings(sweep=False, fraud=GENEROUS)), chart]
    settings = {"jobs": {"worker": False}}
    async with make_kit(plugins, database=database, tmp_path=tmp_path, clock=clock, settings=settings) as made:
        yield made


async def paid(till: Any, say: Any, **more: Any) -> Any:
    payment = await till.payment()
    operation = await till.begin(payment)
    await till.apply(operation, say("succeeded", amount=1000, captured=1000, provider_ref="r1", **more))
    return payment


async def test_a_capture_is_posted_as_the_chart_says(till: Any, say: Any) -> None:
    payment = await paid(till, say)
    assert await till.sums() == {"bank": 1000, "sales:books": -900, "commission": -100}
    await till.books(payment)  # which holds payment and ledger against each other
    async with till.caller().begin(readonly=True) as ctx:
        shown = await account(ctx, "bank", LedgerQuery())
    assert shown.balances[0].kind == "asset"
    assert [(one.kind, one.credit, one.amount.minor) for one in shown.postings.items] == [
        ("capture", "sales:books", 900), ("capture", "commission", 100)
    ]  # fmt: skip


async def test_it_is_asked_about_everything_that_moves(till: Any, say: Any, chart: ChartPlugin) -> None:
    payment = await paid(till, say)
    attempt = (await till.books(payment)).operations[0].attempt_id
    for state, ref in (("succeeded", "r2"), ("failed", None)):
        refund = await till.begin(payment, "refund", 100, attempt=attempt)
        await till.apply(refund, say(state, amount=100, provider_ref=ref))
    for state in ("pending", "succeeded"):
        await till.kit.get(Disputes).learn("sandbox", "r1", say(state, "event", amount=100, provider_ref="dp_1"))
    assert chart.asked == [
        ("capture", "succeeded", False),
        ("refund", "created", False), ("refund", "succeeded", False),
        ("refund", "created", False), ("refund", "failed", False),
        ("dispute", "pending", False), ("dispute", "succeeded", False),
    ]  # fmt: skip
    await till.books(payment)


@pytest.mark.parametrize(
    "says",
    [
        [],
        [pair("bank", "sales", 999)],
        [pair("bank", "sales", 1000), pair("bank", "sales", 1)],
        [pair("bank", "sales", 1001), pair("bank", "sales", -1)],
        [pair("bank", "sales", 1000, "USD")],
        [pair("bank", "bank", 1000)],
        [pair("bank", "Sales", 1000)],
        [pair("bank", "sales\n", 1000)],
        [pair("bank", "a:" + "b" * 65, 1000)],
    ],
)
async def test_what_does_not_add_up_is_posted_as_ever(
    till: Any, say: Any, chart: ChartPlugin, says: list[Posting], caplog: pytest.LogCaptureFixture
) -> None:
    """Red when an answer is taken unchecked: the books would not agree, or the outcome could not be stored."""
    chart.says = says
    payment = await paid(till, say)
    assert await till.sums() == {"clearing:sandbox": 1000, "payable": -1000}
    assert "payments_postings_refused" in caplog.text
    await till.books(payment)


async def test_a_fee_and_what_comes_late_are_posted_as_ever(till: Any, say: Any, chart: ChartPlugin) -> None:
    payment = await paid(till, say)
    attempt = (await till.books(payment)).operations[0].attempt_id
    refund = await till.begin(payment, "refund", 100, attempt=attempt)
    await till.apply(refund, say("failed", amount=100))
    before = len(chart.asked)
    assert (await till.apply(refund, say("succeeded", amount=100, provider_ref="r2"))).outcome == "late"
    assert len(chart.asked) == before
    assert await till.sums() == {
        "bank": 1000, "sales:books": -900, "commission": -100, "payable": 100, "refunds": 0, "clearing:sandbox": -100
    }  # fmt: skip
    await till.books(payment)
