"""The server is killed in the middle of everything; nothing that was acknowledged is gone."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from people import Inbox, Person, group, listen, sign_up
from server import Server

SENDERS = 3
MESSAGES = 300
KILLS = 3


async def send_all(server: Server, conversation: str, sender: Person, progress: list[str]) -> list[dict[str, Any]]:
    """Send one message after the other, each until it is acknowledged, always with the same `client_id`."""
    acknowledged = []
    async with httpx.AsyncClient(base_url=server.url, headers=sender.headers, timeout=5) as http:
        for number in range(MESSAGES):
            body = {"client_id": f"{sender.name}-{number}", "body": f"{sender.name} {number}"}
            acknowledged.append(await send_until_acknowledged(http, conversation, body))
            progress.append(body["body"])
    return acknowledged


async def send_until_acknowledged(http: httpx.AsyncClient, conversation: str, body: dict[str, str]) -> dict[str, Any]:
    for _ in range(600):
        try:
            answer = await http.post(f"/chat/v1/conversations/{conversation}/messages", json=body)
        except httpx.TransportError:
            await asyncio.sleep(0.05)
            continue
        if answer.status_code in {200, 201}:
            return {"body": body["body"], **answer.json()}
        assert answer.status_code in {429, 503}, answer.text
        await asyncio.sleep(0.05)
    raise AssertionError("never acknowledged")


async def kill_now_and_then(
    server: Server, progress: list[str], inboxes: list[Inbox], sending: asyncio.Future[Any]
) -> None:
    """Kill the server three times while the senders are at it.

    Each receiver has come back from the kill before: who misses more than 500 entries has to read the history.
    """
    quarter = SENDERS * MESSAGES // (KILLS + 1)
    for number in range(1, KILLS + 1):
        while len(progress) < quarter * number or any(len(box.offsets) < quarter * (number - 1) for box in inboxes):
            await asyncio.sleep(0.001)
            if sending.done():  # it failed: its error says more than a time-out
                return
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)


@pytest.mark.timeout(400)  # a busy machine takes long to start a server four times
async def test_every_acknowledged_message_arrives_once_and_in_order(launch: Callable[..., Server]) -> None:
    """3 senders × 300 messages, 3 receivers on unmodified clients, 3 × SIGKILL."""
    server = launch(COREKIT_CHAT__LIMITS="false")
    server.start()
    async with httpx.AsyncClient(base_url=server.url) as http:
        people = [await sign_up(http, name) for name in ("ann", "ben", "cem", "dee", "eli", "fay")]
        conversation = await group(http, people[0], *people[1:])
    heard = [await listen(server.socket, person, f"conv:{conversation}") for person in people[SENDERS:]]
    progress: list[str] = []
    sending = asyncio.gather(*(send_all(server, conversation, sender, progress) for sender in people[:SENDERS]))
    await kill_now_and_then(server, progress, [inbox for _, inbox in heard], sending)
    acknowledged = await sending
    expected = {answer["seq"]: answer["body"] for answers in acknowledged for answer in answers}
    assert sorted(expected) == list(range(1, SENDERS * MESSAGES + 1)), "the sequence has no gap and no double"
    for client, inbox in heard:
        await inbox.wait_for(SENDERS * MESSAGES, 120)
        assert inbox.offsets == list(range(1, SENDERS * MESSAGES + 1))
        assert {message["seq"]: message["body"] for message in inbox.messages} == expected
        await client.disconnect()
    assert server.stop() == 0
    assert server.tracebacks() == []
