"""What its payer changes of a payment: its description and metadata, of the version that they have read."""

import asyncio
from typing import Any

import httpx
import pytest
from counters import BASE

from corekit.context import Actor
from corekit.values import typeid, uuid7


async def edit(counter: Any, payment: str, body: Any, version: Any = 1, who: str = "alice") -> httpx.Response:
    sent = {"Authorization": f"Bearer {who}"} | ({} if version is None else {"If-Match": f'"{version}"'})
    answer: httpx.Response = await counter.http.patch(f"{BASE}/{payment}", json=body, headers=sent)
    return answer


async def made(counter: Any, **more: Any) -> Any:
    body = {"amount": {"amount": 1000, "currency": "INR"}, "description": "tea", "metadata": {"shelf": "a"}, **more}
    return (await counter.post("", body)).json()


async def test_the_payer_describes_their_payment_otherwise(counter: Any) -> None:
    payment = await made(counter)
    read = await counter.get(f"/{payment['id']}")
    assert read.headers["etag"] == '"1"'
    changed = await edit(counter, payment["id"], {"description": "green tea"})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert (changed.json()["description"], changed.json()["metadata"]) == ("green tea", {"shelf": "a"})
    assert changed.json()["updated_at"] >= payment["updated_at"]
    again = await edit(counter, payment["id"], {"description": None, "metadata": {"box": "7"}}, 2)
    assert (again.json()["description"], again.json()["metadata"], again.json()["version"]) == (None, {"box": "7"}, 3)
    assert (await counter.get(f"/{payment['id']}")).json() == again.json()


async def test_another_version_is_not_changed(counter: Any) -> None:
    """Red when the version is not compared, or is read before the lock and not under it."""
    payment = await made(counter)
    assert (await edit(counter, payment["id"], {"description": "one"})).status_code == 200
    late = await edit(counter, payment["id"], {"description": "two"})
    assert (late.status_code, late.json()["type"], late.json()["version"], late.headers["etag"]) == (
        412, "urn:corekit:problem:precondition-failed", 2, '"2"',
    )  # fmt: skip
    blind = await edit(counter, payment["id"], {"description": "three"}, None)
    assert (blind.status_code, blind.json()["type"]) == (428, "urn:corekit:problem:precondition-required")
    assert (await counter.get(f"/{payment['id']}")).json()["description"] == "one"


async def test_of_two_who_have_read_the_same_one_changes_it(counter: Any) -> None:
    payment = await made(counter)
    texts = ("one", "two", "three")
    answers = await asyncio.gather(*(edit(counter, payment["id"], {"description": text}) for text in texts))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412]
    shown = (await counter.get(f"/{payment['id']}")).json()
    assert shown in [answer.json() for answer in answers]
    assert shown["version"] == 2


async def test_what_changes_nothing_makes_no_version(counter: Any) -> None:
    payment = await made(counter)
    for body in ({}, {"description": "tea"}, {"metadata": {"shelf": "a"}}):
        assert (await edit(counter, payment["id"], body)).json() == payment


@pytest.mark.parametrize("token", ["tok_ok", "tok_declined", "tok_pending"])
async def test_it_is_described_in_every_status_and_nothing_moves(counter: Any, token: str) -> None:
    paid = (await counter.pay(token)).json()
    payment = (await counter.get(f"/{paid.get('payment') or paid['id']}")).json()
    changed = await edit(counter, payment["id"], {"description": "late"}, payment["version"])
    kept = {"status", "totals", "amount", "payee", "next_action", "decline"}
    assert {name: changed.json()[name] for name in kept} == {name: payment[name] for name in kept}
    assert len(counter.effects()) == (2 if token == "tok_ok" else 0)


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        ({"amount": {"amount": 1, "currency": "INR"}}, "invalid"),
        ({"payee": "merchant"}, "invalid"),
        ({"status": "succeeded"}, "invalid"),
        ({"capture_method": "manual"}, "invalid"),
        ({"merchant_reference": "order-8"}, "invalid"),
        ({"description": "x" * 501}, "invalid"),
        ({"description": "a\x00b"}, "invalid"),
        ({"metadata": None}, "invalid"),
        ({"metadata": {str(number): "x" for number in range(21)}}, "invalid"),
        ({"description": "4111 1111 1111 1111"}, "card-number-refused"),
        ({"metadata": {"4111111111111111": "shelf"}}, "card-number-refused"),
    ],
)
async def test_nothing_else_is_changed(counter: Any, body: Any, slug: str) -> None:
    payment = await made(counter)
    answer = await edit(counter, payment["id"], body)
    assert (answer.status_code, answer.json()["type"]) == (422, f"urn:corekit:problem:{slug}")
    assert "4111" not in answer.text
    assert (await counter.get(f"/{payment['id']}")).json() == payment


async def test_only_the_payer_changes_it(counter: Any) -> None:
    payment = await made(counter, payee=typeid("usr", Actor("bob").id))
    for who, status in {"bob": 403, "sue": 403, "clara": 404}.items():  # payee, support, cashier
        assert (await edit(counter, payment["id"], {"description": "mine"}, 1, who)).status_code == status, who
    assert (await edit(counter, typeid("pay", uuid7()), {"description": "mine"})).status_code == 404
    assert (await counter.get(f"/{payment['id']}")).json() == payment
