"""The inbox: what the sandbox tells goes through the route, is kept once, and ends in the books."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from webhook_office import WEBHOOKS, PostOffice

from corekit.guard.audit_rows import AuditRow
from corekit.settings import Secret
from corekit.testing import FakeClock, settle
from corekit_payments.sandbox.notices import HEADER
from corekit_payments.signing import sign


@pytest.fixture
def office(counter: Any) -> PostOffice:
    return PostOffice(counter)


async def test_a_notice_brings_what_the_payer_did(counter: Any, office: PostOffice) -> None:
    id_ = await office.approved(counter)
    assert (await counter.get(f"/{id_}")).json()["status"] == "requires_action"
    assert await office.deliver() == 2
    assert await office.work() == ["applied", "applied"]
    shown = (await counter.get(f"/{id_}")).json()
    assert (shown["status"], shown["totals"]["captured"]) == ("succeeded", 1000)
    assert counter.effects() == [("authorize", 1000), ("capture", 1000)]
    audited = [row for row in await office.table(AuditRow, AuditRow.id) if row.action == "payments.payment.captured"]
    assert [row.details["via"] for row in audited] == ["webhook"]


async def test_the_worker_does_it(open_counter: Any) -> None:
    """Red when the job is not asked for in the transaction that keeps the notice."""
    counter = await open_counter(worker=True)
    office = PostOffice(counter)
    id_ = await office.approved(counter)
    await office.deliver()
    await settle(counter.kit, seconds=30)
    assert (await counter.get(f"/{id_}")).json()["status"] == "succeeded"


async def test_what_comes_twice_is_kept_once(counter: Any, office: PostOffice) -> None:
    await office.approved(counter)
    assert await office.deliver() == 2
    assert await office.deliver() == 0
    assert await office.deliver(*office.sandbox.notices(copies=3, seed=7)) == 0
    assert [row.tries for row in await office.rows()] == [0, 0]
    await office.work()
    assert await office.deliver() == 0
    assert [row.tries for row in await office.rows()] == [1, 1]


async def test_a_notice_comes_before_the_reply(counter: Any, office: PostOffice) -> None:
    """The reply is lost, the notice is not: it names our reference, and the operation has no other name yet."""
    lost = await counter.pay("tok_lost_after")
    assert (lost.status_code, lost.json()["status"]) == (202, "processing")
    await office.deliver()
    assert await office.work() == ["applied"]
    assert (await counter.get(f"/{lost.json()['id']}")).json()["status"] == "succeeded"
    assert counter.effects() == [("authorize", 1000), ("capture", 1000)]


async def test_the_body_is_kept_encrypted_and_dropped_after_a_month(
    counter: Any, office: PostOffice, clock: FakeClock
) -> None:
    await counter.pay()
    ((headers, raw),) = office.sandbox.notices()
    await office.deliver((headers | {"cookie": "private", "x-forwarded-for": "203.0.113.7"}, raw))
    (row,) = await office.rows()
    assert row.raw == raw
    assert row.headers.keys() <= {HEADER, "content-type", "user-agent"}
    async with counter.kit.caller().system("payments").begin(readonly=True) as ctx:
        connection = await ctx.session.connection()
        stored = (await connection.exec_driver_sql("SELECT raw FROM payments_webhook_inbox")).scalar_one()
    assert raw.decode() not in stored
    (plugin,) = (one for one in counter.kit.plugins if one.name == "payments")
    for days, kept in ((29, True), (2, False)):
        clock.move(days * 86_400)
        async with counter.kit.caller().system("payments").begin() as ctx:
            await plugin.drop_webhook_bodies(ctx)
        (row,) = await office.rows()
        assert (row.raw is not None) is kept


@pytest.mark.parametrize("how", ["changed", "unsigned", "foreign", "old", "empty", "no notice"])
async def test_what_is_not_theirs_is_refused_and_not_kept(
    counter: Any, office: PostOffice, clock: FakeClock, how: str
) -> None:
    await counter.pay()
    ((headers, raw),) = office.sandbox.notices()
    key = office.sandbox._keys()[0]  # what only the provider knows
    given = {
        "changed": (headers, raw + b" "),
        "unsigned": ({}, raw),
        "foreign": ({HEADER: sign(raw, Secret("another"), clock.now())}, raw),
        "old": ({HEADER: sign(raw, key, clock.now() - timedelta(seconds=301))}, raw),
        "empty": ({HEADER: headers[HEADER]}, b""),
        "no notice": ({HEADER: sign(b"[]", key, clock.now())}, b"[]"),
    }[how]
    refused = await office.post(given)
    assert (refused.status_code, refused.json()["code"]) == (400, 1214)
    assert "detail" not in refused.json()
    assert await office.rows() == []
    assert await office.deliver() == 1


async def test_refusals_are_counted_and_audited_once_a_minute(
    counter: Any, office: PostOffice, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        await office.post(({}, b"{}"))
    clock.move(60)
    await office.post(({}, b"{}"))
    rows = [row for row in await office.table(AuditRow, AuditRow.id) if row.action == "payments.webhook.rejected"]
    assert [row.details for row in rows] == [{"provider": "sandbox", "count": 1}, {"provider": "sandbox", "count": 3}]
    told = [record for record in caplog.messages if "payments_webhook_rejected" in record]
    assert len(told) == 4


async def test_whatever_has_no_instance_is_not_found(counter: Any, office: PostOffice) -> None:
    await counter.pay()
    (notice,) = office.sandbox.notices()
    for instance in ("stripe", "Sandbox", "..", "x" * 500):
        assert (await office.post(notice, instance)).status_code == 404, instance
    assert (await counter.http.get(f"{WEBHOOKS}/sandbox")).status_code == 405


async def test_a_body_that_is_too_long_is_not_read(open_counter: Any) -> None:
    counter = await open_counter()
    office = PostOffice(counter)

    async def endless() -> Any:
        for _ in range(5):
            yield b"x" * (64 << 10)

    for content in (b"x" * ((256 << 10) + 1), endless()):
        refused = await counter.http.post(f"{WEBHOOKS}/sandbox", content=content)
        assert refused.status_code == 413
    assert (await counter.http.post(f"{WEBHOOKS}/sandbox", content=b"x" * (256 << 10))).status_code == 400
    assert await office.rows() == []


async def test_a_bearer_says_nothing_here(counter: Any, office: PostOffice) -> None:
    await counter.pay()
    ((headers, raw),) = office.sandbox.notices()
    assert await office.deliver((headers | {"authorization": "Bearer nobody-knows"}, raw)) == 1


async def test_another_mode_is_kept_and_ignored(
    counter: Any, office: PostOffice, caplog: pytest.LogCaptureFixture
) -> None:
    id_ = await office.approved(counter)
    key = office.sandbox._keys()[0]
    for headers, raw in office.sandbox.notices():
        live = msgspec.json.encode(msgspec.json.decode(raw) | {"livemode": True})
        signed = {**headers, HEADER: sign(live, key, counter.kit.clock.now())}
        assert (await office.post((signed, live))).json() == {"received": 1}
    assert [(row.state, row.error) for row in await office.rows()] == [("ignored", "livemode")] * 2
    assert await office.work() == ["ignored"] * 2
    assert (await counter.get(f"/{id_}")).json()["status"] == "requires_action"
    assert any("payments_webhook_livemode" in one for one in caplog.messages)
