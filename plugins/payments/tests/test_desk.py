"""What people at a desk do over HTTP: look-ups, disputes of the sandbox, and the accounts of the ledger."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from corekit.context import Actor
from corekit.contracts.payments import (
    Evidence,
    NewPayment,
    NotAttempted,
    OutcomeUnknown,
    Payments,
    Provider,
    ProviderSettings,
    TokenMethod,
    payment_providers,
)
from corekit.guard.audit_rows import AuditRow
from corekit.hooks import implements
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit.testing import FakeClock
from corekit.values import Money, typeid, uuid7
from corekit_payments.sandbox import Journal, Sandbox, journal_of

BASE = "/payments/v1"
NEW = NewPayment(amount=Money(1000, "INR"), method=TokenMethod(token="tok_ok"), confirm=True)


async def ask(counter: Any, method: str, path: str, who: str = "olga", **params: Any) -> httpx.Response:
    sent = {"Authorization": f"Bearer {who}"}
    answer: httpx.Response = await counter.http.request(method, f"{BASE}{path}", headers=sent, params=params)
    return answer


async def check(counter: Any, operation: str, who: str = "olga") -> httpx.Response:
    return await ask(counter, "POST", f"/operations/{operation}/check", who)


async def operations(counter: Any, payment: str) -> list[dict[str, Any]]:
    return list((await counter.get(f"/{payment}/operations")).json())


def sandbox(counter: Any, clock: FakeClock) -> Sandbox:
    """Reach the sandbox as its own people do: by its journal."""
    return Sandbox("sandbox", Journal(journal_of(counter.kit.database.data_dir, "sandbox")), clock)


async def sums(counter: Any) -> dict[str, int]:
    codes = ("clearing:sandbox", "payable:merchant", "disputes")
    found = [(await ask(counter, "GET", f"/ledger/accounts/{code}")).json()["balances"] for code in codes]
    return {one["code"]: one["debit"] - one["credit"] for (one,) in found}


async def test_a_dispute_from_the_payment_to_its_end(counter: Any, clock: FakeClock) -> None:
    paid = (await counter.pay("tok_dispute")).json()
    assert (paid["status"], paid["dispute_status"]) == ("succeeded", "none")
    taken, capture = await operations(counter, paid["id"])
    for operation in (taken, capture, taken):  # by either, and heard twice it is one
        assert (await check(counter, operation["id"])).status_code == 200
    shown = (await counter.get(f"/{paid['id']}")).json()
    assert (shown["status"], shown["dispute_status"], shown["totals"]["disputed"]) == ("succeeded", "opened", 1000)
    (dispute,) = [one for one in await operations(counter, paid["id"]) if one["kind"] == "dispute"]
    assert (dispute["state"], dispute["initiator"]) == ("pending", None)
    assert await sums(counter) == {"clearing:sandbox": 0, "payable:merchant": -1000, "disputes": 1000}
    refused = await counter.post(f"/{paid['id']}/refunds", {"reason": "torn"}, "clara")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:corekit:problem:dispute-open")
    await sandbox(counter, clock).judge(dispute["provider_ref"], "under_review")
    await check(counter, dispute["id"])
    assert (await counter.get(f"/{paid['id']}")).json()["dispute_status"] == "under_review"
    await sandbox(counter, clock).judge(dispute["provider_ref"], "lost")
    assert (await check(counter, dispute["id"])).json()["state"] == "succeeded"
    assert (await counter.get(f"/{paid['id']}")).json()["dispute_status"] == "lost"
    assert await sums(counter) == {"clearing:sandbox": 0, "payable:merchant": 0, "disputes": 0}
    refused = await counter.post(f"/{paid['id']}/refunds", {"reason": "torn"}, "clara")
    assert (refused.status_code, refused.json()["remaining"]) == (409, 0)
    assert counter.effects() == [("authorize", 1000), ("capture", 1000), ("dispute", 1000)]


async def test_a_won_dispute_can_be_followed_by_a_refund(counter: Any, clock: FakeClock) -> None:
    paid = (await counter.pay()).json()
    _, capture = await operations(counter, paid["id"])
    assert (await counter.post(f"/{paid['id']}/refunds", {
        "reason": "torn", "amount": {"amount": 300, "currency": "INR"},
    }, "clara")).status_code == 201  # fmt: skip
    opened = await sandbox(counter, clock).dispute(capture["provider_ref"])
    assert opened.amount is not None
    assert opened.amount.minor == 700  # what is left of it
    await check(counter, capture["id"])
    with pytest.raises(OutcomeUnknown):
        await sandbox(counter, clock).dispute(capture["provider_ref"])
    await sandbox(counter, clock).judge(opened.provider_ref or "", "won")
    (dispute,) = [one for one in await operations(counter, paid["id"]) if one["kind"] == "dispute"]
    assert (await check(counter, dispute["id"])).json()["state"] == "canceled"
    back = await counter.post(f"/{paid['id']}/refunds", {"reason": "torn"}, "clara")
    assert (back.status_code, back.json()["amount"]["amount"], back.json()["state"]) == (201, 700, "succeeded")
    assert counter.effects()[2:] == [("refund", 300), ("dispute", 700), ("dispute_won", 700), ("refund", 700)]


async def test_the_sweeper_hears_how_a_dispute_ends(open_counter: Any, clock: FakeClock) -> None:
    """Red when a dispute is never looked at again, or is taken for something to be sent."""
    counter = await open_counter(sweep=True)
    paid = (await counter.pay("tok_dispute")).json()
    await check(counter, (await operations(counter, paid["id"]))[0]["id"])
    dispute = (await operations(counter, paid["id"]))[-1]
    await sandbox(counter, clock).judge(dispute["provider_ref"], "lost")
    async with asyncio.timeout(60):
        while (await counter.get(f"/{paid['id']}")).json()["dispute_status"] != "lost":
            clock.move(3600)
            await asyncio.sleep(0.1)
    assert counter.effects() == [("authorize", 1000), ("capture", 1000), ("dispute", 1000)]


async def test_a_late_success_is_found_by_asking(counter: Any) -> None:
    refused = (await counter.pay("tok_late")).json()
    (attempt,) = await operations(counter, refused["payment"])
    assert attempt["state"] == "failed"
    answers = [(await check(counter, attempt["id"])).json()["state"] for _ in range(3)]
    assert answers[-1] == "succeeded"
    assert (await counter.get(f"/{refused['payment']}")).json()["status"] == "succeeded"
    async with counter.kit.caller().system("payments").begin(readonly=True) as ctx:
        late = select(AuditRow).where(AuditRow.action == "payments.operation.late")
        (entry,) = await ctx.session.scalars(late)
    assert (entry.details["via"], entry.actor) == ("operator", Actor("alice").id)  # the one who paid


async def test_what_is_on_its_way_is_asked_for_and_what_is_done_is_not(counter: Any) -> None:
    waiting = (await counter.pay("tok_pending")).json()
    (attempt,) = await operations(counter, waiting["id"])
    for _ in range(3):
        await check(counter, attempt["id"])
    assert (await counter.get(f"/{waiting['id']}")).json()["status"] == "succeeded"
    taken, _ = await operations(counter, waiting["id"])
    again = await check(counter, taken["id"])
    assert again.json() == taken
    assert counter.effects() == [("authorize", 1000), ("capture", 1000)]


class Silent(Sandbox):
    """The sandbox whose answers to questions are what the test says."""

    error: BaseException | None = None
    asked = 0

    async def fetch(self, ref: str) -> Evidence:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return await super().fetch(ref)


class SilentPlugin(Plugin[Settings]):
    """Brings it."""

    name = "silent"
    provider: Silent

    @implements(payment_providers)
    async def bring(self, settings: ProviderSettings) -> Sequence[Provider] | None:
        return [self.provider] if settings.kind == "silent" else None


async def test_a_provider_that_does_not_answer(open_counter: Any, clock: FakeClock, tmp_path: Any) -> None:
    plugin = SilentPlugin(Settings())
    plugin.provider = Silent("sandbox", Journal(journal_of(tmp_path, "sandbox")), clock)
    counter = await open_counter(plugin, providers={"sandbox": ProviderSettings(kind="silent")})
    waiting = (await counter.pay("tok_pending")).json()
    (attempt,) = await operations(counter, waiting["id"])
    for error in (
        NotAttempted("no route", retry_after=timedelta(seconds=7)),
        OutcomeUnknown("a fault"),
        TimeoutError(),
    ):
        plugin.provider.error = error
        answer = await check(counter, attempt["id"])
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:corekit:problem:provider-unavailable")
        assert answer.headers["retry-after"] == ("7" if isinstance(error, NotAttempted) else "1")
    assert (await counter.get(f"/{waiting['id']}")).json()["status"] == "processing"


async def test_what_was_never_sent_is_not_asked_for(counter: Any) -> None:
    async with counter.kit.caller(Actor("alice")).system("payments").begin() as ctx:
        made = await ctx.get(Payments).create(ctx, NEW)
    (attempt,) = await operations(counter, made.id)
    assert (await check(counter, attempt["id"])).json() == attempt
    assert counter.effects() == []


async def test_who_may_ask(counter: Any) -> None:
    paid = (await counter.pay("tok_dispute", payee=typeid("usr", Actor("bob").id))).json()
    taken, _ = await operations(counter, paid["id"])
    for who, status in {"alice": 403, "bob": 403, "sue": 403, "clara": 404, "rita": 404}.items():
        assert (await check(counter, taken["id"], who)).status_code == status, who
    for unknown, status in {typeid("pop", uuid7()): 404, "pop_no": 422}.items():
        assert (await check(counter, unknown)).status_code == status
    assert (await counter.http.post(f"{BASE}/operations/{taken['id']}/check")).status_code == 401
    assert (await counter.get(f"/{paid['id']}")).json()["dispute_status"] == "none"


async def test_an_account_shows_what_it_holds_and_what_was_posted(counter: Any) -> None:
    for amount in (100, 200, 300):
        await counter.pay(amount={"amount": amount, "currency": "INR"})
    await counter.pay(amount={"amount": 7, "currency": "USD"})
    whole = (await ask(counter, "GET", "/ledger/accounts/clearing:sandbox")).json()
    assert [(one["currency"], one["kind"], one["debit"], one["credit"]) for one in whole["balances"]] == [
        ("INR", "asset", 600, 0), ("USD", "asset", 7, 0)
    ]  # fmt: skip
    assert [one["amount"]["amount"] for one in whole["postings"]["items"]] == [7, 300, 200, 100]
    first = whole["postings"]["items"][0]
    assert (first["kind"], first["debit"], first["credit"]) == ("capture", "clearing:sandbox", "payable:merchant")
    assert first["operation"].startswith("pop_")
    page = (await ask(counter, "GET", "/ledger/accounts/payable:merchant", currency="INR", limit=2)).json()
    assert [one["debit"] - one["credit"] for one in page["balances"]] == [-600]
    rest = (await ask(
        counter, "GET", "/ledger/accounts/payable:merchant", currency="INR", limit=2, cursor=page["postings"]["next"]
    )).json()  # fmt: skip
    found = [one["amount"]["amount"] for one in (*page["postings"]["items"], *rest["postings"]["items"])]
    assert (found, rest["postings"]["next"]) == ([300, 200, 100], None)


async def test_who_may_read_the_ledger(counter: Any) -> None:
    await counter.pay()
    for who in ("alice", "sue", "clara", "rita"):
        assert (await ask(counter, "GET", "/ledger/accounts/clearing:sandbox", who)).status_code == 403, who
    assert (await ask(counter, "GET", "/ledger/accounts/clearing:elsewhere")).status_code == 404
    for wrong in ({"limit": 0}, {"limit": 201}, {"currency": "inr"}, {"cursor": "no"}):
        assert (await ask(counter, "GET", "/ledger/accounts/clearing:sandbox", **wrong)).status_code == 422, wrong
