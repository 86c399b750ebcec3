"""Making accounts."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from corekit import Actor, Caller, Corekit
from corekit.errors import InsideContext
from corekit.testing import FakeClock
from corekit_auth.errors import (
    MetadataTooLarge,
    OverRequestRate,
    SignupDisabled,
    UserAlreadyExists,
    ValidationFailed,
    WeakPassword,
)
from corekit_auth.service import AuthService

ANN = "ann@example.org"
PASSWORD = "correct horse battery"


async def test_an_account_comes_with_its_first_session(
    service: AuthService, caller: Caller, clock: FakeClock, tables: Any
) -> None:
    grant = await service.grant_by_sign_up(caller, "  Ann@Example.ORG ", PASSWORD, {"name": "Ann"})
    user = grant.session.user
    assert (user.email, user.aud, user.role, user.is_anonymous) == (ANN, "authenticated", "authenticated", False)
    assert user.app_metadata == {"provider": "email", "providers": ["email"]}
    assert user.user_metadata == {"name": "Ann"}
    assert user.email_confirmed_at == user.confirmed_at == user.last_sign_in_at == clock.now()
    assert [(one.provider, one.id, one.email) for one in user.identities] == [("email", str(user.id), ANN)]
    assert grant.session.expires_in == 900
    assert grant.session.expires_at == int(clock.now().timestamp()) + 900
    actor = await service.authenticate(grant.session.access_token)
    assert isinstance(actor, Actor)
    assert actor.id == user.id
    assert sorted(await tables.told()) == ["auth.signed_in", "auth.user_created"]


async def test_the_session_remembers_where_it_began(service: AuthService, caller: Caller, tables: Any) -> None:
    await service.grant_by_sign_up(caller, ANN, PASSWORD, {})
    assert [tuple(row) for row in await tables.read("SELECT ip, user_agent FROM auth_sessions")] == [
        ("192.0.2.1", "pytest")
    ]


async def test_an_address_has_one_account(service: AuthService, caller: Caller, tables: Any) -> None:
    """Also when two people ask at once."""
    answers = await asyncio.gather(
        *(
            service.grant_by_sign_up(caller, email, PASSWORD, {})
            for email in (ANN, "ANN@example.org", " ann@example.org")
        ),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Grant", "UserAlreadyExists", "UserAlreadyExists"]
    with pytest.raises(UserAlreadyExists):
        await service.grant_by_sign_up(caller, ANN, PASSWORD, {})
    assert len(await tables.read("SELECT id FROM auth_users")) == 1
    assert len(await tables.read("SELECT id FROM auth_sessions")) == 1


@pytest.mark.parametrize(
    "email",
    ["", "ann", "ann@", "@example.org", "ann@example", "a b@example.org", "ann@ex\x00ample.org", "a" * 250 + "@b.org"],
)
async def test_what_is_no_address_is_refused(service: AuthService, caller: Caller, email: str) -> None:
    with pytest.raises(ValidationFailed, match="email"):
        await service.grant_by_sign_up(caller, email, PASSWORD, {})


async def test_a_weak_password_makes_nothing(service: AuthService, caller: Caller, tables: Any) -> None:
    with pytest.raises(WeakPassword):
        await service.grant_by_sign_up(caller, ANN, ANN, {})
    assert await tables.read("SELECT id FROM auth_users") == []


async def test_metadata_has_bounds(service: AuthService, caller: Caller) -> None:
    with pytest.raises(MetadataTooLarge):
        await service.grant_by_sign_up(caller, ANN, PASSWORD, {"a": "x" * 4096})
    with pytest.raises(ValidationFailed, match="NUL"):
        await service.grant_by_sign_up(caller, ANN, PASSWORD, {"a": "\x00"})
    grant = await service.grant_by_sign_up(caller, ANN, PASSWORD, {"a": "x" * 4000, "ä": [1, None, {"b": 2.5}]})
    assert grant.session.user.user_metadata["ä"] == [1, None, {"b": 2.5}]


@pytest.mark.parametrize("settings", [{"disable_signup": True}])
async def test_where_nobody_is_taken_it_says_so(service: AuthService, caller: Caller) -> None:
    assert not service.sign_up_open()
    with pytest.raises(SignupDisabled):
        await service.grant_by_sign_up(caller, ANN, PASSWORD, {})


@pytest.mark.parametrize("settings", [{"otp_rate": {"count": 30, "period": 300, "burst": 2}}])
async def test_one_address_signs_up_so_many(service: AuthService, kit: Corekit, caller: Caller) -> None:
    for n in range(2):
        await service.grant_by_sign_up(caller, f"{n}@example.org", PASSWORD, {})
    with pytest.raises(OverRequestRate) as refused:
        await service.grant_by_sign_up(caller, "2@example.org", PASSWORD, {})
    assert refused.value.headers["Retry-After"] == "10"
    assert await service.grant_by_sign_up(kit.caller(), "2@example.org", PASSWORD, {})  # an embedder has no address


async def test_it_hashes_so_it_takes_no_open_context(service: AuthService, caller: Caller) -> None:
    async with caller.begin(readonly=True):
        with pytest.raises(InsideContext):
            await service.grant_by_sign_up(caller, ANN, PASSWORD, {})


async def test_ids_are_in_the_order_of_time(service: AuthService, caller: Caller) -> None:
    ids: list[UUID] = [
        (await service.grant_by_sign_up(caller, f"{n}@example.org", PASSWORD, {})).session.user.id for n in range(3)
    ]
    assert ids == sorted(ids)
    assert all(one.version == 7 for one in ids)
