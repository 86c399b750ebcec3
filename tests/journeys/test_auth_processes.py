"""Four servers on one database answer as one: refreshes, limits, ends of sessions, and the sudden end of a server."""

import asyncio
import itertools
import json
import os
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from server import Server
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

PASSWORD = "correct horse battery"
SESSIONS, AT_ONCE = int(os.environ.get("COREKIT_TEST_SESSIONS", "20")), 10
TRIES = 12
SETTINGS = {
    # Nothing comes back while the test runs.
    "COREKIT_AUTH__VERIFY_RATE": json.dumps({"count": TRIES, "period": 14_400, "burst": TRIES}),
    "COREKIT_AUTH__OTP_RATE": json.dumps({"count": 2 * SESSIONS, "period": 60, "burst": 2 * SESSIONS}),  # all sign up
}
REFRESH = "/token?grant_type=refresh_token"
Clients = Sequence[httpx.AsyncClient]


@pytest.fixture
async def four(
    launch: Callable[..., Server], database: Any, request: pytest.FixtureRequest
) -> AsyncGenerator[tuple[list[Server], Clients]]:
    """Start four servers: on PostgreSQL they share limits and sockets by it, on SQLite by Valkey."""
    shared = {"COREKIT_LIMITS__STORE": "sql"}
    if database.url.startswith("sqlite"):
        url = request.getfixturevalue("valkey_url")
        shared = {"COREKIT_REDIS__URL": url, "COREKIT_LIMITS__STORE": "redis", "COREKIT_REDIS__TIMEOUT": "5"}
        shared["COREKIT_REALTIME__BUS"] = "redis"  # alone, SQLite joins nobody
        shared["COREKIT_REALTIME__BUS_PREFIX"] = f"four-{time.time_ns()}"
    servers = [launch(**SETTINGS, **shared) for _ in range(4)]
    await asyncio.to_thread(servers[0].start)  # it migrates
    await asyncio.gather(*(asyncio.to_thread(server.start) for server in servers[1:]))
    async with AsyncExitStack() as stack:
        limits = httpx.Limits(max_connections=20)
        clients = [httpx.AsyncClient(base_url=f"{server.url}/auth/v1", timeout=30, limits=limits) for server in servers]
        for client in clients:
            await stack.enter_async_context(client)
        yield servers, clients


async def sign_up(clients: Clients, people: int) -> list[dict[str, Any]]:
    """Begin the first session of so many people."""
    bodies = [{"email": f"person.{number}@example.org", "password": PASSWORD} for number in range(people)]
    turns = list(zip(bodies, itertools.cycle(clients), strict=False))
    answers = []
    for start in range(0, people, 20):  # more at once than are hashed in two seconds is refused with 503
        some = turns[start : start + 20]
        answers += await asyncio.gather(*(client.post("/signup", json=body) for body, client in some))
    assert {answer.status_code for answer in answers} == {200}
    return [answer.json() for answer in answers]


async def refresh_together(clients: Clients, tokens: Sequence[str]) -> list[str]:
    """Refresh each session ten times at once, each time elsewhere; return the one living token of each."""
    turns = itertools.cycle(clients)
    asks = [next(turns).post(REFRESH, json={"refresh_token": token}) for token in tokens for _ in range(AT_ONCE)]
    answers = await asyncio.gather(*asks)
    assert {answer.status_code for answer in answers} == {200}
    found = [answer.json()["refresh_token"] for answer in answers]
    each = [set(found[start : start + AT_ONCE]) for start in range(0, len(found), AT_ONCE)]
    assert {len(one) for one in each} == {1}
    living = [token for one in each for token in one]
    assert not {*living} & {*tokens}
    return living


@pytest.mark.timeout(120)
async def test_four_servers_are_one(four: tuple[list[Server], Clients]) -> None:
    """Each step says what turns it red."""
    servers, clients = four
    sessions = await sign_up(clients, SESSIONS)
    tokens = await refresh_together(clients[:1], [one["refresh_token"] for one in sessions])
    tokens = await refresh_together(clients, tokens)
    await many_tries_pass_once(clients)
    await logout_closes_a_socket_elsewhere(servers, clients, sessions[0])
    await a_killed_server_costs_no_session(servers, clients, tokens[1:])


async def many_tries_pass_once(clients: Clients) -> None:
    """A limit of N passes N in all. Red where the store of limits is `memory`."""
    wrong = {"type": "recovery", "email": "nobody@example.org", "token": "000000"}
    turns = zip(range(4 * TRIES), itertools.cycle(clients), strict=False)
    answers = await asyncio.gather(*(client.post("/verify", json=wrong) for _, client in turns))
    assert sorted(answer.status_code for answer in answers) == [403] * TRIES + [429] * (3 * TRIES)


async def logout_closes_a_socket_elsewhere(servers: list[Server], clients: Clients, session: dict[str, Any]) -> None:
    """Red where realtime's ends of sign-ins stay in the process that hears of the logout."""
    async with connect(servers[3].socket, proxy=None) as socket:
        await socket.send(json.dumps({"id": 1, "connect": {"token": session["access_token"]}}))
        assert "connect" in json.loads(await socket.recv())
        bearer = {"Authorization": f"Bearer {session['access_token']}"}
        left = await clients[0].post("/logout?scope=local", headers=bearer)
        assert left.status_code == 204
        with pytest.raises(ConnectionClosed) as closed:
            async with asyncio.timeout(10):
                while True:
                    await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 3500


async def a_killed_server_costs_no_session(servers: list[Server], clients: Clients, tokens: list[str]) -> None:
    """Red where `_repeat` refuses a token that is one behind: a client whose answer was lost would be signed out."""
    rotated = 0

    async def go_on(token: str) -> str:
        nonlocal rotated
        while True:
            try:
                answer = await clients[0].post(REFRESH, json={"refresh_token": token})
            except httpx.TransportError:
                return token  # the last that arrived
            assert answer.status_code == 200, answer.text
            token, rotated = answer.json()["refresh_token"], rotated + 1

    loops = [asyncio.create_task(go_on(token)) for token in tokens]
    while rotated < 2 * len(tokens):
        await asyncio.sleep(0.005)
    await asyncio.to_thread(servers[0].kill)
    left = await asyncio.gather(*loops)
    answers = await asyncio.gather(*(clients[2].post(REFRESH, json={"refresh_token": token}) for token in left))
    assert {answer.status_code for answer in answers} == {200}
