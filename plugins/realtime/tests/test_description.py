"""The AsyncAPI document: every namespace and every method that was added, as they were added."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
from realtime_town import Serve, TownPlugin

from corekit.contracts.realtime import Namespace, Realtime, method_of
from corekit.plugin import Kit, Plugin
from corekit.settings import Settings
from corekit.testing import make_kit, serve
from corekit.web.asyncapi import document
from corekit_realtime import RealtimePlugin


class Sale(msgspec.Struct):
    """A thing, and what it costs."""

    thing: str
    cents: int


class MarketPlugin(Plugin[Settings]):
    """Has a channel whose publications have types, and no method."""

    name = "market"
    requires = (Realtime,)

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
        """Bring it."""
        kit.get(Realtime).add(Namespace("market", prefix="mkt", about="What is sold.", carries=(Sale, str)))
        yield


def references(node: Any) -> Iterable[str]:
    """Find every reference in a document."""
    if isinstance(node, dict):
        yield from ([node["$ref"]] if "$ref" in node else [])
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def resolved(described: Any, reference: str) -> Any:
    """Follow a reference inside the document."""
    for part in reference.removeprefix("#/").split("/"):
        described = described[part]
    return described


async def test_it_has_every_namespace_and_every_method(served_once: Serve) -> None:
    async with served_once() as town:
        described = document(town.kit)
        added = {mark[0] for name in dir(town.town.methods) if (mark := method_of(getattr(town.town.methods, name)))}
    assert added == {"say", "look", "trespass", "wait", "quarrel", "stumble"}
    assert described["channels"].keys() == {"room", "square", "board", "user"} | {f"rpc.{name}" for name in added}
    operations = {f"{name}.publication" for name in ("room", "square", "board", "user")} | {"square.publish"}
    assert described["operations"].keys() == operations | {f"rpc.{name}" for name in added}
    for reference in references(described):
        assert resolved(described, reference)


async def test_it_says_what_a_channel_is(served_once: Serve) -> None:
    async with served_once() as town:
        channels = document(town.kit)["channels"]
    assert channels["room"]["address"] == "room:{id}"
    assert "`rom`" in channels["room"]["parameters"]["id"]["description"]
    assert "Recoverable" in channels["room"]["description"]
    assert "Recoverable" not in channels["square"]["description"]
    assert "Subscribed by the server" in channels["board"]["description"]
    assert channels["square"]["messages"] == {"any": {"payload": {"description": "any JSON"}}}


async def test_it_says_what_is_published_asked_and_answered() -> None:
    async with make_kit([RealtimePlugin(), TownPlugin(), MarketPlugin()]) as kit:
        described = document(kit)
    channel = described["channels"]["market"]
    assert channel["description"].startswith("What is sold. ")
    assert channel["messages"]["str"] == {"payload": {"type": "string"}}
    sale = resolved(described, channel["messages"]["Sale"]["payload"]["$ref"])
    assert (sale["required"], sale["properties"]["cents"]) == (["thing", "cents"], {"type": "integer"})
    messages = described["channels"]["rpc.look"]["messages"]
    assert resolved(described, messages["request"]["payload"]["$ref"])["properties"] == {"text": {"type": "string"}}
    assert messages["answer"]["payload"]["additionalProperties"] == {"type": "boolean"}
    call = described["operations"]["rpc.look"]
    assert (call["action"], call["summary"]) == ("receive", "Tell about the context.")
    replies = [reference["$ref"].rpartition("/")[2] for reference in call["reply"]["messages"]]
    assert replies == ["answer", "error"]


async def test_it_is_served_beside_the_description_of_the_routes(served_once: Serve) -> None:
    async with served_once(path="/elsewhere") as town, httpx.AsyncClient(base_url=town.url) as http:
        answer = await http.get("/docs/asyncapi.json")
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.json() == document(town.kit)
        assert answer.json()["servers"]["socket"]["pathname"] == "/elsewhere"
        assert (await http.get("/docs/openapi.json")).status_code == 200


async def test_it_is_switched_off_with_it_and_gone_without_a_gateway() -> None:
    for plugins, settings in (([RealtimePlugin()], {"web": {"openapi": False}}), ([], {})):
        async with (
            make_kit(plugins, settings=settings) as kit,
            serve(kit) as url,
            httpx.AsyncClient(base_url=url) as http,
        ):
            assert (await http.get("/docs/asyncapi.json")).status_code == 404
