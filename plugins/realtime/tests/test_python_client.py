"""The unmodified `centrifuge-python`, in JSON and in Protobuf, where it leaves the encoding of data to its user."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from centrifuge import CentrifugeError, Client, ClientEventHandler, SubscriptionEventHandler
from centrifuge.exceptions import ReplyError
from realtime_town import Serve, Served, numbered, room, signed_in, usr

from corekit.contracts.auth import Denied
from corekit.contracts.realtime import Realtime

ROOM, SQUARE = room("one"), room("one", "square")


def written(town: Served, data: Any) -> Any:
    """Write data as the client wants it."""
    return msgspec.json.encode(data) if town.codec == "protobuf" else data


def read(data: Any) -> Any:
    """Read data as the client gives it."""
    return msgspec.json.decode(data) if isinstance(data, bytes) else data


@dataclass
class Ears(SubscriptionEventHandler):
    """Notes all of one subscription."""

    heard: list[Any] = field(default_factory=list)
    recoveries: list[Any] = field(default_factory=list)
    ended: list[Any] = field(default_factory=list)
    joined: list[Any] = field(default_factory=list)

    async def on_publication(self, ctx: Any) -> None:
        self.heard.append((ctx.pub.offset, read(ctx.pub.data)))

    async def on_subscribed(self, ctx: Any) -> None:
        self.recoveries.append((ctx.was_recovering, ctx.recovered))

    async def on_unsubscribed(self, ctx: Any) -> None:
        self.ended.append(ctx.code)

    async def on_join(self, ctx: Any) -> None:
        self.joined.append(ctx.info.user)


@dataclass
class Events(ClientEventHandler):
    """Notes all of one connection."""

    disconnected: list[Any] = field(default_factory=list)
    connecting: list[Any] = field(default_factory=list)
    own: list[Any] = field(default_factory=list)

    async def on_disconnected(self, ctx: Any) -> None:
        self.disconnected.append(ctx.code)

    async def on_connecting(self, ctx: Any) -> None:
        self.connecting.append(ctx.code)

    async def on_publication(self, ctx: Any) -> None:
        self.own.append((ctx.channel, read(ctx.pub.data)))


async def until(condition: Callable[[], Any], seconds: float = 8.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def make(town: Served, bearer: str = "alice", **options: Any) -> tuple[Client, Events]:
    events = Events()
    url = town.url.replace("http", "ws") + "/connection/websocket"
    settings = {"min_reconnect_delay": 0.05, "max_reconnect_delay": 0.2, "proxy": None, "timeout": 3} | {
        "use_protobuf": town.codec == "protobuf"
    }
    client = Client(url, events=events, token=bearer, **(settings | options))
    town.stack.push_async_callback(client.disconnect)
    return client, events


async def test_subscribe_publish_presence_history_and_calls(served: Serve) -> None:
    async with served(join_leave_every=0.02) as town:
        client, events = make(town)
        await client.connect()
        ears, square = Ears(), Ears()
        subscription = client.new_subscription(ROOM, ears)
        signals = client.new_subscription(SQUARE, square, join_leave=True)
        await subscription.subscribe()
        await signals.subscribe()
        await subscription.ready(3)
        await signals.ready(3)
        for data in numbered(3):
            await town.town.tell(ROOM, data)
        await until(lambda: len(ears.heard) == 3)
        await signals.publish(written(town, {"typing": True}))
        await until(lambda: square.heard and square.joined)
        assert square.heard == [(0, {"typing": True})]
        assert [info.user for info in (await subscription.presence()).clients.values()] == [usr("alice")]
        assert (await subscription.presence_stats()).num_clients == 1
        history = await subscription.history(limit=2, reverse=True)
        assert [entry.offset for entry in history.publications] == [3, 2]
        assert read((await client.rpc("say", written(town, {"text": "hi"}))).data) == {"text": "user hi"}
        await town.kit.get(Realtime).publish(f"user:{usr('alice')}", b'"psst"')
        await until(lambda: events.own == [(f"user:{usr('alice')}", "psst")])
        await subscription.unsubscribe()
        await client.disconnect()


async def test_errors_arrive_with_their_codes(served: Serve) -> None:
    async with served() as town:
        client, _ = make(town)
        await client.connect()
        await client.ready(3)
        for method, data, code in (("no.such", {}, 104), ("say", {}, 107), ("quarrel", {"text": ""}, 107)):
            with pytest.raises(ReplyError) as caught:
                await client.rpc(method, written(town, data))
            assert caught.value.code == code
        ears = Ears()
        forbidden = client.new_subscription(f"user:{usr('bob')}", ears)
        await forbidden.subscribe()
        await until(lambda: ears.ended == [103])
        with pytest.raises(CentrifugeError):
            await forbidden.ready(1)


async def test_what_was_missed_while_away_is_recovered_in_order(served: Serve) -> None:
    async with served() as town:
        client, events = make(town)
        await client.connect()
        ears = Ears()
        subscription = client.new_subscription(ROOM, ears, recoverable=True, positioned=True)
        await subscription.subscribe()
        await subscription.ready(3)
        await town.town.tell(ROOM, b'{"n":1}')
        await until(lambda: len(ears.heard) == 1)
        for attempt in range(5):
            client._conn.transport.abort()
            for _ in range(3):
                await town.town.tell(ROOM, b"{}")
            expected = 1 + 3 * (attempt + 1)
            await until(lambda expected=expected: len(ears.heard) == expected)
            await until(lambda attempt=attempt: len(ears.recoveries) == attempt + 2)
        assert [offset for offset, _ in ears.heard] == list(range(1, 17))
        assert ears.recoveries == [(False, False)] + [(True, True)] * 5
        assert not events.disconnected


async def test_an_expired_token_is_exchanged_and_a_revoked_one_is_the_end(served: Serve) -> None:
    async with served() as town:
        town.town.tokens["old"] = Denied("expired")
        town.town.tokens["revoked"] = Denied("revoked")
        asked = []

        async def fetch() -> str:
            asked.append(1)
            return "alice"

        client, _ = make(town, "old", get_token=fetch)
        await client.connect()
        await client.ready(3)
        assert asked == [1]
        _, events = stranger = make(town, "revoked")
        await stranger[0].connect()
        await until(lambda: events.disconnected == [3500])


async def test_a_token_is_refreshed_without_a_disconnect(served_once: Serve) -> None:
    async with served_once() as town:
        town.town.tokens["short"] = signed_in(town.kit, "alice", seconds=1)
        town.town.tokens["long"] = signed_in(town.kit, "alice", seconds=600)

        async def fetch() -> str:
            return "long"

        client, events = make(town, "short", get_token=fetch)
        await client.connect()
        await client.ready(3)
        (connection,) = town.node.connections.all()
        await until(lambda: connection.token == "long")
        town.clock.move(60)
        assert (await client.rpc("say", {"text": "still"})).data
        assert len(events.connecting) == 1


async def test_a_drained_server_is_left_for_another(served_once: Serve) -> None:
    async with served_once() as town:
        client, events = make(town)
        await client.connect()
        await client.ready(3)
        await town.kit.drain(1.0)
        await until(lambda: len(events.connecting) > 1)
        assert events.connecting[1] == 3001
        assert not events.disconnected
