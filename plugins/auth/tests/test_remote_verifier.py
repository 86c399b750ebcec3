"""Verifying in another service: the key set over the network, cached, read again where a key is unknown."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from corekit_auth.verifier import InvalidToken, KeysUnavailable, RemoteVerifier

ISSUER = "https://auth.example.org/auth/v1"
URL = f"{ISSUER}/.well-known/jwks.json"
NOW = 1_900_000_000


class Server:
    """Serves a key set, counts how often, and signs."""

    def __init__(self) -> None:
        self.keys = {"first": ECKey.generate_key("P-256", private=True)}
        self.asked = 0
        self.status = 200
        self.body: Any = None

    async def answer(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url) == URL
        self.asked += 1
        await asyncio.sleep(0.01)
        keys = [{**key.as_dict(private=False), "kid": kid, "alg": "ES256"} for kid, key in self.keys.items()]
        return httpx.Response(self.status, json=self.body if self.body is not None else {"keys": keys})

    def sign(self, kid: str, *, key: ECKey | None = None, **claims: Any) -> str:
        said = {
            "iss": ISSUER,
            "sub": str(uuid4()),
            "aud": "authenticated",
            "exp": NOW + 900,
            "iat": NOW,
            "role": "authenticated",
            "session_id": str(uuid4()),
        }
        return jwt.encode({"alg": "ES256", "kid": kid, "typ": "JWT"}, said | claims, key or self.keys[kid])


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def client(server: Server) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(server.answer)) as client:
        yield client


@pytest.fixture
async def checks(server: Server, client: httpx.AsyncClient) -> RemoteVerifier:
    return await RemoteVerifier.fetch(URL, issuer=ISSUER, now=lambda: NOW + 1, client=client)


async def test_the_key_set_is_read_once(checks: RemoteVerifier, server: Server) -> None:
    for _ in range(5):
        assert (await checks.verify(server.sign("first"))).role == "authenticated"
    assert server.asked == 1


async def test_a_rotation_is_followed_at_once(checks: RemoteVerifier, server: Server) -> None:
    server.keys["second"] = ECKey.generate_key("P-256", private=True)
    tokens = [server.sign("second") for _ in range(5)]
    claims = await asyncio.gather(*(checks.verify(token) for token in tokens))
    assert len(claims) == 5
    assert server.asked == 2


async def test_made_up_kids_cost_one_request(checks: RemoteVerifier, server: Server) -> None:
    other = ECKey.generate_key("P-256", private=True)
    for n in range(20):
        with pytest.raises(InvalidToken, match="invalid"):
            await checks.verify(server.sign(f"made up {n}", key=other))
    for n in range(20):
        with pytest.raises(InvalidToken, match="foreign"):
            await checks.verify(server.sign(f"made up {n}", key=other, iss="https://elsewhere.example"))
    assert server.asked == 2


async def test_after_ten_minutes_it_is_read_again(checks: RemoteVerifier, server: Server) -> None:
    token = server.sign("first")
    await checks.verify(token)
    server.keys = {"second": ECKey.generate_key("P-256", private=True)}
    checks._read_at -= 601
    with pytest.raises(InvalidToken, match="invalid"):
        await checks.verify(token)


@pytest.mark.parametrize("broken", [{"status": 503}, {"body": []}, {"body": {"keys": [{"kid": 1, "alg": "ES256"}]}}])
async def test_while_the_server_is_down_the_old_keys_serve_for_an_hour(
    checks: RemoteVerifier, server: Server, broken: dict[str, Any]
) -> None:
    vars(server).update(broken)
    checks._read_at -= 601
    assert await checks.verify(server.sign("first"))
    checks._read_at -= 3600
    checks._asked_at -= 11
    with pytest.raises(KeysUnavailable):
        await checks.verify(server.sign("first"))


async def test_without_a_key_set_there_is_none(server: Server, client: httpx.AsyncClient) -> None:
    server.status = 404
    with pytest.raises(KeysUnavailable):
        await RemoteVerifier.fetch(URL, issuer=ISSUER, client=client)
    server.status, server.body = 200, {"keys": [], "filler": "x" * 300_000}
    with pytest.raises(KeysUnavailable):
        await RemoteVerifier.fetch(URL, issuer=ISSUER, client=client)


@pytest.mark.parametrize("url", ["http://auth.example.org/jwks.json", "file:///etc/jwks.json", "auth.example.org"])
async def test_keys_come_over_https(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        await RemoteVerifier.fetch(url, issuer=ISSUER)
