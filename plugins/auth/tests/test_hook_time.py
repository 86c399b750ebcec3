"""A hook that hangs costs one request its answer, and holds nobody else up."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyotp
import pytest

from corekit import Context, Corekit, Plugin, Settings, implements
from corekit.contracts.auth import (
    Attempt,
    Reject,
    User,
    UserDraft,
    after_user_created,
    before_user_created,
    custom_access_token,
    mfa_verification_attempt,
    password_verification_attempt,
)
from corekit.data import DatabaseSettings
from corekit.testing import FakeClock, make_kit
from corekit_auth import AuthPlugin
from corekit_auth.errors import HookTimeout, InvalidCredentials
from corekit_auth.objects import Grant
from corekit_auth.service import AuthService

ANN, PASSWORD = "ann@example.org", "correct horse battery"


class SlowPlugin(Plugin[Settings]):
    """Implements every hook that runs inside a transaction; the one that a test names never answers."""

    name = "slow"

    def __init__(self) -> None:
        super().__init__()
        self.hangs = ""
        self.asked: list[str] = []

    async def _reach(self, hook: str) -> None:
        self.asked.append(hook)
        if hook == self.hangs:
            await asyncio.Event().wait()

    @implements(before_user_created)
    async def before(self, draft: UserDraft) -> UserDraft | None:
        await self._reach("before_user_created")
        return draft

    @implements(after_user_created)
    async def after(self, user: User) -> None:
        assert user.id
        await self._reach("after_user_created")

    @implements(custom_access_token)
    async def claims(self, claims: dict[str, Any]) -> dict[str, Any] | None:
        await self._reach("custom_access_token")
        return claims

    @implements(password_verification_attempt)
    async def password(self, attempt: Attempt, ctx: Context) -> Reject | None:
        assert (ctx.on_behalf_of, ctx.readonly) == (None, False)  # nobody is signed in yet
        await self._reach("password_verification_attempt")
        return None

    @implements(mfa_verification_attempt)
    async def factor(self, attempt: Attempt) -> Reject | None:
        assert attempt.factor_type == "totp"
        await self._reach("mfa_verification_attempt")
        return None


@pytest.fixture
def slow() -> SlowPlugin:
    return SlowPlugin()


@pytest.fixture
async def kit(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock, slow: SlowPlugin
) -> AsyncGenerator[Corekit]:
    tables: dict[str, Any] = {"auth": {"hook_timeout": 0.2}, "jobs": {"worker": False}}
    plugins = [AuthPlugin(), slow]
    async with make_kit(plugins, database=database, tmp_path=tmp_path, clock=clock, settings=tables) as kit:
        yield kit


@pytest.mark.parametrize("hook", ["before_user_created", "after_user_created", "custom_access_token"])
async def test_a_sign_up_is_undone(
    service: AuthService, kit: Corekit, slow: SlowPlugin, tables: Any, hook: str
) -> None:
    """Red where the hook is awaited without `in_time` (the test hangs)."""
    slow.hangs = hook
    with pytest.raises(HookTimeout):
        await service.grant_by_sign_up(kit.caller(), ANN, PASSWORD, {})
    assert slow.asked[-1] == hook
    assert await tables.read("SELECT count(*) FROM auth_users") == [(0,)]


async def test_a_wrong_password_counts_though_nobody_answers(
    service: AuthService, kit: Corekit, signed_up: Grant, slow: SlowPlugin, tables: Any
) -> None:
    slow.hangs = "password_verification_attempt"
    with pytest.raises(HookTimeout):
        await service.grant_by_password(kit.caller(), ANN, "wrong horse battery")
    assert await tables.read("SELECT sum(n) FROM auth_failures") == [(1,)]
    with pytest.raises(HookTimeout):
        await service.grant_by_password(kit.caller(), ANN, PASSWORD)
    slow.hangs = ""
    with pytest.raises(InvalidCredentials):
        await service.grant_by_password(kit.caller(), ANN, "wrong horse battery")
    again = await service.grant_by_password(kit.caller(), ANN, PASSWORD)
    assert again.session.user.id == signed_up.session.user.id


async def test_a_factor_stays_as_it_was(
    service: AuthService, kit: Corekit, signed_up: Grant, slow: SlowPlugin, clock: FakeClock
) -> None:
    caller = replace(kit.caller(), actor=service.bearer(signed_up.session.access_token))
    enrolled = await service.factors.enroll(caller, "totp")
    asked = (await service.factors.challenge(caller, enrolled.id)).id
    code = pyotp.TOTP(enrolled.totp.secret).at(clock.now())
    slow.hangs = "mfa_verification_attempt"
    with pytest.raises(HookTimeout):
        await service.factors.verify(caller, enrolled.id, asked, code)
    slow.hangs = ""
    lifted = await service.factors.verify(caller, enrolled.id, asked, code)  # neither step nor challenge was used up
    proof = service.bearer(lifted.session.access_token).proof
    assert proof is not None
    assert proof.aal == 2
