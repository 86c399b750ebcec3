"""What evidence does to an operation and its payment, one example for each rule."""

import asyncio
from itertools import permutations
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import update

from corekit.contracts.payments import RedirectUrl
from corekit.errors import NotFound, PluginError
from corekit.values import Money, typeid
from corekit_payments.applying import apply
from corekit_payments.models import AttemptRow, OperationRow


async def test_an_authorisation_that_captures_along_brings_its_capture(till: Any, say: Any) -> None:
    payment = await till.payment()
    operation = await till.begin(payment)
    done = await till.apply(operation, say("succeeded", "reply", provider_ref="r1", amount=1000, captured=1000))
    assert (done.outcome, done.state, done.status, done.version) == ("advance", "succeeded", "succeeded", 2)
    books = await till.books(payment)
    authorization, capture = books.operations
    assert (capture.kind, capture.state, capture.amount, capture.provider_ref) == ("capture", "succeeded", 1000, "r1")
    assert (capture.attempt_id, capture.initiator) == (authorization.attempt_id, authorization.initiator)
    assert (books.payment.authorized, books.payment.captured) == (1000, 1000)
    assert await till.events() == ["payment_captured"]
    assert await till.audited() == ["payment.captured"]


async def test_a_capture_that_is_told_of_later_comes_once(till: Any, say: Any) -> None:
    """Without asking for captures that are there, each poll of a captured payment would add one."""
    payment = await till.payment()
    operation = await till.begin(payment)
    assert (await till.apply(operation, say("succeeded", amount=1000))).status == "requires_capture"
    for _ in range(3):
        await till.apply(operation, say("succeeded", amount=1000, captured=1000))
    books = await till.books(payment)
    assert [one.kind for one in books.operations] == ["authorize", "capture"]
    assert (books.payment.captured, books.payment.version) == (1000, 3)
    assert await till.events() == ["payment_authorized", "payment_captured"]


async def test_racing_evidence_is_applied_one_after_the_other(till: Any, say: Any) -> None:
    """Without the row lock two of them add the capture, and all but one fail on its place among the operations."""
    payments = [await till.payment() for _ in range(4)]
    operations = [await till.begin(payment) for payment in payments]
    evidence = say("succeeded", amount=1000, captured=1000)
    done = await asyncio.gather(*(till.apply(operation, evidence) for operation in operations * 5))
    assert sorted(one.outcome for one in done) == ["advance"] * 4 + ["ignore"] * 16
    for payment in payments:
        books = await till.books(payment)
        assert [one.kind for one in books.operations] == ["authorize", "capture"]
        assert (books.payment.captured, books.payment.version) == (1000, 2)
    assert await till.events() == ["payment_captured"] * 4


async def test_where_a_capture_was_asked_for_its_own_evidence_counts(till: Any, say: Any) -> None:
    payment = await till.payment(capture_method="manual")
    operation = await till.begin(payment, state="succeeded")
    attempt = (await till.books(payment)).operations[0].attempt_id
    capture = await till.begin(payment, "capture", 400, attempt=attempt, final=False)
    assert (await till.books(payment)).payment.capture_pending == 400
    await till.apply(operation, say("succeeded", captured=400))
    assert (await till.books(payment)).payment.captured == 0
    done = await till.apply(capture, say("succeeded", "reply", amount=400, fee=8))
    assert done.status == "partially_captured"
    books = await till.books(payment)
    assert (books.payment.captured, books.payment.capture_pending, books.operation(capture).fee) == (400, 0, 8)


async def test_a_fee_is_posted_once_whichever_evidence_is_the_first_to_name_it(till: Any, say: Any) -> None:
    """Of a capture that came along; red when only the evidence that moves an operation may bring a fee."""
    words = [say("pending"), say("succeeded", captured=1000, provider_ref="r"),
             say("succeeded", captured=1000, provider_ref="r", fee=8)]  # fmt: skip
    for number, order in enumerate(permutations(words)):
        operation = await till.begin(payment := await till.payment())
        for word in (*order, *order):
            shown = msgspec.structs.replace(word, provider_ref=f"r{number}")
            await till.apply(operation, shown)
        assert (await till.books(payment)).counted("capture")[0].fee == 8
    assert await till.sums() == {"clearing:sandbox": 6 * 992, "payable": -6 * 992}


async def test_what_is_repeated_or_older_changes_nothing_and_is_kept_once(till: Any, say: Any) -> None:
    """Without the ranks the second piece would make it pending again; without `_keep` nobody could tell why not."""
    payment = await till.payment()
    operation = await till.begin(payment)
    await till.apply(operation, say("succeeded", amount=1000, provider_ref="r1"))
    before = await till.books(payment)
    for evidence in (say("pending"), say("pending"), say("failed", error_class="funds"), say("unknown", "reply")):
        assert (await till.apply(operation, evidence)).outcome == "ignore"
    after = await till.books(payment)
    assert after.payment.version == before.payment.version
    assert after.operation(operation).error_class is None
    kept = [(one["outcome"], one["evidence"]["state"]) for one in after.operation(operation).seen]
    assert kept == [("advance", "succeeded"), ("ignore", "pending"), ("ignore", "failed"), ("ignore", "unknown")]
    assert await till.events() == ["payment_authorized"]


async def test_an_operation_keeps_so_much_evidence_and_no_more(till: Any, say: Any) -> None:
    operation = await till.begin(payment := await till.payment())
    for number in range(25):
        await till.apply(operation, say("pending", raw={"number": number}))
    seen = (await till.books(payment)).operation(operation).seen
    assert [one["evidence"]["raw"]["number"] for one in seen] == list(range(5, 25))


async def test_unknown_is_no_failure(till: Any, say: Any) -> None:
    operation = await till.begin(payment := await till.payment())
    assert (await till.apply(operation, say("unknown", "reply"))).status == "processing"
    assert (await till.apply(operation, say("unknown", "fetched", review="unknown"))).status == "needs_review"
    assert await till.events() == ["operation_became_unknown", "payment_review_requested"]
    assert await till.audited() == ["operation.unknown"]
    assert (await till.apply(operation, say("failed", error_class="declined"))).status == "requires_payment_method"
    assert (await till.books(payment)).operation(operation).review is None


async def test_what_the_payer_has_to_do_is_kept_while_they_have_to_and_sealed(till: Any, say: Any) -> None:
    operation = await till.begin(payment := await till.payment())
    for url in ("https://bank.example/1", "https://bank.example/2", "https://bank.example/2"):
        await till.apply(operation, say("requires_action", next_action=RedirectUrl(url=url)))
    (attempt,) = await till.rows(AttemptRow)
    assert attempt.next_action == '{"type":"redirect_url","url":"https://bank.example/2"}'
    assert (await till.books(payment)).payment.version == 3  # the third said nothing new
    assert "bank.example" not in str((await till.books(payment)).operation(operation).seen)
    await till.apply(operation, say("pending"))
    (attempt,) = await till.rows(AttemptRow)
    assert attempt.next_action is None


async def test_a_late_success_counts_is_told_and_audited(till: Any, say: Any) -> None:
    operation = await till.begin(payment := await till.payment(max_attempts=1))
    assert (await till.apply(operation, say("failed", error_class="retry_later"))).status == "failed"
    late = await till.apply(operation, say("succeeded", amount=1000, captured=1000))
    assert (late.outcome, late.status, late.surplus) == ("late", "succeeded", False)
    assert (await till.books(payment)).payment.captured == 1000
    assert await till.events() == ["payment_captured", "payment_failed", "payment_succeeded_late"]
    assert await till.audited() == ["operation.late", "payment.captured"]


@pytest.mark.parametrize("source", ["event", "operator", "local"])
async def test_only_the_provider_makes_a_late_success(till: Any, say: Any, source: str) -> None:
    operation = await till.begin(payment := await till.payment(), state="failed")
    assert (await till.apply(operation, say("succeeded", source))).outcome == "ignore"
    assert (await till.books(payment)).payment.authorized == 0


async def test_the_second_attempt_to_succeed_is_surplus(till: Any, say: Any) -> None:
    """Without `is_surplus` the second would break the CHECK on what is authorised, and its money be nowhere."""
    payment = await till.payment()
    first = await till.begin(payment, state="failed")
    second = await till.begin(payment)
    await till.apply(second, say("succeeded", amount=1000, captured=1000, provider_ref="r2"))
    late = await till.apply(first, say("succeeded", amount=1000, captured=1000, provider_ref="r1"))
    assert (late.outcome, late.surplus) == ("late", True)
    books = await till.books(payment)
    assert (books.payment.authorized, books.payment.captured) == (1000, 1000)
    extra = [one for one in books.operations if one.surplus]
    assert [one.kind for one in extra] == ["authorize", "capture"]
    assert {one.attempt_id for one in extra} == {books.operation(first).attempt_id}
    assert [(item.kind, item.their_ref, item.state) for item in await till.items()] == [("surplus", "r1", "open")] * 2
    assert (await till.audited()).count("operation.surplus") == 2


async def test_money_that_was_taken_wins_over_money_that_is_held(till: Any, say: Any) -> None:
    payment = await till.payment()
    held = await till.begin(payment, state="pending")
    taken = await till.begin(payment)
    await till.apply(held, say("succeeded", amount=1000, provider_ref="r1"))
    await till.apply(taken, say("succeeded", amount=1000, provider_ref="r2"))
    assert [item.our_ref for item in await till.items()] == [_wire(taken)]
    await till.apply(taken, say("succeeded", amount=1000, captured=1000, provider_ref="r2"))
    books = await till.books(payment)
    assert (books.operation(held).surplus, books.operation(taken).surplus) == (True, False)
    assert (books.payment.status, books.payment.captured) == ("succeeded", 1000)
    items = {(item.our_ref, item.state) for item in await till.items()}
    assert items == {(_wire(taken), "resolved"), (_wire(held), "open")}


async def test_what_arrives_after_a_cancellation_is_surplus(till: Any, say: Any, clock: Any) -> None:
    payment = await till.payment(cancel_requested_at=clock.now())
    operation = await till.begin(payment, state="pending")
    done = await till.apply(operation, say("succeeded", amount=1000, captured=1000))
    assert (done.status, done.surplus) == ("canceled", True)
    assert (await till.books(payment)).payment.captured == 0
    assert (await till.events()).count("payment_canceled") == 1


@pytest.mark.parametrize("kind", ["capture", "refund"])
async def test_a_late_success_whose_room_was_used_since_is_surplus(till: Any, say: Any, kind: str) -> None:
    """Without `_supersede` the room would be taken twice wherever the second one has failed too."""
    payment = await till.payment(capture_method="manual")
    await till.begin(payment, state="succeeded")
    attempt = (await till.books(payment)).operations[0].attempt_id
    if kind == "refund":
        await till.begin(payment, "capture", 1000, attempt=attempt, state="succeeded")
    first = await till.begin(payment, kind, 700, attempt=attempt, state="failed", final=False)
    beside = await till.begin(payment, kind, 300, attempt=attempt, state="pending", final=False)
    assert not (await till.books(payment)).operation(first).superseded  # there is room for both
    second = await till.begin(payment, kind, 600, attempt=attempt, final=False)
    assert (await till.books(payment)).operation(first).superseded
    late = await till.apply(first, say("succeeded", amount=700))
    assert (late.outcome, late.surplus) == ("late", True)
    for operation, amount in ((beside, 300), (second, 600)):
        await till.apply(operation, say("succeeded", amount=amount))
    row = (await till.books(payment)).payment
    assert (row.refunded if kind == "refund" else row.captured) == 900


async def test_a_final_capture_and_a_void_use_all_the_room(till: Any, say: Any) -> None:
    for kind, amount in (("capture", 100), ("void", 900)):
        payment = await till.payment(capture_method="manual")
        await till.begin(payment, state="succeeded")
        attempt = (await till.books(payment)).operations[0].attempt_id
        failed = await till.begin(payment, "capture", 100, attempt=attempt, state="failed", final=False)
        await till.begin(payment, kind, amount, attempt=attempt)
        assert (await till.apply(failed, say("succeeded"))).surplus


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("amount", {"amount": 999}),
        ("currency", {"amount": Money(1000, "USD")}),
        ("reference", {"amount": 1000, "provider_ref": "taken"}),
    ],
)
async def test_what_contradicts_the_books_is_refused_and_opens_one_item(
    till: Any, say: Any, kind: str, fields: dict[str, Any]
) -> None:
    await till.apply(await till.begin(await till.payment()), say("succeeded", provider_ref="taken"))
    operation = await till.begin(payment := await till.payment())
    for _ in range(2):
        done = await till.apply(operation, say("succeeded", **fields))
        assert (done.outcome, done.state) == ("refused", "sending")
    (item,) = await till.items()
    assert (item.kind, item.our_ref, item.state) == (kind, _wire(operation), "open")
    assert (await till.books(payment)).payment.version == 1
    assert await till.events() == ["mismatch_opened", "payment_authorized"]
    assert [one["outcome"] for one in (await till.books(payment)).operation(operation).seen] == ["refused"]


async def test_two_objects_that_moved_the_same_money_are_told(till: Any, say: Any) -> None:
    operation = await till.begin(await till.payment())
    await till.apply(operation, say("failed", provider_ref="r1"))
    assert (await till.apply(operation, say("succeeded", provider_ref="r2"))).outcome == "late"
    assert (await till.apply(operation, say("succeeded", provider_ref="r3"))).outcome == "refused"
    assert [(item.kind, item.their_ref) for item in await till.items()] == [("reference", "r3")]


async def test_a_part_that_was_taken_along_is_no_capture_and_opens_an_item(till: Any, say: Any) -> None:
    operation = await till.begin(payment := await till.payment())
    await till.apply(operation, say("succeeded", amount=1000, captured=400))
    assert (await till.books(payment)).payment.status == "requires_capture"
    assert [item.kind for item in await till.items()] == ["amount"]


async def test_only_what_was_never_sent_is_ours_to_end(till: Any, say: Any) -> None:
    async def sent(state: Any, sends: int, unsent: int) -> str:
        operation = await till.begin(await till.payment(), state=state)
        async with till.caller().begin() as ctx:
            await ctx.session.execute(
                update(OperationRow).where(OperationRow.id == operation).values(sends=sends, unsent=unsent)
            )
        return str((await till.apply(operation, say("canceled", "local"))).outcome)

    assert await sent("created", 0, 0) == "advance"
    assert await sent("sending", 2, 2) == "advance"
    assert await sent("sending", 2, 1) == "ignore"
    assert await sent("unknown", 1, 0) == "ignore"


async def test_a_driver_whose_lease_has_passed_on_writes_nothing(till: Any, say: Any) -> None:
    operation = await till.begin(payment := await till.payment())
    assert (await till.apply(operation, say("succeeded", "reply"), token=7)).outcome == "stale"
    assert (await till.books(payment)).operation(operation).seen == []
    assert (await till.apply(operation, say("succeeded", "reply"), token=0)).outcome == "advance"


async def test_refunds_and_disputes_move_their_totals(till: Any, say: Any) -> None:
    payment = await till.payment()
    await till.apply(await till.begin(payment), say("succeeded", captured=1000))
    attempt = (await till.books(payment)).operations[0].attempt_id
    refund = await till.begin(payment, "refund", 300, attempt=attempt)
    assert (await till.books(payment)).payment.refund_pending == 300
    await till.apply(refund, say("failed", error_class="other"))
    again = await till.begin(payment, "refund", 1000, attempt=attempt)
    await till.apply(again, say("succeeded"))
    dispute = await till.begin(payment, "dispute", 1000, attempt=attempt, state="pending")
    await till.apply(dispute, say("pending", "event", stage="under_review"))
    assert (await till.books(payment)).payment.dispute_status == "under_review"
    await till.apply(dispute, say("canceled", "event"))
    row = (await till.books(payment)).payment
    assert (row.status, row.refund_status, row.refunded, row.dispute_status) == ("succeeded", "full", 1000, "won")
    assert await till.events() == ["dispute_closed", "payment_captured", "refund_failed", "refund_succeeded"]
    assert await till.audited() == ["dispute.closed", "payment.captured", "refund.failed", "refund.succeeded"]


async def test_who_writes_says_why_and_for_which_tenant(till: Any, say: Any) -> None:
    tenant = UUID(int=9)
    operation = await till.begin(await till.payment(tenant=tenant), tenant=tenant)
    for caller in (till.kit.caller(), till.kit.caller().system("corekit.audit")):
        async with caller.begin() as ctx:
            with pytest.raises(PluginError, match="payments"):
                await apply(ctx, operation, say("succeeded"), via="sweeper")
    for where in (None, UUID(int=8)):
        with pytest.raises(NotFound):
            await till.apply(operation, say("succeeded"), where)
    assert (await till.apply(operation, say("succeeded"), tenant)).outcome == "advance"


def _wire(operation: UUID) -> str:
    return typeid("pop", operation)
