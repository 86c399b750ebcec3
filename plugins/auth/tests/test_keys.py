"""Signing keys: made once, sealed, published, the same after a restart."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from sqlalchemy import select, update

from corekit import Caller, Corekit
from corekit.contracts.auth import Denied
from corekit.data import Sealed
from corekit.errors import DecryptFailed
from corekit.testing import FakeClock, make_kit
from corekit_auth import AuthPlugin
from corekit_auth.keys import Keys, _insert
from corekit_auth.models import SessionRow, SigningKeyRow
from corekit_auth.objects import Grant
from corekit_auth.purposes import KEYS
from corekit_auth.service import AuthService


async def test_the_first_start_makes_one_key(service: AuthService, tables: Any) -> None:
    (row,) = await tables.read("SELECT kid, alg, state, private FROM auth_signing_keys")
    assert (row.alg, row.state) == ("ES256", "signing")
    assert row.private.startswith("v1.")
    assert "PRIVATE" not in row.private
    (published,) = service.keys.jwks["keys"]
    assert set(published) == {"kty", "crv", "x", "y", "kid", "alg", "use", "key_ops"}
    assert published["kid"] == row.kid == ECKey.import_key(published).thumbprint()


async def test_what_it_signs_joserfc_verifies(service: AuthService, signed_up: Grant) -> None:
    token = jwt.decode(signed_up.session.access_token, KeySet.import_key_set(service.keys.jwks), algorithms=["ES256"])
    assert token.header == {"alg": "ES256", "kid": service.keys.kid, "typ": "JWT"}
    claims = token.claims
    assert claims["iss"] == "http://localhost:8000/auth/v1"
    assert claims["amr"] == [{"method": "password", "timestamp": claims["iat"]}]
    assert {
        name: claims[name] for name in ("aud", "role", "aal", "email", "phone", "is_anonymous", "user_metadata")
    } == {
        "aud": "authenticated",
        "role": "authenticated",
        "aal": "aal1",
        "email": "ann@example.org",
        "phone": "",
        "is_anonymous": False,
        "user_metadata": {"name": "Ann"},
    }
    assert claims["session_id"] == str(signed_up.session_id)
    assert claims["exp"] - claims["iat"] == 900


async def test_a_restart_changes_nothing(
    kit: Corekit, service: AuthService, signed_up: Grant, tmp_path: Path, clock: FakeClock
) -> None:
    async with make_kit([AuthPlugin()], database=kit.database.settings, tmp_path=tmp_path, clock=clock) as other:
        assert other.get(AuthService).keys.jwks == service.keys.jwks
        actor = await other.get(AuthService).authenticate(signed_up.session.access_token)
        assert getattr(actor, "id", None) == signed_up.session.user.id


async def test_two_first_starts_agree(kit: Corekit, tables: Any) -> None:
    """Whoever comes second finds a key that signs, and uses it."""

    async def insert() -> None:
        async with kit.caller().system(KEYS).begin() as ctx:
            await _insert(ctx)

    await asyncio.gather(*(insert() for _ in range(4)))
    assert await tables.read("SELECT count(*) FROM auth_signing_keys") == [(1,)]


async def test_a_retired_key_is_neither_published_nor_good(
    kit: Corekit, service: AuthService, signed_up: Grant, tables: Any, tmp_path: Path, clock: FakeClock
) -> None:
    await tables.write(update(SigningKeyRow).values(state="retired"))
    keys = await Keys.load(kit)
    assert keys.kid != service.keys.kid
    assert [key["kid"] for key in keys.jwks["keys"]] == [keys.kid]
    async with make_kit([AuthPlugin()], database=kit.database.settings, tmp_path=tmp_path, clock=clock) as other:
        assert await other.get(AuthService).authenticate(signed_up.session.access_token) == Denied("invalid")


async def test_a_key_that_only_verifies_is_published_and_good(
    kit: Corekit, service: AuthService, signed_up: Grant, tables: Any
) -> None:
    await tables.write(update(SigningKeyRow).values(state="verifying"))
    keys = await Keys.load(kit)
    assert [key["kid"] for key in keys.jwks["keys"]] == [service.keys.kid, keys.kid]
    verifier = keys.verifier(service.settings, now=lambda: kit.clock.now().timestamp())
    assert verifier.verify(signed_up.session.access_token).sub == signed_up.session.user.id


async def test_a_sealed_key_cannot_be_moved(kit: Corekit, service: AuthService, tables: Any) -> None:
    """It is bound to its row."""
    await tables.write(update(SigningKeyRow).values(id=uuid4()))
    with pytest.raises(DecryptFailed):
        await Keys.load(kit)


async def test_rows_from_before_the_data_keys_stay_readable(
    kit: Corekit, service: AuthService, caller: Caller, signed_up: Grant, tables: Any
) -> None:
    """They are directly under the keyring, at the same place; `corekit keyring rotate` seals them again."""
    (key,) = await tables.read("SELECT kid FROM auth_signing_keys")
    async with kit.caller().system(KEYS).begin(readonly=True) as ctx:
        signing = await ctx.session.scalar(select(SigningKeyRow))
        session = await ctx.session.scalar(select(SessionRow))
        assert signing
        assert session
        private = kit.keyring.seal(signing.private.encode(), f"auth_signing_keys.private.{signing.id}")
        hmac_key = kit.keyring.seal(session.hmac_key, f"auth_sessions.hmac_key.{session.id}")
    await tables.write(update(SigningKeyRow).values(private=Sealed(private)))
    await tables.write(update(SessionRow).values(hmac_key=Sealed(hmac_key)))
    assert (await Keys.load(kit)).kid == key.kid
    assert (await service.grant_by_refresh(caller, signed_up.session.refresh_token)).counter == 1
