"""What a bearer token costs in `authenticate`, known and new, beside joserfc and PyJWT, in CPU time."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import jwt as pyjwt
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from corekit.testing import make_kit
from corekit_auth import AuthPlugin
from corekit_auth.service import AuthService
from corekit_auth.verifier import Verifier

TOKENS, ROUNDS = 400, 9
KEYS: dict[str, Any] = {
    "ES256": ECKey.generate_key("P-256", private=True),
    "RS256": RSAKey.generate_key(2048, private=True),
    "HS256": OctKey.generate_key(256),
}


def claims(issuer: str) -> dict[str, Any]:
    """Say what an access token of GoTrue says."""
    now = int(time.time())
    return {
        "iss": issuer,
        "sub": str(uuid4()),
        "aud": "authenticated",
        "exp": now + 900,
        "iat": now,
        "email": "somebody@example.org",
        "phone": "",
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": {"name": "Somebody", "email_verified": True},
        "role": "authenticated",
        "aal": "aal1",
        "amr": [{"method": "password", "timestamp": now}],
        "session_id": str(uuid4()),
        "is_anonymous": False,
    }


async def ours(service: AuthService, tokens: list[str]) -> float:
    """Time `authenticate`, in µs per token."""
    began = time.thread_time()
    for token in tokens:
        await service.authenticate(token)
    return (time.thread_time() - began) / len(tokens) * 1e6


def plain(verify: Callable[[str], Any], tokens: list[str]) -> float:
    """Time a verification, in µs per token."""
    began = time.thread_time()
    for token in tokens:
        verify(token)
    return (time.thread_time() - began) / len(tokens) * 1e6


def peers(alg: str, issuer: str) -> tuple[list[str], dict[str, Callable[[str], Any]]]:
    """Sign tokens and give three ways to verify them, claims included."""
    key = KEYS[alg]
    header = {"alg": alg, "kid": "k", "typ": "JWT"}
    tokens = [jwt.encode(header, claims(issuer), key, algorithms=[alg]) for _ in range(TOKENS)]
    published = {"keys": [] if alg == "HS256" else [{**key.as_dict(private=False), "kid": "k", "alg": alg}]}
    verifier = Verifier(published, issuer=issuer, secrets={"k": key.raw_value} if alg == "HS256" else None)
    raw = key.raw_value if alg == "HS256" else key.raw_value.public_key()
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": issuer}, aud={"essential": True, "value": "authenticated"}
    )
    return tokens, {
        "ours": verifier.decode,
        "joserfc": lambda token: registry.validate(jwt.decode(token, key, algorithms=[alg]).claims),
        "PyJWT": lambda token: pyjwt.decode(token, raw, [alg], audience="authenticated", issuer=issuer),
    }


async def main() -> None:
    """Take turns, and print medians."""

    async def kit_with(cache: int) -> None:
        with TemporaryDirectory() as folder:
            tables = {"auth": {"token_cache": cache}, "jobs": {"worker": False}}
            async with make_kit([AuthPlugin()], tmp_path=Path(folder), settings=tables) as kit:
                service = kit.get(AuthService)
                tokens = [service.keys.sign(claims(service.settings.iss)) for _ in range(TOKENS)]
                await ours(service, tokens)
                took = median([await ours(service, tokens) for _ in range(ROUNDS)])
                print(f"authenticate, ES256, {'known' if cache > 1 else 'new':<6}{took:8.2f} µs")

    await kit_with(10_000)
    await kit_with(1)
    for alg in KEYS:
        tokens, ways = peers(alg, "https://auth.example.org/auth/v1")
        rounds = [{name: plain(way, tokens) for name, way in ways.items()} for _ in range(ROUNDS)]
        took = {name: median(one[name] for one in rounds) for name in ways}
        print(alg, *(f"{name} {value:7.1f} µs ({took['ours'] / value:.2f} ×)" for name, value in took.items()))


if __name__ == "__main__":
    asyncio.run(main())
