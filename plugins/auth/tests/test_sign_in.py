"""Statements 3, 4 and 6: the same answer whoever is asked for, and guesses are counted."""

import asyncio
import statistics
import time
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import update

from corekit import Caller, Client, Corekit
from corekit.errors import InsideContext
from corekit.testing import FakeClock
from corekit_auth.errors import (
    BannedAtSignIn,
    EmailNotConfirmed,
    InvalidCredentials,
    OverRequestRate,
    ValidationFailed,
)
from corekit_auth.models import UserRow
from corekit_auth.objects import Grant
from corekit_auth.service import AuthService

ANN = "ann@example.org"
PASSWORD = "correct horse battery"
WRONG = "wrong horse battery"


async def refusal(service: AuthService, caller: Caller, email: str, password: str) -> tuple[str, str]:
    with pytest.raises(InvalidCredentials) as refused:
        await service.grant_by_password(caller, email, password)
    return type(refused.value).__name__, str(refused.value)


@pytest.mark.usefixtures("signed_up")
async def test_the_right_password_begins_a_session(service: AuthService, caller: Caller, tables: Any) -> None:
    grant = await service.grant_by_password(caller, " ANN@example.org", PASSWORD)
    assert grant.session.user.email == ANN
    assert len(grant.session.user.identities) == 1
    assert (grant.counter, grant.rotated, grant.reuse) == (0, False, "")
    assert len(await tables.read("SELECT id FROM auth_sessions")) == 2
    assert (await tables.told()).count("auth.signed_in") == 2


async def test_unknown_passwordless_banned_and_unconfirmed_are_told_nothing(
    service: AuthService, caller: Caller, clock: FakeClock, tables: Any
) -> None:
    """Statement 4: the same refusal for all of them, as for a wrong password."""
    for name in ("right", "passwordless", "banned", "unconfirmed"):
        await service.grant_by_sign_up(caller, f"{name}@example.org", PASSWORD, {})
    for name, values in (
        ("passwordless", {"password_hash": None}),
        ("banned", {"banned_until": clock.now().replace(year=2100)}),
        ("unconfirmed", {"email_confirmed_at": None}),
    ):
        await tables.write(update(UserRow).where(UserRow.email == f"{name}@example.org").values(values))
    names = ("right", "passwordless", "banned", "unconfirmed", "unknown")
    answers = {await refusal(service, caller, f"{name}@example.org", WRONG) for name in names}
    assert answers == {("InvalidCredentials", "Invalid login credentials")}
    assert await refusal(service, caller, "passwordless@example.org", PASSWORD) == answers.pop()
    with pytest.raises(BannedAtSignIn):
        await service.grant_by_password(caller, "banned@example.org", PASSWORD)
    with pytest.raises(EmailNotConfirmed):
        await service.grant_by_password(caller, "unconfirmed@example.org", PASSWORD)


@pytest.mark.usefixtures("signed_up")
@pytest.mark.parametrize("settings", [{"failures_free": 1000, "token_rate": {"count": 9, "period": 1, "burst": 1000}}])
async def test_time_tells_nothing(service: AuthService, caller: Caller) -> None:
    """Statement 4, on few pairs: an unknown account costs as much as a wrong password."""
    times: dict[str, list[float]] = {ANN: [], "nobody@example.org": []}
    for _ in range(25):
        for email, taken in times.items():
            start = time.perf_counter()
            await refusal(service, caller, email, WRONG)
            taken.append(time.perf_counter() - start)
    known, unknown = (statistics.median(taken) for taken in times.values())
    assert 0.6 < known / unknown < 1.67


@pytest.mark.usefixtures("signed_up")
async def test_a_weaker_hash_works_once_and_is_replaced(service: AuthService, caller: Caller, tables: Any) -> None:
    """Statement 3."""
    weaker = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    await tables.write(update(UserRow).values(password_hash=weaker))
    await service.grant_by_password(caller, ANN, PASSWORD)
    ((stored,),) = await tables.read("SELECT password_hash FROM auth_users")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    await service.grant_by_password(caller, ANN, PASSWORD)


@pytest.mark.parametrize("email", [ANN, "nobody@example.org"])
@pytest.mark.usefixtures("signed_up")
async def test_ten_failures_are_free_then_each_wait_doubles(
    service: AuthService, caller: Caller, clock: FakeClock, email: str
) -> None:
    """Statement 6, for a known and an unknown address alike; never a lock for ever."""
    for _ in range(10):
        await refusal(service, caller, email, WRONG)
    waits = []
    for _ in range(9):
        with pytest.raises(OverRequestRate) as refused:
            await service.grant_by_password(caller, email, PASSWORD if email != ANN else WRONG)
        waits.append(round(refused.value.extensions["retry_after"]))
        clock.move(refused.value.extensions["retry_after"])
        await refusal(service, caller, email, WRONG)
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


@pytest.mark.usefixtures("signed_up")
async def test_success_ends_the_run(service: AuthService, caller: Caller) -> None:
    for _ in range(3):
        for _ in range(9):
            await refusal(service, caller, ANN, WRONG)
        await service.grant_by_password(caller, ANN, PASSWORD)


@pytest.mark.usefixtures("signed_up")
async def test_the_right_password_waits_like_any_other(service: AuthService, caller: Caller, clock: FakeClock) -> None:
    """While the account waits, even the right guess is not tried."""
    for _ in range(10):
        await refusal(service, caller, ANN, WRONG)
    with pytest.raises(OverRequestRate):
        await service.grant_by_password(caller, ANN, PASSWORD)
    clock.move(30)
    await service.grant_by_password(caller, ANN, PASSWORD)


@pytest.mark.usefixtures("signed_up")
@pytest.mark.parametrize("settings", [{"token_rate": {"count": 9, "period": 1, "burst": 100}}])
async def test_of_parallel_guesses_ten_are_tried(service: AuthService, caller: Caller) -> None:
    """They are charged before they are checked."""
    answers = await asyncio.gather(
        *(service.grant_by_password(caller, ANN, WRONG) for _ in range(50)), return_exceptions=True
    )
    kinds = [type(answer) for answer in answers]
    assert kinds.count(InvalidCredentials) == 10
    assert kinds.count(OverRequestRate) == 40


@pytest.mark.parametrize("settings", [{"token_rate": {"count": 30, "period": 300, "burst": 3}}])
@pytest.mark.usefixtures("signed_up")
async def test_one_address_fails_so_often(service: AuthService, kit: Corekit, caller: Caller) -> None:
    """Signing in oneself neither costs nor widens it."""
    for n in range(2):
        await refusal(service, caller, f"{n}@example.org", WRONG)
    for _ in range(5):
        await service.grant_by_password(caller, ANN, PASSWORD)
    await refusal(service, caller, "2@example.org", WRONG)
    with pytest.raises(OverRequestRate) as refused:
        await service.grant_by_password(caller, ANN, PASSWORD)
    assert refused.value.headers["Retry-After"] == "10"
    elsewhere = kit.caller(client=Client("198.51.100.1"))
    assert await service.grant_by_password(elsewhere, ANN, PASSWORD)


@pytest.mark.parametrize("settings", [{"prefix_failure_rate": {"count": 4, "period": 3600, "burst": 4}}])
@pytest.mark.usefixtures("signed_up")
async def test_a_neighbourhood_fails_so_often(service: AuthService, kit: Corekit) -> None:
    """A spray from many addresses of one /24."""
    for n in range(4):
        await refusal(service, kit.caller(client=Client(f"203.0.113.{n}")), f"{n}@example.org", WRONG)
    with pytest.raises(OverRequestRate):
        await service.grant_by_password(kit.caller(client=Client("203.0.113.99")), ANN, PASSWORD)
    assert await service.grant_by_password(kit.caller(client=Client("203.0.114.1")), ANN, PASSWORD)


async def test_a_password_of_any_length_is_not_hashed(service: AuthService, caller: Caller) -> None:
    with pytest.raises(ValidationFailed, match="at most 256"):
        await service.grant_by_password(caller, ANN, "x" * 257)


async def test_it_hashes_so_it_takes_no_open_context(service: AuthService, caller: Caller) -> None:
    async with caller.begin(readonly=True):
        with pytest.raises(InsideContext):
            await service.grant_by_password(caller, ANN, PASSWORD)


async def test_an_account_changed_while_the_hash_was_computed(
    service: AuthService, caller: Caller, signed_up: Grant, tables: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash that was checked must still be the account's when the session begins."""
    hasher = service._sign_in._hasher
    verify = hasher.verify

    async def slow(stored: str | None, password: str) -> bool:
        right = await verify(stored, password)
        await tables.write(update(UserRow).values(password_hash="$argon2id$changed"))
        return right

    monkeypatch.setattr(hasher, "verify", slow)
    await refusal(service, caller, ANN, PASSWORD)
    assert len(await tables.read("SELECT id FROM auth_sessions")) == 1
    assert signed_up.session.user.email == ANN
