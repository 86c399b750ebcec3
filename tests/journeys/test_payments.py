"""The server is killed while somebody pays; the key is sent again, and they are charged once."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from people import Person, sign_up
from server import Server

from corekit.values import typeid

PAYMENTS = "/payments/v1/payments"
BODY = {
    "amount": {"amount": 49900, "currency": "INR"},
    "method": {"type": "token", "token": "tok_ok"},
    "confirm": True,
    "merchant_reference": "order-1007",
    "allow_duplicate": True,  # the rules are those that a server starts with
}


def effects(folder: Path) -> list[tuple[str, int]]:
    """Read what the sandbox has done from its journal, past the server."""
    file = folder / "var/payments/sandbox.db"
    if not file.is_file():
        return []
    with closing(sqlite3.connect(file, timeout=30)) as journal:
        return list(journal.execute("SELECT kind, amount FROM effect ORDER BY n"))


async def pay(server: Server, person: Person, key: str) -> httpx.Response:
    """Pay, and pay again with the same key, until there is a final answer."""
    async with httpx.AsyncClient(base_url=server.url, headers=person.headers, timeout=30) as http:
        for _ in range(600):
            try:
                answer = await http.post(PAYMENTS, json=BODY, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                await asyncio.sleep(0.05)
                continue
            if answer.status_code == 201:
                return answer
            assert answer.status_code in {202, 409, 503}, answer.text
            await asyncio.sleep(0.2)
    raise AssertionError("never answered")


async def test_somebody_pays_and_is_given_a_part_back(launch: Callable[..., Server], tmp_path: Path) -> None:
    """Over HTTP alone, with what a shop's clerk may do in the settings."""
    server = launch()
    server.start()
    async with httpx.AsyncClient(base_url=server.url) as http:
        ann, clerk = await sign_up(http, "ann"), await sign_up(http, "clerk")
    await asyncio.to_thread(server.stop)
    server.configure(
        COREKIT_ACCESS__ROLES=json.dumps({"clerk": ["payments:payment:capture", "payments:refund:create"]}),
        COREKIT_ACCESS__GRANTS=json.dumps({clerk.id: ["clerk"]}),
    )
    await asyncio.to_thread(server.start)
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:

        async def post(path: str, body: Any, who: Person) -> dict[str, Any]:
            headers = who.headers | {"Idempotency-Key": str(uuid4())}
            answer = await http.post(f"{PAYMENTS}{path}", json=body, headers=headers)
            assert answer.status_code in {200, 201}, answer.text
            return dict(answer.json())

        too_much = BODY | {"amount": {"amount": 500_001, "currency": "INR"}}  # for an account made just now
        refused = await http.post(PAYMENTS, json=too_much, headers=ann.headers | {"Idempotency-Key": str(uuid4())})
        assert (refused.status_code, refused.json()["reason"]) == (402, "blocked")
        held = await post("", BODY | {"capture_method": "manual"}, ann)
        assert (held["status"], held["payer"]) == ("requires_capture", typeid("usr", UUID(ann.id)))
        part = {"amount": {"amount": 9900, "currency": "INR"}}
        assert (await post(f"/{held['id']}/capture", {}, clerk))["status"] == "succeeded"
        assert (await post(f"/{held['id']}/refunds", {**part, "reason": "damaged"}, clerk))["state"] == "succeeded"
        shown = (await http.get(f"{PAYMENTS}/{held['id']}", headers=ann.headers)).json()
    assert (shown["totals"]["captured"], shown["totals"]["refunded"]) == (49900, 9900)
    assert effects(tmp_path) == [("authorize", 49900), ("capture", 49900), ("refund", 9900)]
    said = await asyncio.to_thread(server.command, "payments", "reconcile")  # beside the server
    assert " ".join(said.split()) == "sandbox listing agreed 3, listed 3 sandbox settlement nothing to compare"
    assert server.stop() == 0
    assert server.tracebacks() == []


@pytest.mark.timeout(300)  # a busy machine takes long to start a server so often
async def test_a_payment_survives_the_server(launch: Callable[..., Server], tmp_path: Path) -> None:
    """Killed at another moment of each payment: its key brings it to its end, once."""
    server = launch(COREKIT_IDEMPOTENCY__LEASE="1", COREKIT_PAYMENTS__PROVIDER_TIMEOUT="1",
                    COREKIT_PAYMENTS__OPERATION_LEASE="2", COREKIT_PAYMENTS__REQUEST_TIMEOUT="5")  # fmt: skip
    server.start()
    async with httpx.AsyncClient(base_url=server.url) as http:
        ann = await sign_up(http, "ann")
    moments = (0.0, 0.01, 0.03, 0.06)
    for number, moment in enumerate(moments):
        paying = asyncio.create_task(pay(server, ann, f"order-{number}"))
        await asyncio.sleep(moment)
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        answer = await paying
        assert answer.json()["status"] == "succeeded"
        again = await pay(server, ann, f"order-{number}")
        assert (again.content, again.headers["idempotent-replayed"]) == (answer.content, "true")
        assert effects(tmp_path) == [("authorize", 49900), ("capture", 49900)] * (number + 1)
    async with httpx.AsyncClient(base_url=server.url, headers=ann.headers) as http:
        listed = (await http.get(PAYMENTS)).json()["items"]
    assert [one["status"] for one in listed] == ["succeeded"] * len(moments)
    assert server.stop() == 0
    assert server.tracebacks() == []
