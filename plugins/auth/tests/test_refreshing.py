"""Section "refresh": what each distance between token and session means, and races."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, text, update

from corekit import Caller, Client, Corekit
from corekit.errors import InsideContext
from corekit.testing import FakeClock
from corekit_auth.errors import (
    BannedAtSignIn,
    OverRequestRate,
    RefreshTokenAlreadyUsed,
    RefreshTokenForeign,
    RefreshTokenNotFound,
    SessionExpired,
)
from corekit_auth.models import SessionRow, UserRow
from corekit_auth.objects import Grant
from corekit_auth.refresh_tokens import encode, parse
from corekit_auth.service import AuthService

PASSWORD = "correct horse battery"


@pytest.fixture
def first(signed_up: Grant) -> str:
    """Give the refresh token of a new session."""
    return signed_up.session.refresh_token


async def key_of(kit: Corekit, grant: Grant) -> bytes:
    async with kit.caller().system("auth.sign-in").begin(readonly=True) as ctx:
        session = await ctx.session.get_one(SessionRow, grant.session_id)
        return session.hmac_key


async def gone(tables: Any) -> bool:
    return await tables.read("SELECT id FROM auth_sessions") == []


async def test_a_token_is_exchanged_for_the_next(service: AuthService, caller: Caller, first: str, tables: Any) -> None:
    grant = await service.grant_by_refresh(caller, first)
    assert grant.session.refresh_token != first
    assert (grant.counter, grant.rotated, grant.reuse) == (1, True, "")
    assert grant.session.user.identities
    elsewhere = Caller(caller.kit, client=Client("198.51.100.9", "other"))
    again = await service.grant_by_refresh(elsewhere, grant.session.refresh_token)
    assert again.counter == 2
    assert [tuple(row) for row in await tables.read("SELECT ip, user_agent, counter FROM auth_sessions")] == [
        ("198.51.100.9", "other", 2)
    ]


async def test_one_behind_gets_the_current_token_whenever_it_comes(
    service: AuthService, caller: Caller, clock: FakeClock, first: str
) -> None:
    """The answer was lost: a phone that comes back after days stays signed in."""
    second = await service.grant_by_refresh(caller, first)
    clock.move(3 * 86_400)
    again = await service.grant_by_refresh(caller, first)
    assert again.session.refresh_token == second.session.refresh_token
    assert again.session.access_token != second.session.access_token
    assert (again.counter, again.rotated, again.reuse) == (1, False, "fail-to-save")


async def test_two_behind_within_the_interval_gets_the_current_token(
    service: AuthService, caller: Caller, clock: FakeClock, first: str
) -> None:
    """Several tabs at once."""
    second = await service.grant_by_refresh(caller, first)
    third = await service.grant_by_refresh(caller, second.session.refresh_token)
    clock.move(9.9)
    again = await service.grant_by_refresh(caller, first)
    assert again.session.refresh_token == third.session.refresh_token
    assert (again.rotated, again.reuse) == (False, "concurrent-refresh")


async def test_two_behind_later_is_theft(
    service: AuthService, caller: Caller, clock: FakeClock, first: str, tables: Any
) -> None:
    """Statement 12: the session is dead at once, the newest token too, although the answer is an error."""
    second = await service.grant_by_refresh(caller, first)
    third = await service.grant_by_refresh(caller, second.session.refresh_token)
    clock.move(10)
    with pytest.raises(RefreshTokenAlreadyUsed):
        await service.grant_by_refresh(caller, first)
    assert await gone(tables)
    assert {"auth.session_ended", "auth.refresh_reuse_detected"} < set(await tables.told())
    with pytest.raises(RefreshTokenNotFound):
        await service.grant_by_refresh(caller, third.session.refresh_token)
    assert getattr(await service.authenticate(third.session.access_token), "reason", "") == "revoked"


async def test_a_token_ahead_of_its_session_is_not_ours(
    service: AuthService, kit: Corekit, caller: Caller, signed_up: Grant, tables: Any
) -> None:
    ahead = encode(signed_up.session_id, 1, await key_of(kit, signed_up))
    with pytest.raises(RefreshTokenForeign):
        await service.grant_by_refresh(caller, ahead)
    assert not await gone(tables)


async def test_below_the_floor_the_current_token_is_never_handed_out(
    service: AuthService, caller: Caller, clock: FakeClock, first: str, tables: Any
) -> None:
    """After a second factor, a token from before it is refused, and is theft only outside the interval."""
    await tables.write(update(SessionRow).values(counter=2, counter_floor=2, refreshed_at=clock.now()))
    with pytest.raises(RefreshTokenAlreadyUsed):
        await service.grant_by_refresh(caller, first)
    assert not await gone(tables)
    clock.move(10)
    with pytest.raises(RefreshTokenAlreadyUsed):
        await service.grant_by_refresh(caller, first)
    assert await gone(tables)


@pytest.mark.parametrize("forgery", ["", "x", "another key", "another session", "cut", "old style"])
async def test_a_forgery_touches_nothing(
    service: AuthService, caller: Caller, signed_up: Grant, tables: Any, forgery: str
) -> None:
    other = await service.grant_by_sign_up(caller, "bob@example.org", PASSWORD, {})
    key = await key_of(service_kit(caller), other)
    text = {
        "another key": encode(signed_up.session_id, 0, key),
        "another session": encode(signed_up.session.user.id, 0, key),
        "cut": signed_up.session.refresh_token[:-1],
        "old style": "abcdefghijkl",
    }.get(forgery, forgery)
    with pytest.raises(RefreshTokenNotFound):
        await service.grant_by_refresh(caller, text)
    assert len(await tables.read("SELECT id FROM auth_sessions WHERE counter = 0")) == 2


def service_kit(caller: Caller) -> Corekit:
    assert isinstance(caller.kit, Corekit)
    return caller.kit


async def test_ten_at_once_get_one_token(service: AuthService, caller: Caller, first: str, tables: Any) -> None:
    """Statement 12."""
    grants = await asyncio.gather(*(service.grant_by_refresh(caller, first) for _ in range(10)))
    assert len({grant.session.refresh_token for grant in grants}) == 1
    assert sum(grant.rotated for grant in grants) == 1
    assert await tables.read("SELECT counter FROM auth_sessions") == [(1,)]


async def test_twenty_sessions_with_five_at_once_each(service: AuthService, caller: Caller, signed_up: Grant) -> None:
    tokens = [signed_up.session.refresh_token]
    async with caller.system("auth.sign-in").begin() as ctx:
        tokens += [(await service.issue(ctx, signed_up.session.user.id)).refresh_token for _ in range(19)]
    grants = await asyncio.gather(*(service.grant_by_refresh(caller, token) for token in tokens for _ in range(5)))
    assert len({grant.session.refresh_token for grant in grants}) == 20
    assert {grant.counter for grant in grants} == {1}


async def test_a_lost_race_is_read_again(
    service: AuthService, caller: Caller, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody counts up between our reading and our writing."""
    throttle = service._refreshing._throttle
    may_rotate, raced = throttle.may_rotate, []

    async def race(who: Caller, session_id: str) -> bool:
        if not raced:
            raced.append(True)
            raced.append(await service.grant_by_refresh(caller, first))
        return await may_rotate(who, session_id)

    monkeypatch.setattr(throttle, "may_rotate", race)
    grant = await service.grant_by_refresh(caller, first)
    assert isinstance(raced[1], Grant)
    assert grant.session.refresh_token == raced[1].session.refresh_token
    assert grant.reuse == "fail-to-save"


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"banned": True}, BannedAtSignIn),
        ({"not_after": 0}, SessionExpired),
        ({"created_at": -180 * 86_400}, SessionExpired),
        ({"refreshed_at": -30 * 86_400}, SessionExpired),
    ],
)
async def test_a_session_that_may_not_go_on(
    service: AuthService,
    caller: Caller,
    clock: FakeClock,
    first: str,
    tables: Any,
    values: dict[str, int],
    error: type[Exception],
) -> None:
    if "banned" in values:
        await tables.write(update(UserRow).values(banned_until=clock.now() + timedelta(days=1)))
    else:
        moved = {name: clock.now() + timedelta(seconds=seconds) for name, seconds in values.items()}
        await tables.write(update(SessionRow).values(moved))
    with pytest.raises(error):
        await service.grant_by_refresh(caller, first)
    assert await gone(tables) == (error is SessionExpired)


async def test_a_session_in_use_lives_180_days(
    service: AuthService, caller: Caller, clock: FakeClock, first: str
) -> None:
    token = first
    for _ in range(8):
        clock.move(20 * 86_400)
        token = (await service.grant_by_refresh(caller, token)).session.refresh_token
    clock.move(20 * 86_400)
    with pytest.raises(SessionExpired):
        await service.grant_by_refresh(caller, token)


async def test_a_ban_that_is_over_is_over(
    service: AuthService, caller: Caller, clock: FakeClock, first: str, tables: Any
) -> None:
    await tables.write(update(UserRow).values(banned_until=clock.now()))
    assert await service.grant_by_refresh(caller, first)


async def test_a_deleted_account_has_no_sessions(service: AuthService, caller: Caller, first: str, tables: Any) -> None:
    await tables.write(delete(UserRow))
    assert await gone(tables)
    with pytest.raises(RefreshTokenNotFound):
        await service.grant_by_refresh(caller, first)


@pytest.mark.parametrize("settings", [{"session_refresh_rate": {"count": 30, "period": 300, "burst": 2}}])
async def test_a_session_that_refreshes_too_often_keeps_its_token(
    service: AuthService, caller: Caller, clock: FakeClock, first: str
) -> None:
    """Never 429: that would sign the client out."""
    second = await service.grant_by_refresh(caller, first)
    third = await service.grant_by_refresh(caller, second.session.refresh_token)
    same = await service.grant_by_refresh(caller, third.session.refresh_token)
    assert same.session.refresh_token == third.session.refresh_token
    assert (same.counter, same.rotated, same.reuse) == (2, False, "")
    clock.move(10)
    assert (await service.grant_by_refresh(caller, third.session.refresh_token)).counter == 3


@pytest.mark.parametrize("settings", [{"refresh_rate": {"count": 30, "period": 300, "burst": 3}}])
async def test_only_forgeries_are_charged_to_an_address(service: AuthService, caller: Caller, first: str) -> None:
    for _ in range(3):
        with pytest.raises(RefreshTokenNotFound):
            await service.grant_by_refresh(caller, "forged")
    with pytest.raises(OverRequestRate):
        await service.grant_by_refresh(caller, "forged")
    assert await service.grant_by_refresh(caller, first)


async def test_it_ends_sessions_so_it_takes_no_open_context(service: AuthService, caller: Caller, first: str) -> None:
    async with caller.begin(readonly=True):
        with pytest.raises(InsideContext):
            await service.grant_by_refresh(caller, first)


async def test_the_token_names_its_session(signed_up: Grant) -> None:
    token = parse(signed_up.session.refresh_token)
    assert token is not None
    assert token.session_id == signed_up.session_id


async def test_a_refresh_reads_no_key_from_the_database(
    service: AuthService, caller: Caller, first: str, tables: Any
) -> None:
    """The session's key is under the system's, which the process keeps."""
    await tables.alter(text("ALTER TABLE corekit_dek RENAME TO corekit_gone"))
    assert (await service.grant_by_refresh(caller, first)).rotated
