"""Statements 13 and 15: who a token speaks for, here and in other processes, and how soon an end is known."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from corekit import Actor, Caller, Corekit, Plugin, Settings, implements
from corekit.contracts.auth import Denied, authenticate
from corekit.data import DatabaseSettings
from corekit.testing import FakeClock, make_kit
from corekit_auth import AuthPlugin, AuthSettings
from corekit_auth.errors import BadJwt, NoAuthorization
from corekit_auth.models import UserRow
from corekit_auth.objects import Grant
from corekit_auth.purposes import SIGN_IN
from corekit_auth.service import AuthService


async def until(met: Callable[[], Awaitable[bool]], seconds: float = 3) -> None:
    async with asyncio.timeout(seconds):
        while not await met():
            await asyncio.sleep(0.02)


async def end_all(service: AuthService, kit: Corekit, grant: Grant) -> int:
    async with kit.caller().system(SIGN_IN).begin() as ctx:
        return await service.end_sessions(ctx, grant.session.user.id, reason="admin")


async def test_a_token_says_how_somebody_signed_in(kit: Corekit, signed_up: Grant, clock: FakeClock) -> None:
    actor = await kit.hooks.first(authenticate, signed_up.session.access_token, kit.caller())
    assert isinstance(actor, Actor)
    assert (actor.id, actor.kind, actor.roles) == (signed_up.session.user.id, "user", frozenset())
    assert actor.proof is not None
    assert (actor.proof.session_id, actor.proof.aal, actor.proof.methods) == (signed_up.session_id, 1, ("password",))
    assert (actor.proof.authenticated_at, actor.proof.role) == (clock.now(), "authenticated")
    assert actor.proof.expires_at == clock.now() + timedelta(seconds=900)


async def test_an_ended_session_is_refused_at_once(service: AuthService, kit: Corekit, signed_up: Grant) -> None:
    token = signed_up.session.access_token
    assert isinstance(await service.authenticate(token), Actor)
    assert await end_all(service, kit, signed_up) == 1
    assert await service.authenticate(token) == Denied("revoked")
    assert await end_all(service, kit, signed_up) == 0


async def test_a_rolled_back_end_is_none(service: AuthService, kit: Corekit, signed_up: Grant) -> None:
    with pytest.raises(RuntimeError):
        async with kit.caller().system(SIGN_IN).begin() as ctx:
            await service.end_sessions(ctx, signed_up.session.user.id)
            raise RuntimeError
    assert isinstance(await service.authenticate(signed_up.session.access_token), Actor)


async def test_the_longest_life_of_a_token_is_its_own(service: AuthService, signed_up: Grant, clock: FakeClock) -> None:
    token = signed_up.session.access_token
    clock.move(899)
    assert isinstance(await service.authenticate(token), Actor)
    clock.move(1)
    assert await service.authenticate(token) == Denied("expired")


@pytest.mark.parametrize("token", ["", "anon", "ck_svd_1_secret", "eyJhbGciOiJIUzI1NiJ9.e30.x", "ü" * 40, "x" * 20_000])
async def test_a_foreign_token_is_for_others(service: AuthService, token: str) -> None:
    assert await service.authenticate(token) is None


async def test_a_changed_token_is_refused(service: AuthService, signed_up: Grant) -> None:
    head, body, signature = signed_up.session.access_token.split(".")
    assert await service.authenticate(f"{head}.{body}.{signature[::-1]}") == Denied("invalid")


@pytest.mark.parametrize("settings", [{"revocation_poll": 0.05}])
async def test_another_process_learns_of_an_end_within_a_second(
    service: AuthService, kit: Corekit, signed_up: Grant, tmp_path: Path, clock: FakeClock
) -> None:
    async with make_kit(
        [AuthPlugin(AuthSettings())], database=kit.database.settings, tmp_path=tmp_path, clock=clock
    ) as other:
        theirs, token = other.get(AuthService), signed_up.session.access_token
        assert isinstance(await theirs.authenticate(token), Actor)
        await end_all(service, kit, signed_up)
        start = time.monotonic()

        async def refused() -> bool:
            return await theirs.authenticate(token) == Denied("revoked")

        await until(refused)
        assert time.monotonic() - start < 10  # 500 ms, and a busy machine


async def test_a_process_that_starts_later_knows_it_too(
    service: AuthService, kit: Corekit, signed_up: Grant, tmp_path: Path, clock: FakeClock
) -> None:
    await end_all(service, kit, signed_up)
    clock.move(600)
    async with make_kit([AuthPlugin()], database=kit.database.settings, tmp_path=tmp_path, clock=clock) as other:
        assert await other.get(AuthService).authenticate(signed_up.session.access_token) == Denied("revoked")


@pytest.mark.parametrize("settings", [{"revocation_poll": 3600, "revocation_stale": 0}])
async def test_without_news_the_row_is_read(
    service: AuthService, kit: Corekit, signed_up: Grant, clock: FakeClock, tables: Any
) -> None:
    """Somebody else ended the session, and this process could not read of it."""
    token = signed_up.session.access_token
    assert isinstance(await service.authenticate(token), Actor)
    await tables.write(update(UserRow).values(banned_until=clock.now() + timedelta(days=1)))
    assert await service.authenticate(token) == Denied("banned")
    await tables.write(text("DELETE FROM auth_sessions"))  # type: ignore[arg-type]
    assert await service.authenticate(token) == Denied("revoked")


@pytest.mark.parametrize("settings", [{"revocation_poll": 0.02, "revocation_stale": 0.2}])
async def test_a_poll_that_fails_goes_on(service: AuthService, kit: Corekit, signed_up: Grant, tables: Any) -> None:
    await tables.alter(text("ALTER TABLE auth_revocations RENAME TO elsewhere"))  # type: ignore[arg-type]
    revocations = service._gate._revocations

    async def stale() -> bool:
        return revocations.stale

    async def fresh() -> bool:
        return not revocations.stale

    await until(stale)
    assert isinstance(await service.authenticate(signed_up.session.access_token), Actor)
    await tables.alter(text("ALTER TABLE elsewhere RENAME TO auth_revocations"))  # type: ignore[arg-type]
    await until(fresh)


async def test_the_set_forgets_what_tokens_have_outlived(
    service: AuthService, kit: Corekit, signed_up: Grant, clock: FakeClock
) -> None:
    await end_all(service, kit, signed_up)
    revocations = service._gate._revocations
    assert signed_up.session_id in revocations
    clock.move(1000)
    await revocations.read()
    assert signed_up.session_id not in revocations


def test_a_route_of_auth_says_what_is_wrong(service: AuthService, signed_up: Grant, clock: FakeClock) -> None:
    with pytest.raises(NoAuthorization):
        service.bearer("")
    with pytest.raises(BadJwt):
        service.bearer("anon")
    assert service.bearer(signed_up.session.access_token).id == signed_up.session.user.id
    clock.move(900)
    with pytest.raises(BadJwt, match="expired"):
        service.bearer(signed_up.session.access_token)


class NosyPlugin(Plugin[Settings]):
    """Takes every token that auth leaves."""

    name = "nosy"

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    @implements(authenticate, trylast=True)
    async def mine(self, token: str) -> Actor | None:
        self.asked.append(token)
        return Actor("nosy")


async def test_a_refused_token_of_ours_never_reaches_the_next(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock
) -> None:
    nosy = NosyPlugin()
    async with make_kit([AuthPlugin(), nosy], database=database, tmp_path=tmp_path, clock=clock) as kit:
        service = kit.get(AuthService)
        pair = await service.sign_up(kit.caller(), email="ann@example.org", password="correct horse battery")
        async with kit.caller().system(SIGN_IN).begin() as ctx:
            await service.end_sessions(ctx, pair.user_id)
        ask = kit.hooks.first
        assert await ask(authenticate, pair.access_token, kit.caller()) == Denied("revoked")
        clock.move(900)
        assert await ask(authenticate, pair.access_token, kit.caller()) == Denied("expired")
        assert nosy.asked == []
        assert await ask(authenticate, "theirs", kit.caller()) == Actor("nosy")


async def test_a_known_token_costs_little(service: AuthService, signed_up: Grant) -> None:
    """The real figure is in the benchmarks; this catches a signature that is checked again."""
    token = signed_up.session.access_token
    await service.authenticate(token)
    taken = []
    for _ in range(10):
        start = time.perf_counter()
        for _ in range(200):
            await service.authenticate(token)
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.01


async def test_it_takes_a_caller_and_no_context(kit: Corekit, service: AuthService, signed_up: Grant) -> None:
    """It may be asked while a context is open, since a known token needs no database."""
    caller: Caller = kit.caller()
    async with caller.begin(readonly=True):
        assert isinstance(await service.authenticate(signed_up.session.access_token), Actor)
