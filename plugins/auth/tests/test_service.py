"""The contract `Auth`, as other plugins and embedders use it, and sign-out."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from corekit import Actor, Caller, Corekit
from corekit.contracts.auth import Auth, Denied
from corekit.testing import FakeClock
from corekit_auth.errors import RefreshTokenNotFound, SessionNotFound, UserNotFound
from corekit_auth.models import FailureRow, RevocationRow
from corekit_auth.objects import Grant
from corekit_auth.pruning import prune
from corekit_auth.purposes import PRUNE, PURPOSES, SIGN_IN
from corekit_auth.service import AuthService, Scope

ANN = "ann@example.org"
PASSWORD = "correct horse battery"


async def test_without_http_people_sign_up_and_in(kit: Corekit) -> None:
    auth, caller = kit.get(Auth), kit.caller()
    made = await auth.sign_up(caller, email=ANN, password=PASSWORD)
    again = await auth.sign_in(caller, email=ANN, password=PASSWORD)
    assert made.user_id == again.user_id
    assert made.session_id != again.session_id
    assert made.expires_in == 900


async def test_others_read_accounts(kit: Corekit, signed_up: Grant) -> None:
    auth, user_id = kit.get(Auth), signed_up.session.user.id
    async with kit.context(Actor("somebody"), readonly=True) as ctx:
        user = await auth.user(ctx, user_id)
        assert user is not None
        assert (user.id, user.email, user.user_metadata) == (user_id, ANN, {"name": "Ann"})
        assert await auth.find(ctx, email=" ANN@example.org") == user
        assert await auth.find(ctx, email="nobody@example.org") is None
        assert await auth.users(ctx, [user_id, uuid4()]) == {user_id: user}
        assert await auth.user(ctx, uuid4()) is None
        assert await auth.sessions(ctx, user_id) == []  # these are the account's own
    async with kit.context(Actor(user_id), readonly=True) as ctx:
        (session,) = await auth.sessions(ctx, user_id)
        assert (session.id, session.user_id, session.aal) == (signed_up.session_id, user_id, 1)


async def test_a_session_can_be_issued_under_a_purpose(kit: Corekit, service: AuthService, signed_up: Grant) -> None:
    async with kit.caller().system(SIGN_IN).begin() as ctx:
        pair = await service.issue(ctx, signed_up.session.user.id, method="otp")
        with pytest.raises(UserNotFound):
            await service.issue(ctx, uuid4())
    actor = await service.authenticate(pair.access_token)
    assert isinstance(actor, Actor)
    assert actor.proof is not None
    assert actor.proof.methods == ("otp",)


@pytest.mark.parametrize(
    ("scope", "left", "reasons"),
    [("local", {1, 2}, {"logout"}), ("others", {0}, {"others"}), ("global", set(), {"global"})],
)
async def test_signing_out(
    service: AuthService,
    caller: Caller,
    signed_up: Grant,
    tables: Any,
    scope: Scope,
    left: set[int],
    reasons: set[str],
) -> None:
    """Statement 13, with a second user whom it does not touch."""
    bob = await service.grant_by_sign_up(caller, "bob@example.org", PASSWORD, {})
    grants = [signed_up, *[await service.grant_by_password(caller, ANN, PASSWORD) for _ in range(2)]]
    person = replace(caller, actor=service.bearer(signed_up.session.access_token))
    async with person.system(SIGN_IN).begin() as ctx:
        await service.sign_out(ctx, scope)
    for n, grant in enumerate(grants):
        alive = n in left
        answer = await service.authenticate(grant.session.access_token)
        assert isinstance(answer, Actor) if alive else answer == Denied("revoked")
        if not alive:
            with pytest.raises(RefreshTokenNotFound):
                await service.grant_by_refresh(caller, grant.session.refresh_token)
    assert isinstance(await service.authenticate(bob.session.access_token), Actor)
    rows = await tables.read("SELECT payload FROM corekit_outbox WHERE tag = 'auth.session_ended'")
    assert len(rows) == 3 - len(left)
    assert all(any(reason.encode() in bytes(row[0]) for reason in reasons) for row in rows)
    assert await tables.read("SELECT count(*) FROM auth_revocations") == [(3 - len(left),)]
    if scope != "others":
        with pytest.raises(SessionNotFound):
            async with person.system(SIGN_IN).begin() as ctx:
                await service.sign_out(ctx, scope)


async def test_what_has_run_out_is_deleted(
    kit: Corekit, service: AuthService, signed_up: Grant, clock: FakeClock, tables: Any
) -> None:
    async with kit.caller().system(SIGN_IN).begin() as ctx:
        await service.end_sessions(ctx, signed_up.session.user.id)
        ctx.session.add(FailureRow(key=b"old", n=3, blocked_until=0))
    async with kit.caller().system(PRUNE).begin() as ctx:
        await prune(ctx, service.settings)
    assert await tables.read("SELECT count(*) FROM auth_failures") == [(0,)]
    assert await tables.read("SELECT count(*) FROM auth_revocations") == [(1,)]
    clock.move(900 + 3601)
    async with kit.caller().system(PRUNE).begin() as ctx:
        await prune(ctx, service.settings)
    assert await tables.read(f"SELECT count(*) FROM {RevocationRow.__tablename__}") == [(0,)]  # noqa: S608


def test_every_purpose_says_what_for() -> None:
    assert set(PURPOSES) == {
        "auth.sign-in",
        "auth.authenticate",
        "auth.keys",
        "auth.prune",
        "auth.directory",
        "auth.import",
        "auth.send-code",
        "auth.admin",
    }
    assert all(sentence.endswith(".") for sentence in PURPOSES.values())
