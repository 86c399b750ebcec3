"""Calls of methods."""

import asyncio
from typing import Any

import pytest
from realtime_town import Serve, Words

from corekit import Caller
from corekit.contracts.realtime import Namespace, Realtime, method
from corekit.errors import PluginError


async def test_a_method_answers(served: Serve) -> None:
    async with served() as town:
        wire = await town.open("alice")
        assert await wire.ask(rpc={"method": "say", "data": {"text": "hi"}}) == {
            "id": 2,
            "rpc": {"data": {"text": "user hi"}},
        }
        assert (await wire.ask(rpc={"method": "look", "data": {"text": ""}}))["rpc"]["data"] == {"readonly": True}


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"method": "no.such"}, {"code": 104, "message": "method not found"}),
        ({"method": "say"}, {"code": 107, "message": "bad request"}),
        ({"method": "say", "data": {"text": 1}}, {"code": 107, "message": "bad request"}),
        ({"method": "say", "data": "x"}, {"code": 107, "message": "bad request"}),
        ({"method": "quarrel", "data": {"text": "it"}}, {"code": 107, "message": "Conflict"}),
        ({"method": "trespass", "data": {"text": "it"}}, {"code": 103, "message": "permission denied"}),
        (
            {"method": "stumble", "data": {"text": "it"}},
            {"code": 100, "message": "internal server error", "temporary": True},
        ),
    ],
)
async def test_a_call_that_fails_says_why_and_not_more(
    served_once: Serve, caplog: pytest.LogCaptureFixture, request_: dict[str, Any], error: dict[str, Any]
) -> None:
    async with served_once() as town:
        wire = await town.open("alice")
        assert (await wire.ask(rpc=request_))["error"] == error
        assert "ping" in await wire.ask(ping={})
    failed = [record for record in caplog.records if "call_failed" in str(record.msg)]
    assert bool(failed) is (error["code"] in {100, 103})
    assert all("request_id" in str(record.msg) for record in failed)


async def test_calls_run_beside_other_commands_up_to_a_number(served: Serve) -> None:
    async with served(rpc_concurrency=2) as town:
        town.town.methods.gate.clear()
        wire = await town.open("alice")
        waiting = [wire.begin(rpc={"method": "wait", "data": {"text": str(n)}}) for n in range(2)]
        async with asyncio.timeout(10):
            while town.town.methods.running < 2:
                await asyncio.sleep(0.01)
        assert "ping" in await wire.ask(ping={})
        third = await wire.ask(rpc={"method": "wait", "data": {"text": "3"}})
        assert third["error"] == {"code": 111, "message": "too many requests", "temporary": True}
        town.town.methods.gate.set()
        assert [(await reply)["rpc"]["data"]["text"] for reply in waiting] == ["0", "1"]


async def test_a_call_ends_even_if_its_caller_has_gone(served_once: Serve) -> None:
    async with served_once() as town:
        town.town.methods.gate.clear()
        wire = await town.open("alice")
        wire.begin(rpc={"method": "wait", "data": {"text": "x"}})
        async with asyncio.timeout(10):
            while not town.town.methods.running:
                await asyncio.sleep(0.01)
        await wire.close()
        town.town.methods.gate.set()
        assert "ping" in await (await town.open("bob")).ask(ping={})


async def test_several_commands_and_replies_share_frames(served_json: Serve) -> None:
    async with served_json() as town:
        wire = await town.open("alice")
        replies = [wire._replies.setdefault(n, asyncio.get_running_loop().create_future()) for n in (7, 8)]
        await wire.socket.send('{"id":7,"ping":{}}\n\n{"id":8,"ping":{}}\n')
        assert [(await reply)["id"] for reply in replies] == [7, 8]


async def test_too_many_commands_are_refused_and_then_the_client_is(served_once: Serve) -> None:
    async with served_once(commands_rate=5, commands_burst=10, commands_patience=0.5) as town:
        wire = await town.open("alice")
        answers = [await wire.ask(ping={}) for _ in range(12)]
        assert answers[-1]["error"]["code"] == 111
        for _ in range(60):
            if wire.code is not None:
                break
            await wire.ask(ping={})
            await asyncio.sleep(0.02)
        assert await wire.closed() == 3013


class Twice:
    """A method of the town, once more."""

    @method("say")
    async def say(self, caller: Caller, request: Words) -> Words:
        return request


class Formless:
    """A method that asks nobody."""

    @method("other")
    async def other(self, request: Words) -> Words:
        return request


class Sync:
    """A method that does not wait."""

    @method("other")  # type: ignore[type-var]
    def other(self, caller: Caller, request: Words) -> Any:
        return request


async def test_plugins_cannot_bring_the_same_twice(served_once: Serve) -> None:
    async with served_once() as town:
        realtime = town.kit.get(Realtime)
        with pytest.raises(PluginError, match=r"'say'.*Methods\.say.*Twice\.say"):
            realtime.methods(Twice())
        with pytest.raises(PluginError, match=r"'room'.*realtime_town.*test_calls"):
            realtime.add(Namespace("room", prefix="abc"))
        for wrong in (Formless(), Sync()):
            with pytest.raises(PluginError, match="must be an async method"):
                realtime.methods(wrong)


async def test_nothing_can_be_added_after_the_first_connection(served_once: Serve) -> None:
    async with served_once() as town:
        await town.open("alice")
        with pytest.raises(PluginError, match="too late"):
            town.kit.get(Realtime).add(Namespace("late", prefix="lat"))
        with pytest.raises(PluginError, match="too late"):
            town.kit.get(Realtime).methods(Twice())
