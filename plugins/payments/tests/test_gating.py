"""The flag of a kind of provider: what it takes away, and that without `Flags` the settings decide alone."""

import logging
from typing import Any

import pytest
from counters import BASE, Counter
from switches import SwitchesPlugin  # beside this file

from corekit.context import Actor
from corekit_payments.gating import flag_of

ABSENT = "payments_flags_absent"


async def offered(counter: Counter, currency: str = "INR") -> set[str]:
    """Name the instances by which somebody can pay."""
    url = BASE.replace("/payments/v1/payments", "/payments/v1/methods")
    answer = await counter.http.get(url, params={"currency": currency}, headers={"Authorization": "Bearer alice"})
    return {one["provider"] for one in answer.json()}


def test_a_flag_is_named_after_its_kind() -> None:
    for kind, default in (("sandbox", True), ("razorpay", True), ("another", True), ("stripe", False)):
        key = flag_of(kind)
        assert (key.key, key.default, key.kind, key.owner) == (f"payments.{kind}", default, "ops", "payments")


async def test_without_flags_the_settings_decide(open_counter: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "corekit.payments"):
        counter = await open_counter()
    assert len([one for one in caplog.messages if ABSENT in one]) == 1
    assert await offered(counter) == {"sandbox"}
    assert (await counter.pay()).status_code == 201


async def test_a_flag_ends_new_attempts_alone(open_counter: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Red when the flag is not asked, when it is asked of a replay, and when what was tried before is stopped too."""
    switches = SwitchesPlugin()
    with caplog.at_level(logging.INFO, "corekit.payments"):
        counter = await open_counter(switches)
    assert ABSENT not in caplog.text
    assert await offered(counter) == {"sandbox"}
    paid = await counter.pay(key="once")
    refused = await counter.pay("tok_declined")
    switches.flags.decided["payments.sandbox"] = False
    assert await offered(counter) == set()
    for answer in (
        await counter.pay(),
        await counter.post(f"/{refused.json()['payment']}/confirm", {"method": {"type": "token", "token": "tok_ok"}}),
    ):
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:corekit:problem:method-not-available")
        assert answer.json()["pointer"] == "/method"
    again = await counter.pay(key="once")
    assert (again.content, again.headers["idempotent-replayed"]) == (paid.content, "true")
    assert (await counter.post("", {"amount": {"amount": 1000, "currency": "INR"}})).status_code == 201, "no attempt"
    back = await counter.post(f"/{paid.json()['id']}/refunds", {"reason": "torn"}, "clara")
    assert (back.status_code, back.json()["state"]) == (201, "succeeded")
    assert [kind for kind, _ in counter.effects()] == ["authorize", "capture", "refund"]
    switches.flags.decided["payments.sandbox"] = True
    assert (await counter.pay()).status_code == 201
    assert set(switches.flags.asked) == {"payments.sandbox"}
    assert switches.flags.people == {Actor("alice").id}, "the payer, also where the plugin works for them"


async def test_the_checkout_page_offers_nothing_that_is_off(open_counter: Any) -> None:
    switches = SwitchesPlugin()
    counter = await open_counter(switches)
    made = await counter.post("", {"amount": {"amount": 1000, "currency": "INR"}})
    link = (await counter.post(f"/{made.json()['id']}/checkout-link", None)).json()["url"]
    path = link.removeprefix("http://localhost:8000")
    assert "tok_ok@sandbox" in (await counter.http.get(path)).text
    switches.flags.decided["payments.sandbox"] = False
    assert "tok_ok@sandbox" not in (await counter.http.get(path)).text
    assert switches.flags.people == {Actor("alice").id}, "the payer, whoever holds the link"
