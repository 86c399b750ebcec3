"""The flag `payments.stripe`: off until somebody turns it on, and turned off while money is on its way."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from stripe_stand_in import StandIn  # beside this file
from switches import Switches, SwitchesPlugin  # in the folder above
from test_gating import offered
from test_stripe_webhooks import Account, shop

from corekit.contracts.payments import ProviderSettings
from corekit_payments.providers import Providers
from corekit_payments.recon import Reconciliation
from corekit_payments.recon.rows import Stream


@pytest.fixture
def switches() -> SwitchesPlugin:
    return SwitchesPlugin()


@pytest.fixture
async def account(open_counter: Any, stand_in: StandIn, switches: SwitchesPlugin) -> Account:
    """Open with two accounts of Stripe's and the sandbox."""
    providers = {**shop(stand_in), "sandbox": ProviderSettings(kind="sandbox")}
    return Account(await open_counter(switches, providers=providers), stand_in)


@contextlib.contextmanager
def on(flags: Switches) -> Iterator[None]:
    """Let payers begin to pay by Stripe for a while."""
    flags.decided["payments.stripe"] = True
    yield
    flags.decided["payments.stripe"] = False


async def test_it_is_off_until_somebody_turns_it_on(
    account: Account, switches: SwitchesPlugin, stand_in: StandIn
) -> None:
    assert await offered(account.counter, "EUR") == {"sandbox"}
    assert (await account.pay())["type"] == "urn:corekit:problem:method-not-available"
    assert stand_in.asked == []
    with on(switches.flags):
        assert await offered(account.counter, "EUR") == {"sandbox", "cards", "others"}
        assert (await account.pay())["status"] == "succeeded"
    assert {key: flag.default for key, flag in switches.flags.asked.items()} == {
        "payments.stripe": False, "payments.sandbox": True,
    }  # fmt: skip


async def test_turned_off_in_flight(account: Account, switches: SwitchesPlugin, stand_in: StandIn) -> None:
    """Red when the flag stops a webhook, a look, a capture, a release, a refund or reconciliation."""
    counter, cards = account.counter, account.counter.kit.get(Providers).named("cards")
    with on(switches.flags):
        paid, taken, released = await account.pay(), *[await account.pay(capture_method="manual") for _ in range(2)]
        told, asked, listed = [(await account.pay("pm_3ds"), account.intent()) for _ in range(3)]
    assert [one["status"] for one, _ in (told, asked, listed)] == ["requires_action"] * 3
    assert await offered(counter, "EUR") == {"sandbox"}
    assert (await account.pay())["type"] == "urn:corekit:problem:method-not-available"
    created = len(stand_in.made("payment_intent"))

    for _, intent in (told, asked, listed):
        stand_in._charge(intent)  # its payer has confirmed
    assert await account.hear("payment_intent.succeeded", told[1]) == ["applied"]
    (operation,) = (await counter.get(f"/{asked[0]['id']}/operations")).json()
    await counter.post(f"/../operations/{operation['id']}/check", None, "olga")
    assert (await counter.post(f"/{taken['id']}/capture", {}, "clara")).json()["status"] == "succeeded"
    assert (await counter.post(f"/{released['id']}/cancel", {}, "clara")).json()["status"] == "canceled"
    back = await counter.post(f"/{paid['id']}/refunds", {"reason": "torn"}, "clara")
    assert (back.status_code, back.json()["state"]) == (201, "succeeded")

    assert [(await account.shown(one["id"]))["status"] for one, _ in (asked, listed)] == [
        "succeeded",
        "requires_action",
    ]
    assert cards is not None
    counter.kit.clock.move(1200)  # beyond what only one of the two may have for a while
    streams: tuple[Stream, ...] = ("listing", "settlement")
    for stream in streams:
        assert await counter.kit.get(Reconciliation).run(stream, cards) is not None, "it came to its end"
    assert [(await account.shown(one["id"]))["status"] for one, _ in (told, asked, listed)] == ["succeeded"] * 3
    items = await counter.http.get("/payments/v1/reconciliation/items", headers={"Authorization": "Bearer olga"})
    assert items.json()["items"] == []
    assert len(stand_in.made("payment_intent")) == created, "nobody began to pay"
