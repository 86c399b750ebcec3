"""The thin slice over HTTP, field by field, and its twins over RPC."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from corekit.values import parse_id, typeid, uuid7
from corekit.web import create_app

BASE = "/chat/v1/conversations"


def as_(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}"}


@pytest.fixture
async def http(world: Any) -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client of the application around the kit."""
    transport = httpx.ASGITransport(create_app(world.kit, lifespan=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_conversations_over_http(world: Any, http: httpx.AsyncClient) -> None:
    made = await http.post(
        BASE, json={"kind": "group", "title": "Lunch", "members": [world.usr("bob")]}, headers=as_("alice")
    )
    assert made.status_code == 201
    body = made.json()
    assert (body["title"], body["member_count"], body["me"]["role"]) == ("Lunch", 2, "owner")
    conv = f"{BASE}/{body['id']}"
    assert (await http.get(conv, headers=as_("alice"))).json() == body
    listed = (await http.get(BASE, headers=as_("bob"))).json()
    assert listed == {"items": [body | {"me": body["me"] | {"user": world.usr("bob"), "role": "member"}}], "next": None}

    direct = {"kind": "direct", "with": world.usr("bob")}
    answers = [await http.post(BASE, json=direct, headers=as_("alice")) for _ in range(2)]
    answers.append(await http.post(BASE, json={"kind": "direct", "with": world.usr("alice")}, headers=as_("bob")))
    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_members_over_http(world: Any, http: httpx.AsyncClient) -> None:
    conv = f"{BASE}/{(await world.create('alice')).id}"
    bob, carol = f"{conv}/members/{world.usr('bob')}", f"{conv}/members/{world.usr('carol')}"
    answer = await http.put(bob, json={"role": "moderator"}, headers=as_("alice"))
    assert answer.status_code == 201
    assert answer.json() == {
        "user": world.usr("bob"),
        "role": "moderator",
        "since_seq": 0,
        "joined_at": "2030-01-01T12:00:00.000000Z",
        "delivered_seq": 0,
        "read_seq": 0,
        "read_no": 0,
    }
    answer = await http.put(bob, json={"role": "owner"}, headers=as_("alice"))
    assert (answer.status_code, answer.json()["role"]) == (200, "moderator")
    assert (await http.put(carol, headers=as_("alice"))).status_code == 201  # a body is not needed
    answer = await http.delete(carol, headers=as_("bob"))
    assert (answer.status_code, answer.content) == (204, b"")
    answer = await http.delete(f"{conv}/members/me", headers=as_("bob"))
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await http.delete(f"{conv}/members/me", headers=as_("bob"))).status_code == 404


async def test_messages_over_http(world: Any, http: httpx.AsyncClient) -> None:
    conv = (await world.create("alice", members=["bob"])).id
    url = f"{BASE}/{conv}/messages"
    sent = await http.post(url, json={"client_id": "key", "body": "hello"}, headers=as_("alice"))
    assert (sent.status_code, sent.json()["dup"]) == (201, False)
    again = await http.post(url, json={"client_id": "key", "body": "hello"}, headers=as_("alice"))
    assert (again.status_code, again.json()) == (200, sent.json() | {"dup": True})
    for number in range(3):
        await http.post(url, json={"client_id": f"key-{number}", "body": "more"}, headers=as_("bob"))
    page = (await http.get(url, params={"limit": 3}, headers=as_("bob"))).json()
    assert [item["seq"] for item in page["items"]] == [4, 3, 2]
    page = (await http.get(url, params={"limit": 3, "cursor": page["next"]}, headers=as_("bob"))).json()
    assert page == {
        "items": [
            {
                "id": sent.json()["id"],
                "conv": conv,
                "seq": 1,
                "no": 1,
                "sender": world.usr("alice"),
                "client_id": "key",
                "kind": "text",
                "body": "hello",
                "reply_to": None,
                "rev": 1,
                "ts": sent.json()["ts"],
                "edited_at": None,
                "deleted_at": None,
            }
        ],
        "next": None,
    }


async def test_plain_uuids_are_taken_too(world: Any, http: httpx.AsyncClient) -> None:
    made = await world.create("alice")
    answer = await http.get(f"{BASE}/{parse_id('cnv', made.id)}", headers=as_("alice"))
    assert answer.json()["id"] == made.id


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        ({"client_id": "key"}, 422, 107, None),
        ({"client_id": "a b", "body": "x"}, 422, 107, None),
        ({"client_id": "key", "body": 3}, 422, 107, None),
        ({"client_id": "key", "body": "x", "knid": "text"}, 422, 107, None),
        ({"client_id": "key", "body": ""}, 422, 107, "/body"),
        ({"client_id": "key", "body": "x", "reply_to": "nonsense"}, 422, 107, "/reply_to"),
        ({"client_id": "key", "body": "a" * 16_385}, 413, 1005, "/body"),
        ({"client_id": "used", "body": "other"}, 409, 1010, "/client_id"),
    ],
)
async def test_refusals_over_http(
    world: Any, http: httpx.AsyncClient, body: dict[str, Any], status: int, code: int, pointer: str | None
) -> None:
    conv = (await world.create("alice")).id
    await world.send("alice", conv, "used", "first")
    answer = await http.post(f"{BASE}/{conv}/messages", json=body, headers=as_("alice"))
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"].startswith("urn:corekit:problem:")
    assert pointer is None or problem["pointer"] == pointer
    assert (await world.get("alice", conv)).last_seq == 1


async def test_strangers_learn_nothing(world: Any, http: httpx.AsyncClient) -> None:
    conv = (await world.create("alice")).id
    answers = []
    for id_ in (conv, typeid("cnv", uuid7())):
        url = f"{BASE}/{id_}"
        answers += [
            await http.get(url, headers=as_("bob")),
            await http.get(f"{url}/messages", headers=as_("bob")),
            await http.post(f"{url}/messages", json={"client_id": "key", "body": "x"}, headers=as_("bob")),
            await http.put(f"{url}/members/{world.usr('bob')}", json={}, headers=as_("bob")),
            await http.delete(f"{url}/members/{world.usr('alice')}", headers=as_("bob")),
            await http.delete(f"{url}/members/me", headers=as_("bob")),
        ]
    assert {(answer.status_code, answer.content) for answer in answers} == {(404, answers[0].content)}
    assert answers[0].json()["code"] == 1001
    for headers in ({}, as_("stranger")):
        assert (await http.get(BASE, headers=headers)).status_code == 401


async def test_the_same_over_rpc(world: Any) -> None:
    alice, bob = world.caller("alice"), world.caller("bob")
    call = world.gateway.call
    made = await call(alice, "conv.create", {"kind": "group", "title": "Lunch", "members": [world.usr("bob")]})
    conv = made["id"]
    assert await call(alice, "conv.get", {"conv": conv}) == made
    assert (await call(bob, "conv.list", {}))["items"][0]["id"] == conv
    member = await call(alice, "conv.invite", {"conv": conv, "user": world.usr("carol"), "role": "guest"})
    assert (member["user"], member["role"]) == (world.usr("carol"), "guest")
    assert await call(alice, "conv.kick", {"conv": conv, "user": world.usr("carol")}) == {}
    sent = await call(bob, "message.send", {"conv": conv, "client_id": "key", "body": "hello"})
    assert sent == {"id": sent["id"], "seq": 3, "no": 1, "ts": sent["ts"], "dup": False}
    page = await call(alice, "conv.history", {"conv": conv, "limit": 1})
    assert (page["items"][0]["id"], page["next"]) == (sent["id"], None)
    assert (await call(alice, "conv.history", {"conv": conv, "before": 3}))["items"] == []
    assert await call(bob, "conv.leave", {"conv": conv}) == {}


async def test_every_route_has_its_method(world: Any) -> None:
    schema = create_app(world.kit, lifespan=False).openapi_schema.to_schema()
    operations = {
        (method, path): operation["operationId"]
        for path, item in schema["paths"].items()
        if path.startswith("/chat/")
        for method, operation in item.items()
    }
    assert sorted(operations.values()) == sorted(world.gateway.verbs)
    one = f"{BASE}/{{conv}}"
    assert operations == {
        ("post", BASE): "conv.create",
        ("get", BASE): "conv.list",
        ("get", one): "conv.get",
        ("put", f"{one}/members/{{user}}"): "conv.invite",
        ("delete", f"{one}/members/{{user}}"): "conv.kick",
        ("delete", f"{one}/members/me"): "conv.leave",
        ("post", f"{one}/messages"): "message.send",
        ("get", f"{one}/messages"): "conv.history",
    }
