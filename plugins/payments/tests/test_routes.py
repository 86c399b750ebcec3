"""Payments over HTTP with the sandbox: the whole way of one, what is refused, and who sees what."""

from typing import Any

import pytest

from corekit.context import Actor
from corekit.values import typeid, uuid7

VERBS: list[tuple[str, Any]] = [
    ("confirm", {"method": {"type": "token", "token": "tok_ok"}}),
    ("cancel", {}),
    ("capture", {}),
    ("refunds", {"reason": "torn"}),
]


async def test_a_payment_is_created_then_confirmed(counter: Any) -> None:
    made = await counter.post("", {"amount": {"amount": 49900, "currency": "INR"}, "merchant_reference": "order-7"})
    assert (made.status_code, made.json()["status"]) == (201, "requires_payment_method")
    id_ = made.json()["id"]
    paid = await counter.post(f"/{id_}/confirm", {"method": {"type": "token", "token": "tok_ok"}})
    assert (paid.status_code, paid.json()["status"], paid.json()["totals"]["captured"]) == (200, "succeeded", 49900)
    assert (await counter.get(f"/{id_}")).json() == paid.json()
    assert counter.effects() == [("authorize", 49900), ("capture", 49900)]


async def test_what_is_held_is_captured_and_partly_given_back(counter: Any) -> None:
    held = (await counter.pay(capture_method="manual")).json()
    assert held["status"] == "requires_capture"
    path = f"/{held['id']}"
    taken = await counter.post(f"{path}/capture", {"amount": {"amount": 800, "currency": "INR"}}, "clara")
    assert (taken.status_code, taken.json()["status"]) == (200, "succeeded")
    back = await counter.post(
        f"{path}/refunds", {"amount": {"amount": 300, "currency": "INR"}, "reason": "torn"}, "clara"
    )
    assert (back.status_code, back.json()["state"], back.json()["reason"]) == (201, "succeeded", "torn")
    assert back.json()["id"].startswith("pop_")
    shown = (await counter.get(path)).json()
    assert (shown["totals"]["captured"], shown["totals"]["refunded"], shown["refund_status"]) == (800, 300, "partial")
    listed = (await counter.get(f"{path}/operations")).json()
    assert [(one["kind"], one["state"], one["amount"]["amount"]) for one in listed] == [
        ("authorize", "succeeded", 1000),
        ("capture", "succeeded", 800),
        ("refund", "succeeded", 300),
    ]
    assert counter.effects() == [("authorize", 1000), ("capture", 800), ("refund", 300)]
    assert "raw" not in listed[0]


async def test_what_is_held_is_released(counter: Any) -> None:
    held = (await counter.pay(capture_method="manual")).json()
    refused = await counter.post(f"/{held['id']}/cancel", {})
    assert (refused.status_code, refused.json()["code"]) == (403, 103)
    gone = await counter.post(f"/{held['id']}/cancel", {"reason": "sold out"}, "clara")
    assert (gone.status_code, gone.json()["status"]) == (200, "canceled")
    assert counter.effects() == [("authorize", 1000), ("void", 1000)]


@pytest.mark.parametrize(("token", "reason"), [("tok_declined", "declined"), ("tok_funds", "funds")])
async def test_a_decline_is_a_stored_answer(counter: Any, token: str, reason: str) -> None:
    refused = await counter.pay(token, key="once")
    problem = refused.json()
    assert (refused.status_code, problem["type"], problem["code"]) == (
        402,
        "urn:corekit:problem:payment-declined",
        1212,
    )
    assert (problem["reason"], problem["payment_status"]) == (reason, "requires_payment_method")
    again = await counter.pay(token, key="once")
    assert (again.status_code, again.content, again.headers["idempotent-replayed"]) == (402, refused.content, "true")
    shown = (await counter.get(f"/{problem['payment']}")).json()
    assert shown["decline"] == {"reason": reason}
    paid = await counter.post(f"/{problem['payment']}/confirm", {"method": {"type": "token", "token": "tok_ok"}})
    assert (paid.status_code, paid.json()["status"]) == (200, "succeeded")
    assert counter.effects() == [("authorize", 1000), ("capture", 1000)]


async def test_a_refund_that_fails_is_a_result(counter: Any) -> None:
    paid = (await counter.pay("tok_refund_fails")).json()
    back = await counter.post(f"/{paid['id']}/refunds", {"reason": "torn"}, "clara")
    assert (back.status_code, back.json()["state"], back.json()["error"]) == (201, "failed", "declined")
    assert (await counter.get(f"/{paid['id']}")).json()["totals"]["refund_pending"] == 0


async def test_strangers_learn_nothing(counter: Any) -> None:
    paid = (await counter.pay(capture_method="manual")).json()["id"]
    answers = []
    for id_ in (paid, typeid("pay", uuid7())):
        answers += [await counter.get(f"/{id_}", "bob"), await counter.get(f"/{id_}/operations", "bob")]
        answers += [await counter.post(f"/{id_}/{verb}", body, "bob") for verb, body in VERBS]
    assert {(answer.status_code, answer.content) for answer in answers} == {(404, answers[0].content)}
    assert (await counter.get("", "bob")).json() == {"items": [], "next": None}
    assert counter.effects() == [("authorize", 1000)]


async def test_payee_and_support_read_and_do_not_act(counter: Any) -> None:
    paid = (await counter.pay(capture_method="manual", payee=typeid("usr", Actor("bob").id))).json()["id"]
    for who in ("bob", "sue"):
        assert (await counter.get(f"/{paid}", who)).json()["id"] == paid
        assert [one["kind"] for one in (await counter.get(f"/{paid}/operations", who)).json()] == ["authorize"]
        assert [one["id"] for one in (await counter.get("", who)).json()["items"]] == [paid]
        for verb, body in VERBS:
            assert (await counter.post(f"/{paid}/{verb}", body, who)).status_code == 403, verb
    assert counter.effects() == [("authorize", 1000)]
