"""Whole payments through the plugin, its database and its driver, at a double of Stripe that others have written.

It knows no idempotency keys; the stand-in is strict about those.
"""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from stripe_calls import call  # beside this file
from stripe_till import KEY, Till, opened

from corekit.contracts.payments import CardMethod, UseStripeSdk
from corekit.data import DatabaseSettings
from corekit.settings import Secret
from corekit.testing import FakeClock
from corekit_payments.errors import AmountExceedsRemaining, PaymentState
from corekit_payments.stripe.line import Line
from corekit_payments.stripe.provider import StripeProvider


@pytest.fixture
async def till(double: str, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Till]:
    async with opened(double, None, tmp_path, clock) as one:
        yield one


async def test_a_card_is_charged_and_partly_given_back(
    double: str, database: DatabaseSettings, tmp_path: Path, clock: FakeClock
) -> None:
    async with opened(double, database, tmp_path, clock) as till:
        paid = await till.pay()
        assert (paid.status, paid.totals.captured) == ("succeeded", 1000)
        there = await till.there(paid.id)
        assert (there["status"], there["metadata"]["payment"]) == ("succeeded", paid.id)
        back = await till.refund(paid.id, 400)
        assert (back.refund_status, back.totals.refunded) == ("partial", 400)
        with pytest.raises(AmountExceedsRemaining):
            await till.refund(paid.id, 601)
        assert (await till.there(paid.id))["latest_charge"]["amount_refunded"] == 400


async def test_a_refused_card_is_followed_by_another(till: Till) -> None:
    refused = await till.pay("pm_card_chargeCustomerFail")
    assert refused.status == "requires_payment_method"
    assert refused.decline is not None
    assert refused.decline.reason == "declined"
    assert (await till.confirm(refused.id, "pm_card_visa")).status == "succeeded"


@pytest.mark.parametrize("approved", [True, False])
async def test_3d_secure(till: Till, clock: FakeClock, approved: bool) -> None:
    waits = await till.pay(await till.card("4000002760003184"))
    assert waits.status == "requires_action"
    assert isinstance(waits.next_action, UseStripeSdk)
    intent = (await till.there(waits.id))["id"]
    said = {"client_secret": waits.next_action.client_secret, "success": str(approved).lower()}
    (await till.http.post(f"/v1/payment_intents/{intent}/_authenticate", data=said)).raise_for_status()
    clock.move(600)
    ended = await till.looked_at(waits)
    assert ended.status == ("succeeded" if approved else "requires_payment_method")
    assert ended.totals.captured == (1000 if approved else 0)
    assert (ended.decline and ended.decline.reason) == (None if approved else "authentication")


async def test_what_is_held_is_taken_in_part(till: Till) -> None:
    held = await till.pay(manual=True)
    assert (held.status, held.totals.captured) == ("requires_capture", 0)
    taken = await till.capture(held.id, 300)
    assert (taken.status, taken.totals.captured) == ("succeeded", 300)
    with pytest.raises(PaymentState):
        await till.capture(held.id, 1)
    there = await till.there(held.id)
    assert (there["status"], there["amount_received"]) == ("succeeded", 300)
    captured = (await till.operations(held.id))[-1]
    assert captured.provider_ref == f"{there['id']}/{captured.reference}"


async def test_what_is_held_is_released(till: Till) -> None:
    held = await till.pay(manual=True)
    assert (await till.cancel(held.id)).status == "canceled"
    assert (await till.there(held.id))["status"] == "canceled"


async def test_what_the_double_has_is_found_by_our_reference(till: Till) -> None:
    held = await till.pay(manual=True)
    await till.capture(held.id, 300)
    await till.refund(held.id, 100)
    provider: Any = till.payments._providers.named("cards")  # type: ignore[attr-defined]
    for operation in await till.operations(held.id):
        found = await provider.lookup(operation.reference)
        assert (found.state, found.amount, found.provider_ref) == (
            "succeeded", operation.amount, operation.provider_ref,
        )  # fmt: skip
    assert await provider.lookup("NEVERHEARDOF") is None


async def test_the_notices_of_the_double_are_believed(double: str) -> None:
    """The double signs by itself, with its own time: neither our signer nor the SDK's is asked."""
    told: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
        headers = {name: value for name, _, value in (line.partition(": ") for line in head) if name}
        length = next(int(value) for name, value in headers.items() if name.lower() == "content-length")
        told.put_nowait((headers, await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    line = Line(Secret(KEY), double)
    provider = StripeProvider("cards", line, FakeClock(datetime.now(UTC)), [Secret("whsec_1")])
    async with server, httpx.AsyncClient(base_url=double, trust_env=False) as http:
        wanted = {"url": f"http://127.0.0.1:{port}", "secret": "whsec_1", "events": ["payment_intent.succeeded"]}
        (await http.post("/_config/webhooks/till", json=wanted)).raise_for_status()
        paid = await provider.create(call(amount=1000, currency="EUR", method=CardMethod(token="pm_card_visa")))
        await line.close()
        ref = None
        while ref != paid.provider_ref:  # payments of other tests are told of as well
            headers, raw = await asyncio.wait_for(told.get(), 10)
            (event,) = provider.verify(headers, raw)
            ref = event.provider_ref
    assert (event.type, event.live, event.reference) == ("payment_intent.succeeded", False, "REF1")
    with pytest.raises(ValueError, match="no signature"):
        provider.verify(headers, raw + b" ")
