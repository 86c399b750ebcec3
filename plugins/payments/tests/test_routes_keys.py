"""A request that moves money is repeated under its key: one effect and one answer, whatever was lost in between."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from counters import BASE, payment
from sqlalchemy import func, select

from corekit.context import Actor
from corekit.contracts.payments import (
    Evidence,
    NewPayment,
    NotAttempted,
    Payments,
    Provider,
    ProviderCall,
    ProviderSettings,
    payment_providers,
)
from corekit.guard.idempotency import Idempotency, IdempotencyKey, fingerprint
from corekit.hooks import implements
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit.testing import FakeClock
from corekit.values import typeid, uuid7
from corekit_payments.errors import PaymentDeclined
from corekit_payments.models import PaymentRow
from corekit_payments.requesting import Requests
from corekit_payments.sandbox import Journal, Sandbox, journal_of

ONE = {"amount": {"amount": 100, "currency": "INR"}, "reason": "torn"}
CHARGED = [("authorize", 1000), ("capture", 1000)]


async def stored(counter: Any) -> int:
    async with counter.kit.caller().system("payments").begin(readonly=True) as ctx:
        return int(await ctx.session.scalar(select(func.count()).select_from(PaymentRow)) or 0)


async def test_a_repetition_is_answered_to_the_byte(counter: Any) -> None:
    held = await counter.pay(capture_method="manual", key="hold")
    path = f"/{held.json()['id']}"
    asked: list[tuple[str, Any, str]] = [
        ("", payment(capture_method="manual"), "hold"),
        (f"{path}/capture", {"final": True}, "take"),
        (f"{path}/refunds", ONE, "give"),
    ]
    for where, body, key in asked:
        who = "alice" if key == "hold" else "clara"
        first, again = [await counter.post(where, body, who, key) for _ in range(2)]
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert first.status_code in {200, 201}
        assert again.headers["content-type"] == first.headers["content-type"]
        assert again.headers["idempotent-replayed"] == "true"
    assert counter.effects() == [("authorize", 1000), ("capture", 1000), ("refund", 100)]
    assert await stored(counter) == 1


async def test_a_cancellation_and_a_confirmation_repeat(counter: Any) -> None:
    made = (await counter.post("", {"amount": {"amount": 1000, "currency": "INR"}})).json()
    method = {"method": {"type": "token", "token": "tok_ok"}}
    paid = [await counter.post(f"/{made['id']}/confirm", method, key="pay") for _ in range(2)]
    assert paid[0].content == paid[1].content
    held = (await counter.pay(capture_method="manual")).json()
    gone = [await counter.post(f"/{held['id']}/cancel", {"reason": "sold out"}, "clara", "off") for _ in range(2)]
    assert (gone[0].json()["status"], gone[0].content) == ("canceled", gone[1].content)
    assert counter.effects() == [*CHARGED, ("authorize", 1000), ("void", 1000)]


async def test_a_key_is_for_one_request(counter: Any) -> None:
    paid = [(await counter.pay(key=f"pay-{number}")).json()["id"] for number in range(2)]
    other = await counter.pay(key="pay-0", description="another")
    assert (other.status_code, other.json()["type"]) == (422, "urn:corekit:problem:idempotency-key-reused")
    given = await counter.post(f"/{paid[0]}/refunds", ONE, "clara", "give")
    assert given.status_code == 201
    assert (await counter.post(f"/{paid[1]}/refunds", ONE, "clara", "give")).status_code == 422
    assert counter.effects() == [*CHARGED, *CHARGED, ("refund", 100)]


@pytest.mark.parametrize("verb", ["", "/confirm", "/cancel", "/capture", "/refunds"])
async def test_no_money_moves_without_a_key(counter: Any, verb: str) -> None:
    path = f"{BASE}/{typeid('pay', uuid7())}{verb}" if verb else BASE
    body = {"/confirm": {"method": {"type": "token", "token": "tok_ok"}}, "/refunds": ONE, "": payment()}.get(verb, {})
    answer = await counter.http.post(path, json=body, headers={"Authorization": "Bearer clara"})
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:corekit:problem:idempotency-key-missing")
    assert await stored(counter) == 0


async def test_somebody_elses_same_key_is_another(counter: Any) -> None:
    mine, theirs = await counter.pay(key="same"), await counter.pay(who="bob", key="same")
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["id"] != theirs.json()["id"]
    assert "idempotent-replayed" not in theirs.headers
    assert counter.effects() == [*CHARGED, *CHARGED]


async def test_the_same_key_at_the_same_time_pays_once(counter: Any) -> None:
    answers = await asyncio.gather(*(counter.pay(key="once") for _ in range(8)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    paid = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.content for answer in paid}) == 1
    assert await stored(counter) == 1
    assert counter.effects() == CHARGED
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["type"] == "urn:corekit:problem:idempotency-in-progress"
            assert answer.headers["retry-after"] == "1"


async def test_a_lost_answer_is_taken_and_settled_by_a_repetition(counter: Any, clock: FakeClock) -> None:
    first = await counter.pay("tok_lost_after", key="lost")
    assert (first.status_code, first.json()["status"]) == (202, "processing")
    clock.move(600)
    again = await counter.pay("tok_lost_after", key="lost")
    assert (again.status_code, again.json()["status"], again.json()["id"]) == (201, "succeeded", first.json()["id"])
    assert "idempotent-replayed" not in again.headers
    assert (await counter.pay("tok_lost_after", key="lost")).content == again.content
    assert counter.effects() == CHARGED


@pytest.mark.parametrize("token", ["tok_ok", "tok_declined"])
async def test_a_reply_that_was_never_stored_is_given_by_the_next(counter: Any, clock: FakeClock, token: str) -> None:
    """What the first process did before it was killed: all but storing and sending its reply."""
    new = msgspec.convert(payment(token), NewPayment)
    key = IdempotencyKey("killed", fingerprint("POST", BASE, new))
    requests, caller = counter.kit.get(Requests), counter.kit.caller(Actor("alice"))
    if token == "tok_ok":
        made = (await requests.create(caller, key, new)).shown.id
    else:
        with pytest.raises(PaymentDeclined) as declined:
            await requests.create(caller, key, new)
        made = declined.value.extensions["payment"]
    assert (await counter.pay(token, key="killed")).status_code == 409  # its lease lives
    clock.move(61)
    answer = await counter.pay(token, key="killed")
    assert (answer.status_code, answer.json().get("payment", answer.json().get("id"))) == (
        (201, made) if token == "tok_ok" else (402, made)
    )
    again = await counter.pay(token, key="killed")
    assert (again.content, again.headers["idempotent-replayed"]) == (answer.content, "true")
    assert await stored(counter) == 1
    assert counter.effects() == (CHARGED if token == "tok_ok" else [])


async def test_a_request_that_ended_before_it_was_sent_is_sent_by_the_next(counter: Any, clock: FakeClock) -> None:
    """What the first process did before it was killed: the payment and its key are stored, and no more."""
    new = msgspec.convert(payment(), NewPayment)
    key = IdempotencyKey("killed", fingerprint("POST", BASE, new))
    payments = counter.kit.get(Payments)
    async with counter.kit.caller(Actor("alice")).system("payments").begin() as ctx:
        claim = await ctx.get(Idempotency).claim(ctx, key)
        made = await payments.create(ctx, new)
        (operation,) = await payments.operations(ctx, made.id)
        await ctx.get(Idempotency).attach(ctx, claim, operation.id)
    assert counter.effects() == []
    clock.move(61)
    answer = await counter.pay(key="killed")
    assert (answer.status_code, answer.json()["id"], answer.json()["status"]) == (201, made.id, "succeeded")
    assert counter.effects() == CHARGED


class Shut(Sandbox):
    """The sandbox behind a door."""

    shut = True

    async def _take(self, call: ProviderCall) -> Evidence:
        if self.shut:
            raise NotAttempted("no route to it")
        return await super()._take(call)


class ShutPlugin(Plugin[Settings]):
    """Brings it in the sandbox's place."""

    name = "shut"
    provider: Shut

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    @implements(payment_providers)
    async def bring(self, settings: ProviderSettings) -> Sequence[Provider] | None:
        return [self.provider] if settings.kind == "shut" else None


async def test_a_provider_that_is_not_reached(open_counter: Any, clock: FakeClock, tmp_path: Any) -> None:
    shut = ShutPlugin(clock)
    shut.provider = Shut("sandbox", Journal(journal_of(tmp_path, "sandbox")), clock)
    counter = await open_counter(shut, providers={"sandbox": ProviderSettings(kind="shut")})
    for _ in range(2):
        with counter.impatient():
            answer = await counter.pay(key="wait")
        assert (answer.status_code, answer.json()["code"]) == (503, 1213)
        assert int(answer.headers["retry-after"]) >= 1
    shut.provider.shut = False
    paid = await counter.pay(key="wait")
    assert (paid.status_code, paid.json()["status"]) == (201, "succeeded")
    assert await stored(counter) == 1
    assert counter.effects() == CHARGED


async def test_what_was_never_sent_can_be_taken_back(open_counter: Any, clock: FakeClock, tmp_path: Any) -> None:
    shut = ShutPlugin(clock)
    shut.provider = Shut("sandbox", Journal(journal_of(tmp_path, "sandbox")), clock)
    counter = await open_counter(shut, providers={"sandbox": ProviderSettings(kind="shut")})
    with counter.impatient():
        assert (await counter.pay(key="wait")).status_code == 503
    id_ = (await counter.get("")).json()["items"][0]["id"]
    gone = await counter.post(f"/{id_}/cancel", {})
    assert (gone.status_code, gone.json()["status"]) == (200, "canceled")
    shut.provider.shut = False
    late = await counter.pay(key="wait")
    assert (late.status_code, late.json()["status"], late.json()["id"]) == (201, "canceled", id_)
    assert counter.effects() == []
