"""Hints over the gateway: the real accounts, the real socket and an unmodified client, and what every event tells."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from centrifuge import Client, ClientEventHandler, ServerPublicationContext
from counters import BASE, payment
from generous import GENEROUS
from webhook_office import WEBHOOKS

from corekit.context import Actor, Context
from corekit.contracts.payments import PaymentEvent
from corekit.contracts.realtime import Realtime
from corekit.data import DatabaseSettings
from corekit.events import listened
from corekit.kit import Corekit
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit.testing import make_kit, serve, settle
from corekit.values import parse_id, typeid
from corekit_payments import PaymentsPlugin, PaymentsSettings
from corekit_payments.sandbox import Journal, Sandbox, journal_of

Told = list[tuple[str, Any]]


class Loudspeaker:
    """Records what is published."""

    def __init__(self) -> None:
        self.told: Told = []

    async def publish(self, channel: str, data: bytes, *, offset: int = 0, ctx: Context | None = None) -> None:
        assert offset == 0
        assert ctx is not None, "a hint goes out after the commit"

        async def later() -> None:
            self.told.append((channel, msgspec.json.decode(data)))

        ctx.on_commit(later)


class LoudspeakerPlugin(Plugin[Settings]):
    """Provides it as the gateway."""

    name = "loudspeaker"
    provides = (Realtime,)

    @asynccontextmanager
    async def lifespan(self, kit: Any) -> AsyncGenerator[None]:
        kit.provide(Realtime, Loudspeaker())
        yield


def test_every_event_of_a_payment_has_a_listener() -> None:
    heard = {listened(getattr(PaymentsPlugin, name)) for name in dir(PaymentsPlugin) if name.startswith("hint_")}
    assert heard == set(PaymentEvent.__subclasses__())


async def test_payer_and_payee_hear_where_a_payment_stands(open_counter: Any) -> None:
    counter = await open_counter(LoudspeakerPlugin(), worker=True)
    told = counter.kit.get(Realtime).told
    bob, alice = (typeid("usr", Actor(name).id) for name in ("bob", "alice"))
    paid = (await counter.pay(payee=bob)).json()
    await settle(counter.kit, seconds=30)
    assert {channel for channel, _ in told} == {f"user:{alice}", f"user:{bob}"}
    last = {"type": "payment", "id": paid["id"], "status": "succeeded", "version": paid["version"]}
    for who in (alice, bob):
        heard = [hint for channel, hint in told if channel == f"user:{who}"]
        assert last in heard
        assert all(hint.keys() == last.keys() for hint in heard), "nothing else of it leaves here"


async def test_the_operator_hears_nothing_and_the_payer_each_event_once(open_counter: Any) -> None:
    counter = await open_counter(LoudspeakerPlugin(), worker=True)
    paid = await counter.pay()
    assert paid.status_code == 201
    await settle(counter.kit, seconds=30)
    channels = [channel for channel, _ in counter.kit.get(Realtime).told]
    assert channels == [f"user:{typeid('usr', Actor('alice').id)}"] * 2, "created and captured"


async def test_without_a_gateway_nothing_is_told_and_nothing_fails(
    open_counter: Any, caplog: pytest.LogCaptureFixture
) -> None:
    counter = await open_counter(worker=True)
    await counter.pay()
    await settle(counter.kit, seconds=30)
    assert not [message for message in caplog.messages if "job_failed" in message]


class Ear(ClientEventHandler):
    """Keeps what one person heard on their own channel."""

    def __init__(self) -> None:
        self.hints: list[Any] = []

    async def on_publication(self, ctx: ServerPublicationContext) -> None:
        self.hints.append(ctx.pub.data)


async def until(found: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not found():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def connected(http: httpx.AsyncClient, base: str) -> AsyncGenerator[tuple[Ear, dict[str, str]]]:
    """Sign up and connect; give what is heard, and the headers of this person's requests."""
    account = {"email": f"{uuid4().hex}@example.com", "password": uuid4().hex}
    token = (await http.post("/auth/v1/signup", json=account)).json()["access_token"]
    ear = Ear()
    client = Client(f"{base.replace('http', 'ws', 1)}/connection/websocket", ear, token=token, proxy=None)
    await client.connect()
    await client.ready(30)
    yield ear, {"Authorization": f"Bearer {token}"}
    await client.disconnect()


@pytest.fixture
async def served(database: DatabaseSettings, tmp_path: Path) -> AsyncGenerator[tuple[Corekit, str]]:
    accounts = pytest.importorskip("corekit_auth", reason="the accounts plugin is not installed")
    gateway = pytest.importorskip("corekit_realtime", reason="the gateway plugin is not installed")
    payments = PaymentsPlugin(PaymentsSettings(sweep=False, fraud=GENEROUS))
    plugins = [accounts.AuthPlugin(), gateway.RealtimePlugin(), payments]
    async with make_kit(plugins, database=database, tmp_path=tmp_path) as kit, serve(kit) as base:
        yield kit, base


@pytest.mark.smoke
async def test_a_person_pays_and_hears_of_it(served: tuple[Corekit, str]) -> None:
    """The payer has to act, does, and the provider's notice is what tells the kit: the socket then tells the payer."""
    kit, base = served
    sandbox = Sandbox("sandbox", Journal(journal_of(kit.database.data_dir, "sandbox")), kit.clock)
    async with httpx.AsyncClient(base_url=base) as http, connected(http, base) as (ear, who):
        made = await http.post(BASE, json=payment("tok_3ds"), headers=who | {"Idempotency-Key": uuid4().hex})
        id_ = made.json()["id"]
        await until(lambda: any(hint["status"] == "requires_action" for hint in ear.hints))
        operation = (await http.get(f"{BASE}/{id_}/operations", headers=who)).json()[0]
        await sandbox.decide(operation["provider_ref"], approve=True)
        for headers, raw in sandbox.notices(copies=2, seed=3):
            assert (await http.post(f"{WEBHOOKS}/sandbox", content=raw, headers=headers)).status_code == 200
        await until(lambda: any(hint["status"] == "succeeded" for hint in ear.hints))
        shown = (await http.get(f"{BASE}/{id_}", headers=who)).json()
        last = max(ear.hints, key=lambda hint: hint["version"])
        assert last == {"type": "payment", "id": id_, "status": "succeeded", "version": shown["version"]}
        assert parse_id("pay", last["id"])
