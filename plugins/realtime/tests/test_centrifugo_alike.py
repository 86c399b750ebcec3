"""The gateway and Centrifugo's proxy ask plugins the same questions about the same requests, and say the same."""

from typing import Any

import pytest
from realtime_beside import BesideCentrifugo
from realtime_town import Serve, TownPlugin, room, usr

from corekit import Actor

ROOM, SQUARE = room("a"), room("a", "square")
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("subscribe", {"channel": ROOM, "data": {"why": [1, None]}}),
    ("subscribe", {"channel": SQUARE}),
    ("subscribe", {"channel": room("barred")}),
    ("subscribe", {"channel": room("a", "board")}),
    ("subscribe", {"channel": f"user:{usr('bob')}"}),
    ("subscribe", {"channel": ROOM.upper()}),
    ("subscribe", {"channel": "room:"}),
    ("publish", {"channel": SQUARE, "data": {"typing": True}}),
    ("publish", {"channel": room("barred", "square"), "data": 1}),
    ("publish", {"channel": ROOM, "data": 1}),
    ("publish", {"channel": f"user:{usr('alice')}", "data": 1}),
    ("publish", {"channel": SQUARE}),
    ("rpc", {"method": "say", "data": {"text": "hé"}}),
    ("rpc", {"method": "look", "data": {"text": ""}}),
    ("rpc", {"method": "say", "data": {"text": 1}}),
    ("rpc", {"method": "say"}),
    ("rpc", {"method": "quarrel", "data": {"text": "x"}}),
    ("rpc", {"method": "trespass", "data": {"text": "x"}}),
    ("rpc", {"method": "stumble", "data": {"text": "x"}}),
    ("rpc", {"method": ""}),
]


def bar(town: TownPlugin) -> None:
    town.barred |= {(Actor("alice").id, room("barred", family)) for family in ("room", "square")}


def told(verb: str, answer: dict[str, Any]) -> Any:
    """Reduce an answer to what the two have in common."""
    if "error" in answer:
        return answer["error"]
    return (answer.get("result") or answer.get(verb) or {}).get("data") if verb == "rpc" else "yes"


@pytest.mark.parametrize(("verb", "request_"), REQUESTS)
async def test_a_request_is_asked_about_and_answered_alike(
    served_once: Serve, by_centrifugo: BesideCentrifugo, verb: str, request_: dict[str, Any]
) -> None:
    async with served_once() as town:
        bar(town.town)
        wire = await town.open()
        await wire.ask(connect={"token": "alice", "name": "app", "data": {"x": 1}})
        by_gateway = told(verb, await wire.ask(**{verb: request_}))
        asked_by_gateway = town.town.questions
    async with by_centrifugo() as beside:
        bar(beside.town)
        await beside.ask("connect", name="app", data={"token": "alice", "x": 1})
        answer = told(verb, await beside.of("alice", verb, **request_))
    assert answer == by_gateway
    assert beside.town.questions == asked_by_gateway
    assert len(asked_by_gateway) >= 1
