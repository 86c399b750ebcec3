"""Stripe's notices through the route: signed by its SDK, and worked on against the stand-in, whatever they say."""

import json
from typing import Any

import pytest
import stripe
from stripe_stand_in import KEY, StandIn
from webhook_office import PostOffice

from corekit.contracts.payments import ProviderSettings
from corekit.settings import Secret
from corekit_payments.inbox.rows import WebhookInboxRow
from corekit_payments.models import OperationRow, ReconciliationItemRow

SECRET, OTHER = "whsec_one", "whsec_two"


def shop(stand_in: StandIn, **more: Any) -> dict[str, ProviderSettings]:
    """Have two accounts of Stripe's, each with its own secret."""
    fields: dict[str, Any] = {"kind": "stripe", "key_secret": Secret(KEY), "base_address": stand_in.address, **more}
    return {
        "cards": ProviderSettings(webhook_secrets=(Secret("whsec_old"), Secret(SECRET)), **fields),
        "others": ProviderSettings(webhook_secrets=(Secret(OTHER),), **fields),
    }


class Account:
    """A counter with the two accounts, and what Stripe sends to it."""

    def __init__(self, counter: Any, stand_in: StandIn) -> None:
        self.counter, self.stand_in, self.office = counter, stand_in, PostOffice(counter)
        self._sent = 0

    def notice(self, type_: str, of: dict[str, Any], secret: str = SECRET, **more: Any) -> Any:
        """Write a notice and have the SDK sign it."""
        self._sent += 1
        event = {"id": f"evt_{self._sent}", "object": "event", "type": type_, "livemode": False, "created": 1893456000,
                 "data": {"object": of}, **more}  # fmt: skip
        body = json.dumps(event)
        at = int(self.counter.kit.clock.now().timestamp())
        return {"stripe-signature": stripe.WebhookSignature.generate_signature_header(body, secret, at)}, body.encode()

    async def hear(self, type_: str, of: dict[str, Any], **more: Any) -> list[str]:
        """Deliver one, and work; return what became of every notice."""
        await self.office.deliver(self.notice(type_, of, **more), instance="cards")
        return await self.office.work()

    async def pay(self, card: str = "pm_card_visa", **more: Any) -> dict[str, Any]:
        method = {"type": "card", "token": card, "provider": "cards"}
        amount = {"amount": 1000, "currency": "EUR"}
        made = await self.counter.post("", {"amount": amount, "method": method, "confirm": True, **more})
        return dict(made.json())

    async def shown(self, id_: str) -> dict[str, Any]:
        return dict((await self.counter.get(f"/{id_}")).json())

    def intent(self) -> dict[str, Any]:
        return self.stand_in.made("payment_intent")[0]


@pytest.fixture
async def account(open_counter: Any, stand_in: StandIn) -> Account:
    return Account(await open_counter(providers=shop(stand_in)), stand_in)


async def test_what_the_payer_did_is_fetched_and_not_believed(account: Account) -> None:
    """Red when the notice's own words are taken for evidence: it says succeeded before anything was paid."""
    made = await account.pay("pm_3ds")
    assert made["status"] == "requires_action"
    lie = account.intent() | {"status": "succeeded", "amount_received": 1000}
    assert await account.hear("payment_intent.succeeded", lie) == ["applied"]
    assert (await account.shown(made["id"]))["status"] == "requires_action"
    account.stand_in._charge(account.intent())  # the payer has confirmed
    await account.hear("payment_intent.succeeded", account.intent())
    assert await account.hear("payment_intent.created", account.intent()) == ["applied"] * 3
    shown = await account.shown(made["id"])
    assert (shown["status"], shown["totals"]["captured"]) == ("succeeded", 1000)


async def test_it_comes_before_the_reply(account: Account) -> None:
    """The reply is lost: the intent has our reference, so that the operation is found before it has its name."""
    account.stand_in.fail("drop_after")
    with account.counter.impatient():
        lost = await account.pay()
    assert lost["status"] == "processing"
    assert await account.hear("payment_intent.succeeded", account.intent()) == ["applied"]
    assert (await account.shown(lost["id"]))["status"] == "succeeded"
    assert len(account.stand_in.made("payment_intent")) == 1


async def test_a_refusal_of_what_has_no_name_yet_is_left_to_the_driver(account: Account) -> None:
    account.stand_in.declines["pm_no"] = {"type": "card_error", "code": "card_declined", "decline_code": "generic"}
    account.stand_in.fail("drop_after")
    with account.counter.impatient():
        lost = await account.pay("pm_no")
    account.counter.kit.clock.move(1)
    assert await account.hear("payment_intent.payment_failed", account.intent()) == ["applied"]
    assert (await account.shown(lost["id"]))["status"] == "processing"
    (operation,) = await account.office.table(OperationRow)
    assert operation.next_check_at == account.counter.kit.clock.now(), "somebody looks now"


async def test_a_refund_ends(account: Account) -> None:
    paid = await account.pay()
    done = account.stand_in._refund

    def pending(form: dict[str, Any]) -> Any:
        status, refund = done(form)
        refund["status"] = "pending"
        return status, refund

    account.stand_in._refund = pending  # type: ignore[method-assign]
    back = await account.counter.post(f"/{paid['id']}/refunds", {"reason": "torn"}, "clara")
    assert back.json()["state"] == "pending"
    refund = account.stand_in.made("refund")[0]
    for status, shown in (("pending", "pending"), ("succeeded", "full")):
        refund["status"] = status
        await account.hear("refund.updated", refund)
        assert (await account.shown(paid["id"]))["refund_status"] == shown


async def test_a_release_is_left_to_the_driver(account: Account) -> None:
    """Red when the canceled intent is taken for a canceled release: the hold would count as still there."""
    held = await account.pay(capture_method="manual")
    account.stand_in.fail("drop_after")
    with account.counter.impatient():
        await account.counter.post(f"/{held['id']}/cancel", {"reason": "sold out"}, "clara")
    assert account.intent()["status"] == "canceled"
    account.counter.kit.clock.move(1)
    assert await account.hear("payment_intent.canceled", account.intent()) == ["applied"]
    (_, release) = await account.office.table(OperationRow, OperationRow.seq)
    assert (release.kind, release.state) == ("void", "unknown")
    assert release.next_check_at == account.counter.kit.clock.now()


async def test_a_hold_that_stripe_ends_is_over(account: Account) -> None:
    """Red when success outranks the end of what was held: nobody could pay again, and nothing could be captured."""
    held = await account.pay(capture_method="manual")
    assert held["status"] == "requires_capture"
    account.counter.kit.clock.move(7 * 86400)
    account.intent()["status"] = "canceled"
    assert await account.hear("payment_intent.canceled", account.intent()) == ["applied"]
    shown = await account.shown(held["id"])
    assert (shown["status"], shown["totals"]["captured"]) == ("canceled", 0)
    late = await account.counter.post(f"/{held['id']}/capture", {}, "clara")
    assert late.status_code == 409


async def test_a_notice_of_one_account_is_none_of_anothers(account: Account) -> None:
    made = await account.pay("pm_3ds")
    account.stand_in._charge(account.intent())
    mine, theirs = (account.notice("payment_intent.succeeded", account.intent(), one) for one in (SECRET, OTHER))
    assert (await account.office.post(mine, "others")).status_code == 400
    assert (await account.office.post(theirs, "cards")).status_code == 400
    assert (await account.office.post(theirs, "others")).status_code == 200
    assert await account.office.work() == ["parked"], "what another account calls so is not this payment"
    assert (await account.shown(made["id"]))["status"] == "requires_action"


async def test_what_is_about_no_payment_is_ignored(account: Account) -> None:
    assert await account.hear("customer.created", {"id": "cus_1", "object": "customer"}) == ["ignored"]
    assert await account.office.table(ReconciliationItemRow) == []


async def test_a_refund_from_the_dashboard_is_told_of(account: Account) -> None:
    await account.pay()
    form = {"payment_intent": account.intent()["id"], "amount": "300", "metadata": {}}
    _, refund = account.stand_in._refund(form)
    assert await account.hear("refund.created", refund) == ["parked"]
    account.counter.kit.clock.move(600)
    assert await account.office.work() == ["unmatched"]
    (item,) = await account.office.table(ReconciliationItemRow)
    assert (item.their_ref, item.theirs["amount"]) == (refund["id"], {"amount": 300, "currency": "EUR"})


async def test_live_is_another_mode(account: Account) -> None:
    made = await account.pay("pm_3ds")
    account.stand_in._charge(account.intent())
    assert await account.hear("payment_intent.succeeded", account.intent(), livemode=True) == ["ignored"]
    assert (await account.shown(made["id"]))["status"] == "requires_action"


async def test_a_dispute_is_its_own_evidence(account: Account) -> None:
    """There is nothing to fetch: the notices say how it stands, in whatever order they come."""
    made = await account.pay()

    def dispute(status: str) -> dict[str, Any]:
        return {"id": "dp_1", "object": "dispute", "status": status, "amount": 1000, "currency": "eur",
                "payment_intent": account.intent()["id"], "evidence_details": {"due_by": 1893542400}}  # fmt: skip

    assert await account.hear("charge.dispute.created", dispute("needs_response")) == ["applied"]
    shown = await account.shown(made["id"])
    assert (shown["dispute_status"], shown["status"], shown["totals"]["disputed"]) == ("opened", "succeeded", 1000)
    assert await account.hear("charge.dispute.closed", dispute("lost")) == ["applied"] * 2
    assert await account.hear("charge.dispute.updated", dispute("under_review")) == ["applied"] * 3
    assert (await account.shown(made["id"]))["dispute_status"] == "lost"


async def test_a_dispute_waits_for_its_payment(account: Account) -> None:
    dispute = {"id": "dp_2", "object": "dispute", "status": "needs_response", "amount": 1000, "currency": "eur",
               "payment_intent": "pi_nobody", "evidence_details": None}  # fmt: skip
    assert await account.hear("charge.dispute.created", dispute) == ["parked"]
    account.counter.kit.clock.move(600)
    assert await account.office.work() == ["unmatched"]


async def test_an_instance_that_is_not_enabled_has_no_webhook(open_counter: Any, stand_in: StandIn) -> None:
    account = Account(await open_counter(providers=shop(stand_in, enabled=False)), stand_in)
    notice = account.notice("payment_intent.succeeded", {"id": "pi_1", "object": "payment_intent"})
    assert (await account.office.post(notice, "cards")).status_code == 404
    assert await account.office.table(WebhookInboxRow) == []
