"""Notices of one payment, repeated and mixed with requests, polls and each other, end in one set of books."""

from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import msgspec
import pytest
from counters import Counter
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from webhook_office import PostOffice

from corekit.contracts.payments import Evidence, Payments
from corekit.values import parse_id
from corekit_payments.disputes import Disputes
from corekit_payments.inbox import Processing
from corekit_payments.inbox.taking import NoticeKey
from corekit_payments.ledger import LedgerTransactionRow, PostingRow, broken
from corekit_payments.models import OperationRow, ReconciliationItemRow
from corekit_payments.providers import Providers
from corekit_payments.sandbox import Sandbox
from corekit_payments.transitions import OPEN

DECIDED = {"tok_3ds", "tok_upi_qr"}
_LOOKS = 3  # after which the sandbox has made up its mind


class Story(msgspec.Struct, frozen=True):
    """A payment, whether its payer approves where they are asked, and what is asked for after it is paid."""

    means: str
    approve: bool
    manual: bool
    then: tuple[int, ...]  # captured in parts where it is held, otherwise given back


stories = st.builds(
    Story,
    means=st.sampled_from(["tok_ok", "tok_3ds", "tok_upi_qr", "tok_pending", "tok_lost_after", "tok_late",
                           "tok_declined", "tok_slow_lookup", "tok_refund_fails"]),
    approve=st.sampled_from([True, True, False]),
    manual=st.booleans(),
    then=st.sampled_from([(), (1000,), (400,), (400, 600), (300, 300, 400)]),
)  # fmt: skip


@dataclass
class Run:
    """One telling of a story: `dice` say which notices come when, how often, and in which order they are worked on."""

    counter: Counter
    office: PostOffice
    dice: Random
    seen: int  # notices that are of earlier payments
    known: dict[str, list[Evidence]] = field(default_factory=dict)  # what was fetched, by its reference
    done: set[UUID] = field(default_factory=set)  # operations that had succeeded when they were looked at

    async def tell(self, story: Story) -> tuple[str, dict[str, Any]]:
        """Do all of it; return the payment's id, and where it ends."""
        more = {"capture_method": "manual"} if story.manual else {}
        made = await self.counter.pay(story.means, **more)
        id_ = str(made.json().get("id") or made.json()["payment"])
        await self.hear(id_)
        if story.means in DECIDED:
            (operation,) = await self.operations(id_)
            await self.office.sandbox.decide(operation.provider_ref or "", approve=story.approve)
            for _ in range(3):
                await self.hear(id_)
                await self.operations(id_)
        await self.look(id_)
        if story.means != "tok_late":  # when that is known depends on how often somebody looked
            await self.go_on(id_, story)
        for operation in await self.operations(id_):
            for _ in range(_LOOKS):
                await self.office.sandbox.fetch(operation.provider_ref or "")
        await self.hear(id_, everything=True)
        await self.look(id_)
        return id_, await self.end(id_)

    async def go_on(self, id_: str, story: Story) -> None:
        for at, minor in enumerate(story.then):
            shown = (await self.counter.get(f"/{id_}")).json()
            amount = {"amount": {"amount": minor, "currency": "INR"}}
            if shown["status"] in {"requires_capture", "partially_captured"}:
                body, path = amount | {"final": at + 1 == len(story.then)}, "capture"
            elif shown["status"] == "succeeded" and not story.manual:
                body, path = amount | {"reason": "torn"}, "refunds"
            else:
                return
            answer = await self.counter.post(f"/{id_}/{path}", body, "clara")
            assert answer.status_code < 300, answer.text
            await self.hear(id_)
            await self.look(id_)

    async def hear(self, id_: str, *, everything: bool = False) -> None:
        """Have some of what there is to tell come, old and new; in the end all of it."""
        for operation in await self.operations(id_):
            if (ref := operation.provider_ref) is not None:
                self.known.setdefault(ref, []).append(await self.office.sandbox.fetch(ref))
        told = self.office.sandbox.notices(self.seen)
        chosen = self.dice.choices(told, k=self.dice.randrange(4)) if told else []
        chosen += told if everything else []
        self.dice.shuffle(chosen)
        if chosen:
            await self.office.deliver(*chosen)
        plugin: Any = next(one for one in self.counter.kit.plugins if one.name == "payments")
        plugin.processing = Processing(
            self.providers(late=not everything), timedelta(minutes=10), self.counter.kit.get(Disputes).learn
        )
        keys = [NoticeKey(row.provider, row.event_id) for row in await self.office.rows() if row.state == "received"]
        work = keys + self.dice.choices(keys, k=self.dice.randrange(3)) if keys else []
        self.dice.shuffle(work)  # a job may run twice, too
        for key in work if everything else work[: self.dice.randrange(len(work) + 1)]:
            await plugin.process_webhook(self.counter.kit.caller().system("payments"), key)

    def providers(self, *, late: bool) -> Providers:
        """Let what one job has fetched arrive after what another one has fetched since: a worker may be slow."""
        dice, known = self.dice, self.known

        class Slow(Sandbox):
            async def fetch(self, ref: str) -> Evidence:
                fetched: list[Evidence] = known.setdefault(ref, [])
                fetched.append(await super().fetch(ref))
                return dice.choice(fetched) if late else fetched[-1]

        return Providers({"sandbox": Slow("sandbox", self.office.journal, self.counter.kit.clock)})

    async def look(self, id_: str) -> None:
        """Look as the sweeper does, until nothing of the payment is open."""
        driver: Any = self.counter.kit.get(Payments)._driver  # type: ignore[attr-defined]  # the sweeper's own way
        for _ in range(20):
            if all(one.state not in OPEN for one in await self.operations(id_)):
                return
            self.counter.kit.clock.move(200)  # type: ignore[attr-defined]  # a test's clock
            for found, tenant in await driver._holding.due(20):
                await driver.start(found, tenant, "sweeper")
        raise AssertionError("something stays open")

    async def operations(self, id_: str) -> list[OperationRow]:
        payment = parse_id("pay", id_)
        rows = await self.office.table(OperationRow, OperationRow.seq)
        mine = [row for row in rows if row.payment_id == payment]
        succeeded = {row.id for row in mine if row.state == "succeeded"}
        assert succeeded >= self.done, "what has succeeded stays so"
        self.done |= succeeded
        return mine

    async def end(self, id_: str) -> dict[str, Any]:
        """Return all that counts: the payment, its operations, its postings; and hold the books against the sandbox."""
        operations = await self.operations(id_)
        mine = [one.id for one in operations]
        async with self.counter.kit.caller().system("payments").begin(readonly=True) as ctx:
            assert await broken(ctx) == {}
            pairs = select(LedgerTransactionRow.kind, PostingRow.amount).join(
                PostingRow, PostingRow.tx == LedgerTransactionRow.id
            )
            booked = await ctx.session.execute(pairs.where(LedgerTransactionRow.operation_id.in_(mine)))
            postings = sorted((row.kind, row.amount) for row in booked)
        shown = (await self.counter.get(f"/{id_}")).json()
        references = {one.reference for one in operations}
        done = [one for one in self.office.journal.effects() if one.reference in references]
        for kind, total in (("capture", "captured"), ("refund", "refunded")):
            assert sum(one.amount for one in done if one.kind == kind) == shown["totals"][total], kind
        return {
            **{name: shown[name] for name in ("status", "refund_status", "totals")},
            "operations": sorted((one.kind, one.amount, one.state, one.surplus) for one in operations),
            "postings": postings,
        }


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(story=stories, seeds=st.tuples(st.integers(0, 2**32), st.integers(0, 2**32)))
@example(story=Story("tok_lost_after", approve=True, manual=True, then=(400, 600)), seeds=(1, 2))
@example(story=Story("tok_late", approve=True, manual=False, then=()), seeds=(3, 4))
@example(story=Story("tok_3ds", approve=True, manual=False, then=(300, 300, 400)), seeds=(5, 6))
@pytest.mark.timeout(600)
async def test_notices_in_any_order_and_however_often_end_the_same(
    counter: Any, story: Story, seeds: tuple[int, int]
) -> None:
    """Each of these turns it red: `apply` without ranks, captures that come twice, a row for each delivery."""
    office, ends = PostOffice(counter), []
    for seed in seeds:
        run = Run(counter, office, Random(seed), len(office.sandbox.notices()))  # noqa: S311  # no secret
        _, end = await run.tell(story)
        ends.append(end)
    assert ends[0] == ends[1]
    event(f"{ends[0]['status']} {ends[0]['refund_status']}")
    assert await office.table(ReconciliationItemRow) == []
    rows = await office.rows()
    assert {row.state for row in rows} <= {"applied"}
    assert len(rows) == len(office.sandbox.notices())
