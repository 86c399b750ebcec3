"""Two people on the real accounts and the real gateway, with the unmodified client `centrifuge-python`."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from centrifuge import (
    Client,
    ClientEventHandler,
    PublicationContext,
    ServerPublicationContext,
    SubscriptionErrorContext,
    SubscriptionEventHandler,
    UnsubscribedContext,
)

from corekit.data import DatabaseSettings
from corekit.testing import make_kit, serve
from corekit_chat import ChatPlugin, ChatSettings

accounts = pytest.importorskip("corekit_auth", reason="the accounts plugin is not installed")
gateway = pytest.importorskip("corekit_realtime", reason="the gateway plugin is not installed")

pytestmark = pytest.mark.smoke

BASE = "/chat/v1/conversations"


class Ear(SubscriptionEventHandler, ClientEventHandler):
    """Keeps what one person heard."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, Any]] = []
        self.hints: list[Any] = []
        self.ended: list[int] = []
        self.errors: list[int] = []

    async def on_publication(self, ctx: PublicationContext | ServerPublicationContext) -> None:
        if isinstance(ctx, ServerPublicationContext):
            self.hints.append(ctx.pub.data)
        else:
            self.heard.append((ctx.pub.offset, ctx.pub.data))

    async def on_unsubscribed(self, ctx: UnsubscribedContext) -> None:
        self.ended.append(ctx.code)

    async def on_error(self, ctx: SubscriptionErrorContext) -> None:
        self.errors.append(ctx.code)


class Person:
    """Somebody with an account, a connection and an ear."""

    def __init__(self, http: httpx.AsyncClient, socket: str, session: dict[str, Any]) -> None:
        self.id: str = session["user"]["id"]
        self.ear = Ear()
        self.client = Client(socket, self.ear, token=session["access_token"], proxy=None, max_reconnect_delay=0.2)
        self._http = http
        self._headers = {"Authorization": f"Bearer {session['access_token']}"}

    async def ask(self, method: str, path: str, **fields: Any) -> httpx.Response:
        return await self._http.request(method, BASE + path, headers=self._headers, **fields)

    async def send(self, conv: str, body: str) -> Any:
        sent = await self.client.rpc("message.send", {"conv": conv, "client_id": uuid4().hex, "body": body})
        return sent.data

    async def hear(self, channel: str) -> Any:
        subscription = self.client.new_subscription(channel, self.ear)
        await subscription.subscribe()
        return subscription


async def until(found: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not found():
            await asyncio.sleep(0.01)


@pytest.fixture
async def meet(database: DatabaseSettings, tmp_path: Path) -> AsyncGenerator[Callable[[], Any]]:
    """Serve the three plugins and give a way to meet a new person there."""
    plugins = [accounts.AuthPlugin(), gateway.RealtimePlugin(), ChatPlugin(ChatSettings(hint_interval=0.02))]
    async with make_kit(plugins, database=database, tmp_path=tmp_path) as kit, serve(kit) as base:
        people: list[Person] = []

        @asynccontextmanager
        async def everybody() -> AsyncGenerator[Callable[[], Any]]:
            async with httpx.AsyncClient(base_url=base) as http:

                async def one() -> Person:
                    account = {"email": f"{uuid4().hex}@example.com", "password": uuid4().hex}
                    answer = await http.post("/auth/v1/signup", json=account)
                    assert answer.status_code == 200, answer.text
                    socket = base.replace("http", "ws", 1) + "/connection/websocket"
                    person = Person(http, socket, answer.json())
                    people.append(person)
                    await person.client.connect()
                    await person.client.ready(5)
                    return person

                yield one
                await asyncio.gather(*(person.client.disconnect() for person in people))

        async with everybody() as one:
            yield one


async def test_two_people_chat(meet: Callable[[], Any]) -> None:
    alice, bob = await meet(), await meet()
    made = await alice.ask("POST", "", json={"kind": "direct", "with": bob.id})
    assert made.status_code == 201, made.text
    conv = made.json()["id"]
    await (await bob.hear(f"conv:{conv}")).ready(5)
    sent = [await alice.send(conv, f"number {number}") for number in range(10)]
    await until(lambda: len(bob.ear.heard) == 10)
    assert [offset for offset, _ in bob.ear.heard] == list(range(1, 11)) == [answer["seq"] for answer in sent]
    page = (await bob.ask("GET", f"/{conv}/messages")).json()
    assert [event["message"] for _, event in reversed(bob.ear.heard)] == page["items"]
    await until(lambda: any(hint["last_seq"] == 10 for hint in bob.ear.hints))
    assert bob.ear.hints[-1] == {"t": "hint", "v": 1, "conv": conv, "last_seq": 10, "message_count": 10}


async def test_what_was_missed_is_recovered(meet: Callable[[], Any]) -> None:
    alice, bob = await meet(), await meet()
    conv = (await alice.ask("POST", "", json={"kind": "group", "members": [bob.id]})).json()["id"]
    subscription = await bob.hear(f"conv:{conv}")
    await subscription.ready(5)
    await alice.send(conv, "seen live")
    await until(lambda: len(bob.ear.heard) == 1)
    await bob.client.disconnect()
    carol = await meet()
    await alice.ask("PUT", f"/{conv}/members/{carol.id}", json={})
    for number in range(5):
        await alice.send(conv, f"missed {number}")
    await bob.client.connect()
    await until(lambda: len(bob.ear.heard) == 7)
    assert [offset for offset, _ in bob.ear.heard] == list(range(1, 8))
    assert [event["t"] for _, event in bob.ear.heard[:3]] == ["message.created", "member.joined", "message.created"]


async def test_only_members_hear_and_a_removed_one_hears_no_more(meet: Callable[[], Any]) -> None:
    alice, bob = await meet(), await meet()
    conv = (await alice.ask("POST", "", json={"kind": "group"})).json()["id"]
    await bob.hear(f"conv:{conv}")
    await until(lambda: bob.ear.ended or bob.ear.errors)
    assert 103 in {*bob.ear.ended, *bob.ear.errors}
    with pytest.raises(Exception, match="1001"):
        await bob.send(conv, "let me in")
    bob.client.remove_subscription(bob.client.get_subscription(f"conv:{conv}"))
    bob.ear.ended.clear()
    assert (await alice.ask("PUT", f"/{conv}/members/{bob.id}", json={})).status_code == 201
    await (await bob.hear(f"conv:{conv}")).ready(5)
    await bob.send(conv, "here I am")
    assert (await alice.ask("DELETE", f"/{conv}/members/{bob.id}")).status_code == 204
    await until(lambda: bob.ear.ended)
    assert bob.ear.ended == [2000]
    await alice.send(conv, "they are gone")
    await asyncio.sleep(0.2)
    assert [event["t"] for _, event in bob.ear.heard][:1] == ["message.created"]
    assert all(event["seq"] <= 3 for _, event in bob.ear.heard)


async def test_signals_that_are_not_stored(meet: Callable[[], Any]) -> None:
    alice, bob, carol = await meet(), await meet(), await meet()
    conv = (await alice.ask("POST", "", json={"kind": "group", "members": [bob.id]})).json()["id"]
    mine = await alice.hear(f"eph:{conv}")
    await mine.ready(5)
    await (await bob.hear(f"eph:{conv}")).ready(5)
    await mine.publish({"t": "typing", "on": True})
    await until(lambda: bob.ear.heard)
    assert bob.ear.heard[0][1] == {"t": "typing", "on": True}
    assert len((await mine.presence()).clients) == 2
    await carol.hear(f"eph:{conv}")
    await until(lambda: carol.ear.ended or carol.ear.errors)
    assert (await alice.ask("GET", f"/{conv}")).json()["last_seq"] == 0
