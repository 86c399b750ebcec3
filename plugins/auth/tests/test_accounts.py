"""One's own account: what may be changed, and what a change ends."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete, update

from corekit import Actor, Caller
from corekit.contracts.auth import Denied
from corekit.errors import InsideContext
from corekit.testing import FakeClock
from corekit_auth.accounts import Changes
from corekit_auth.errors import (
    Banned,
    CurrentPasswordInvalid,
    CurrentPasswordRequired,
    EmailExists,
    InvalidCredentials,
    MetadataTooLarge,
    NoAuthorization,
    OverRequestRate,
    ReauthenticationNeeded,
    RefreshTokenNotFound,
    SamePassword,
    SessionNotFound,
    UserNotFound,
    WeakPassword,
)
from corekit_auth.models import SessionRow, UserRow
from corekit_auth.objects import Grant
from corekit_auth.purposes import SIGN_IN
from corekit_auth.service import AuthService

ANN = "ann@example.org"
PASSWORD = "correct horse battery"
NEW = "another horse battery"
CHANGE = Changes(password=NEW, current_password=PASSWORD)


@pytest.fixture
async def ann(service: AuthService, caller: Caller, signed_up: Grant) -> Caller:
    """Give who has just signed up."""
    return replace(caller, actor=service.bearer(signed_up.session.access_token))


async def test_who_asks_reads_their_account(service: AuthService, ann: Caller, signed_up: Grant) -> None:
    assert await service.me(ann) == signed_up.session.user


async def test_somebody_who_never_signed_in_has_none(service: AuthService, caller: Caller) -> None:
    with pytest.raises(NoAuthorization):
        await service.me(caller)


async def test_what_is_wrong_with_a_live_token_is_told(
    service: AuthService, ann: Caller, clock: FakeClock, tables: Any
) -> None:
    async def me() -> None:
        await service.me(ann)

    await tables.write(update(UserRow).values(banned_until=clock.now() + timedelta(days=1)))
    with pytest.raises(Banned):
        await me()
    await tables.write(delete(SessionRow))
    with pytest.raises(SessionNotFound):
        await me()
    await tables.write(update(UserRow).values(deleted_at=clock.now()))
    with pytest.raises(UserNotFound):
        await me()


async def test_a_session_of_somebody_else_is_none(service: AuthService, ann: Caller, caller: Caller) -> None:
    bob = await service.grant_by_sign_up(caller, "bob@example.org", PASSWORD, {})
    mixed = replace(ann, actor=Actor(bob.session.user.id, proof=ann.actor.proof))
    with pytest.raises(SessionNotFound):
        await service.me(mixed)


async def test_the_hot_read_shows_what_entities_show(
    service: AuthService, ann: Caller, clock: FakeClock, tables: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every field, a sealed number among them; an account that was banned once is read the long way."""
    past = clock.now() - timedelta(days=1)
    times = {column.key: past for column in UserRow.__table__.c if column.key.endswith(("_at", "_until"))}
    texts = {"phone": "491701234567", "new_phone": "491701234568", "new_email": "new@example.org"}
    async with ann.system(SIGN_IN).begin() as ctx:
        user = await ctx.session.get_one(UserRow, ann.actor.id)
        for name, value in (times | texts | {"deleted_at": None, "user_metadata": {"a": [1, None]}}).items():
            setattr(user, name, value)
    long_way = await service.me(ann)
    await tables.write(update(UserRow).values(banned_until=None))
    expected = msgspec.structs.replace(long_way, banned_until=msgspec.UNSET)
    assert await service.me(ann) == expected  # the key is read
    monkeypatch.setattr(Caller, "begin", None)
    assert await service.me(ann) == expected  # the key is known
    assert expected.phone == "491701234567"


async def test_metadata_is_merged_and_null_removes(service: AuthService, ann: Caller, clock: FakeClock) -> None:
    clock.move(5)
    user = await service.update_user(ann, Changes(data={"town": "Aachen", "nested": {"a": 1}}))
    assert user.user_metadata == {"name": "Ann", "town": "Aachen", "nested": {"a": 1}}
    assert user.updated_at == clock.now() > user.created_at
    user = await service.update_user(ann, Changes(data={"town": None, "nested": {"b": 2}}))
    assert user.user_metadata == {"name": "Ann", "nested": {"b": 2}}
    with pytest.raises(MetadataTooLarge):
        await service.update_user(ann, Changes(data={"more": "x" * 4090}))


async def test_a_new_password_ends_all_other_sessions(
    service: AuthService, ann: Caller, caller: Caller, signed_up: Grant, tables: Any
) -> None:
    """Statement 13, and the old password is no longer good."""
    elsewhere = await service.grant_by_password(caller, ANN, PASSWORD)
    await service.update_user(ann, CHANGE)
    assert await service.authenticate(elsewhere.session.access_token) == Denied("revoked")
    with pytest.raises(RefreshTokenNotFound):
        await service.grant_by_refresh(caller, elsewhere.session.refresh_token)
    assert isinstance(await service.authenticate(signed_up.session.access_token), Actor)
    with pytest.raises(InvalidCredentials):
        await service.grant_by_password(caller, ANN, PASSWORD)
    await service.grant_by_password(caller, ANN, NEW)
    assert {"auth.password_changed", "auth.session_ended"} < set(await tables.told())


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        (Changes(password=NEW), CurrentPasswordRequired),
        (Changes(password=NEW, current_password=""), CurrentPasswordRequired),
        (Changes(password=NEW, current_password="wrong horse battery"), CurrentPasswordInvalid),
        (Changes(password=PASSWORD, current_password=PASSWORD), SamePassword),
        (Changes(password="short", current_password=PASSWORD), WeakPassword),
        (Changes(password="Ann.......", current_password=PASSWORD, data={"name": "Ann......."}), WeakPassword),
        (Changes(password=ANN, current_password=PASSWORD), WeakPassword),
    ],
)
async def test_a_password_change_that_is_refused(
    service: AuthService, ann: Caller, caller: Caller, changes: Changes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await service.update_user(ann, changes)
    await service.grant_by_password(caller, ANN, PASSWORD)


async def test_guesses_at_the_current_password_are_counted(service: AuthService, ann: Caller) -> None:
    """Or a stolen access token would find it out."""
    for _ in range(10):
        with pytest.raises(CurrentPasswordInvalid):
            await service.update_user(ann, Changes(password=NEW, current_password="wrong horse battery"))
    with pytest.raises(OverRequestRate) as refused:
        await service.update_user(ann, CHANGE)
    assert refused.value.headers["Retry-After"] == "30"


@pytest.mark.parametrize("settings", [{"demand_current_password": False}])
async def test_the_current_password_can_be_left_out_where_it_is_not_asked_for(
    service: AuthService, ann: Caller
) -> None:
    await service.update_user(ann, Changes(password=NEW))
    with pytest.raises(SamePassword):
        await service.update_user(ann, Changes(password=NEW))


async def test_an_account_without_a_password_sets_one(
    service: AuthService, ann: Caller, caller: Caller, tables: Any
) -> None:
    await tables.write(update(UserRow).values(password_hash=None))
    await service.update_user(ann, Changes(password=NEW))
    await service.grant_by_password(caller, ANN, NEW)


@pytest.mark.parametrize("changes", [CHANGE, Changes(email="new@example.org")])
async def test_an_old_sign_in_changes_no_password_and_no_address(
    service: AuthService, ann: Caller, clock: FakeClock, changes: Changes
) -> None:
    clock.move(901)
    with pytest.raises(ReauthenticationNeeded):
        await service.update_user(ann, changes)
    await service.update_user(ann, Changes(data={"still": "works"}))


async def test_a_new_address(service: AuthService, ann: Caller, caller: Caller, tables: Any) -> None:
    user = await service.update_user(ann, Changes(email=" New@Example.org"))
    assert (user.email, user.identities[0].email) == ("new@example.org", "new@example.org")
    assert user.identities[0].identity_data["email"] == "new@example.org"
    assert (await service.grant_by_password(caller, "new@example.org", PASSWORD)).session.user.identities[0].email == (
        "new@example.org"
    )
    with pytest.raises(InvalidCredentials):
        await service.grant_by_password(caller, ANN, PASSWORD)


async def test_a_taken_address(service: AuthService, ann: Caller, caller: Caller) -> None:
    await service.grant_by_sign_up(caller, "bob@example.org", PASSWORD, {})
    with pytest.raises(EmailExists):
        await service.update_user(ann, Changes(email="bob@example.org"))
    assert (await service.update_user(ann, Changes(email=ANN))).email == ANN


async def test_it_hashes_so_it_takes_no_open_context(service: AuthService, ann: Caller) -> None:
    async with ann.begin(readonly=True):
        with pytest.raises(InsideContext):
            await service.update_user(ann, CHANGE)
