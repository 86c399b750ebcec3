"""`Realtime` by Centrifugo's server API, against a strict stand-in in a process of its own."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from cent import AsyncClient, BroadcastRequest, CentUnauthorizedError, PublishRequest
from realtime_beside import KEY, Beside, BesideCentrifugo, standing_in
from realtime_town import numbered, room, usr

from corekit import Actor
from corekit.contracts.auth import SessionEnded
from corekit.contracts.realtime import ClientInfo, Online, Realtime
from corekit.errors import InsideContext, Unavailable
from corekit.events import emit
from corekit.watch.health import FRESH

ALICE, BOB = Actor("alice").id, Actor("bob").id


async def publish(town: Beside, channel: str, numbers: list[int]) -> None:
    for number in numbers:
        await town.kit.get(Realtime).publish(channel, b'{"n":%d}' % number, offset=number)


async def published(town: Beside, count: int, channel: str = "") -> list[Any]:
    told = await town.stand_in.until(lambda told: len(told["published"]) >= count)
    return [one["data"] for one in told["published"] if channel in ("", one["channel"])]


async def test_a_publication_goes_out(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        await town.kit.get(Realtime).publish(room("a"), b'{"text":"h\xc3\xa9"}', offset=7)
        await town.kit.get(Realtime).publish(room("a", "square"), b"1")
        told = await town.stand_in.until(lambda told: len(told["commands"]) == 2)
        first, second = sorted((one["publish"] for one in told["commands"]), key=lambda one: str(one["data"]))[::-1]
        assert first == {"channel": room("a"), "data": {"text": "hé"}, "idempotency_key": f"{room('a')}@7"}
        assert (second["channel"], second["data"], len(second["idempotency_key"])) == (room("a", "square"), 1, 32)


async def test_a_publication_goes_out_after_the_commit_and_not_at_all_after_a_rollback(
    by_centrifugo: BesideCentrifugo,
) -> None:
    async with by_centrifugo() as town:
        realtime = town.kit.get(Realtime)
        async with town.kit.context(Actor("alice")) as ctx:
            await realtime.publish(room("a"), b"1", offset=1, ctx=ctx)
            await asyncio.sleep(0.2)
            assert (await town.stand_in.told())["commands"] == []
        assert await published(town, 1) == [1]
        with pytest.raises(ZeroDivisionError):
            async with town.kit.context(Actor("alice")) as ctx:
                await realtime.publish(room("a"), b"2", offset=2, ctx=ctx)
                raise ZeroDivisionError
        await realtime.publish(room("a"), b"3", offset=3)
        assert await published(town, 2) == [1, 3]


async def test_channels_keep_their_order_and_share_requests(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        await publish(town, room("a"), [1])
        await publish(town, room("a"), [4, 2, 3, *range(5, 301)])
        await publish(town, room("b"), list(range(1, 101)))
        expected = [{"n": number} for number in range(1, 301)]
        assert (await published(town, 400, room("a"))) == expected
        told = await town.stand_in.told()
        assert len(told["requests"]) < 12
        assert "/api/batch" in told["requests"]


async def test_what_failed_is_sent_again_in_order_and_counts_once(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        await town.stand_in.tell(statuses=[500, 503, 429, 408], lost=1)
        await publish(town, room("a"), list(range(1, 51)))
        assert await published(town, 50) == [{"n": number} for number in range(1, 51)]
        assert town.centrifugo.sender.dropped == 0
        assert (await town.stand_in.told())["statuses"] == []


async def test_of_a_batch_only_what_failed_within_centrifugo_is_sent_again(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        await town.stand_in.tell(errors=[0, 100, 102])
        await publish(town, room("a"), [1, 2, 3, 4])
        assert await published(town, 3) == [{"n": 1}, {"n": 4}, {"n": 2}]
        assert town.centrifugo.sender.dropped == 1


async def test_a_server_that_comes_back_gets_everything(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo(centrifugo_timeout=0.2) as town:
        await town.stand_in.tell(slow=1.0)
        await publish(town, room("a"), [1, 2])
        await asyncio.sleep(0.5)
        await publish(town, room("a"), [3])
        await town.stand_in.tell(slow=0.0)
        assert await published(town, 3) == [{"n": 1}, {"n": 2}, {"n": 3}]


async def test_one_bad_publication_takes_no_other_with_it(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        await publish(town, room("a"), [1])
        for number, data in ((2, b'{"n":2}'), (3, b"no json"), (4, b'{"n":4}')):
            await town.kit.get(Realtime).publish(room("a"), data, offset=number)
        assert await published(town, 3) == [{"n": 1}, {"n": 2}, {"n": 4}]
        assert town.centrifugo.sender.dropped == 1


async def test_while_the_key_is_wrong_what_is_not_too_old_waits(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo(centrifugo_patience=0.3) as town:
        await town.stand_in.tell(key="another")
        await publish(town, room("a"), [1])
        async with asyncio.timeout(5):
            while not town.centrifugo.sender.dropped:
                await asyncio.sleep(0.02)
        await town.stand_in.tell(key=KEY)
        await publish(town, room("a"), [2])
        assert await published(town, 1) == [{"n": 2}]


async def test_the_queue_is_bounded_and_what_ends_something_has_more_room(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo(centrifugo_queue=10) as town:
        await town.stand_in.tell(slow=0.3)
        await publish(town, room("a"), list(range(1, 31)))
        assert (town.centrifugo.sender.waiting, town.centrifugo.sender.dropped) == (10, 20)
        await town.kit.get(Realtime).unsubscribe(ALICE, room("a"))
        assert (town.centrifugo.sender.waiting, town.centrifugo.sender.dropped) == (11, 20)
        told = await town.stand_in.until(lambda told: len(told["commands"]) == 11)
        assert told["commands"][-1] == {"unsubscribe": {"channel": room("a"), "user": usr("alice")}}


async def test_people_are_sent_away(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        realtime = town.kit.get(Realtime)
        await realtime.unsubscribe(ALICE, room("a"))
        await realtime.disconnect(ALICE)
        await realtime.disconnect(ALICE, code=3500)
        await realtime.disconnect(ALICE, sign_in=uuid4(), code=3500)
        await realtime.unsubscribe(ALICE, room("a"), 2500)
        told = await town.stand_in.until(lambda told: len(told["commands"]) == 5)
        again = {"code": 3011, "reason": "force reconnect"}
        assert [one["disconnect"]["disconnect"] for one in told["commands"] if "disconnect" in one] == [
            {"code": 3503, "reason": "force disconnect"},
            {"code": 3500, "reason": "invalid token"},
            again,
            again,
        ]
        assert {one["disconnect"]["user"] for one in told["commands"] if "disconnect" in one} == {usr("alice")}


async def test_a_sign_in_that_ends_is_refused_when_it_comes_again(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        town.town.tokens["alice"] = None
        async with town.kit.caller().system("town").begin() as ctx:
            await emit(ctx, SessionEnded(session_id=uuid4(), user_id=ALICE, reason="logout"))
        told = await town.stand_in.until(lambda told: bool(told["commands"]))
        assert told["commands"][0]["disconnect"]["disconnect"]["code"] == 3011
        assert (await town.ask("connect", data={"token": "alice"}))["disconnect"]["code"] == 3500


async def test_who_is_there(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        realtime = town.kit.get(Realtime)
        there = {"c1": {"user": usr("alice"), "client": "c1", "conn_info": {"from": "town"}}}
        phone = {"c2": {"user": usr("alice"), "client": "c2"}}
        await town.stand_in.tell(presence={room("a"): there, f"user:{usr('alice')}": there | phone})
        found = await realtime.presence(room("a"))
        assert found.clients == {"c1": ClientInfo(usr("alice"), "c1", {"from": "town"})}
        assert (await realtime.presence(room("a", "board"))).clients == {}
        many = [ALICE, BOB, *(uuid4() for _ in range(150))]
        assert await realtime.online(many) == {ALICE: Online(2)}
        assert await realtime.online([]) == {}
        async with town.kit.context(Actor("alice")):
            for asked in (realtime.presence(room("a")), realtime.online([ALICE])):
                with pytest.raises(InsideContext):
                    await asked
        await town.stand_in.tell(errors=[108])
        with pytest.raises(Unavailable):
            await realtime.presence(room("a"))


async def test_channels_and_offsets_must_fit(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        realtime = town.kit.get(Realtime)
        wrong = [("room:x", 1), ("nowhere:rom_1", 0), (room("a"), 0), (room("a", "square"), 1)]
        for channel, offset in [*wrong, (f"user:{usr('alice')}", 1)]:
            with pytest.raises(ValueError, match="channel"):
                await realtime.publish(channel, b"1", offset=offset)


async def test_readiness_asks_centrifugo(by_centrifugo: BesideCentrifugo) -> None:
    async with by_centrifugo() as town:
        assert (await town.http.get("/ready")).status_code == 200
        await town.stand_in.tell(key="another")
        await asyncio.sleep(FRESH)
        answer = await town.http.get("/ready")
        assert answer.status_code == 503
        assert "centrifugo" in answer.text
        assert KEY not in answer.text


async def test_what_waits_is_sent_before_the_end(by_centrifugo: BesideCentrifugo) -> None:
    with standing_in() as other:
        async with by_centrifugo(centrifugo_url=f"{other.url}/api") as town:
            await other.tell(slow=0.2)
            await publish(town, room("a"), list(range(1, 11)))
        assert len((await other.told())["published"]) == 10


async def test_the_stand_in_is_one_for_the_client_that_centrifugo_publishes() -> None:
    with standing_in() as stand_in:
        async with AsyncClient(f"{stand_in.url}/api", KEY) as client:
            first = await client.publish(PublishRequest(channel="a", data={"n": 1}, idempotency_key="k"))
            again = await client.publish(PublishRequest(channel="a", data={"n": 1}, idempotency_key="k"))
            assert (first.offset, again.offset) == (1, 1)
            await client.broadcast(BroadcastRequest(channels=["a", "b"], data=numbered(1)[0].decode()))
        assert len((await stand_in.told())["published"]) == 3
        async with AsyncClient(f"{stand_in.url}/api", "another key") as client:
            with pytest.raises(CentUnauthorizedError):
                await client.publish(PublishRequest(channel="a", data=1))
