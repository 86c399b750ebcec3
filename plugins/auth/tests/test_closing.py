"""Statement 13: whatever ends a session is felt at once, here and in other processes; bans and deletion by contract."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import httpx
import pytest

from corekit import Actor, Caller, Corekit
from corekit.contracts.auth import Auth, Denied
from corekit.testing import FakeClock, make_kit
from corekit.web import create_app
from corekit_auth import AuthPlugin, AuthSettings
from corekit_auth.accounts import Changes
from corekit_auth.drafts import AccountDraft
from corekit_auth.errors import NoSuchUser, ValidationFailed
from corekit_auth.objects import Grant
from corekit_auth.purposes import ADMIN
from corekit_auth.service import AuthService

ANN = "ann@example.org"
PASSWORD = "correct horse battery"
NEW = "another horse battery"
End = Callable[[AuthService, Caller, Grant, Grant], Awaitable[None]]


async def sign_out(service: AuthService, caller: Caller, ended: Grant, other: Grant, scope: Any) -> None:
    who = other if scope == "others" else ended
    person = replace(caller, actor=service.bearer(who.session.access_token))
    async with person.system("auth.sign-in").begin() as ctx:
        await service.sign_out(ctx, scope)


async def change_password(service: AuthService, caller: Caller, ended: Grant, other: Grant) -> None:
    del ended
    person = replace(caller, actor=service.bearer(other.session.access_token))
    await service.update_user(person, Changes(password=NEW, current_password=PASSWORD))


async def end_one(service: AuthService, caller: Caller, ended: Grant, other: Grant) -> None:
    person = replace(caller, actor=service.bearer(other.session.access_token))
    async with person.system("auth.sign-in").begin() as ctx:
        await service.own_sessions.end(ctx, ended.session_id)


async def by_admin(service: AuthService, caller: Caller, ended: Grant, verb: str) -> None:
    user_id, elevated = ended.session.user.id, caller.system(ADMIN)
    if verb == "password":
        await service.admin.update_user(elevated, user_id, AccountDraft(password=NEW))
        return
    async with elevated.begin() as ctx:
        if verb == "ban":
            await service.ban(ctx, user_id, ctx.now() + timedelta(hours=1))
        elif verb == "logout":
            await service.admin.sign_out(ctx, user_id)
        else:
            await service.delete(ctx, user_id, soft=verb == "soft")


WAYS: Mapping[str, tuple[End, str]] = MappingProxyType(
    {
        "local": (lambda s, c, e, o: sign_out(s, c, e, o, "local"), "session_not_found"),
        "others": (lambda s, c, e, o: sign_out(s, c, e, o, "others"), "session_not_found"),
        "global": (lambda s, c, e, o: sign_out(s, c, e, o, "global"), "session_not_found"),
        "password": (change_password, "session_not_found"),
        "own list": (end_one, "session_not_found"),
        "ban": (lambda s, c, e, _: by_admin(s, c, e, "ban"), "session_not_found"),
        "delete": (lambda s, c, e, _: by_admin(s, c, e, "delete"), "user_not_found"),
        "soft delete": (lambda s, c, e, _: by_admin(s, c, e, "soft"), "user_not_found"),
        "admin": (lambda s, c, e, _: by_admin(s, c, e, "logout"), "session_not_found"),
        "admin's password": (lambda s, c, e, _: by_admin(s, c, e, "password"), "session_not_found"),
    }
)


@pytest.mark.parametrize("way", WAYS)
async def test_13_whatever_ends_a_session_is_felt_at_once(
    service: AuthService, caller: Caller, refused: Callable[..., Awaitable[str]], signed_up: Grant, way: str
) -> None:
    """Statement 13, in this process. Goes red when `Sessions.end` deletes nothing, or records no revocation."""
    other = await service.grant_by_password(caller, ANN, PASSWORD)
    token = signed_up.session.access_token
    assert isinstance(await service.authenticate(token), Actor)
    end, code = WAYS[way]
    await end(service, caller, signed_up, other)
    await refused(403, code, "GET", "/user", token)
    assert await service.authenticate(token) == Denied("revoked")


@pytest.mark.parametrize("way", ["ban", "delete", "admin's password"])
async def test_13_elsewhere_within_a_second(
    service: AuthService,
    kit: Corekit,
    caller: Caller,
    signed_up: Grant,
    tmp_path: Path,
    clock: FakeClock,
    way: str,
) -> None:
    """Statement 13, in another process: GET /user at once, the token cache of other plugins' routes by the poll."""
    async with make_kit(
        [AuthPlugin(AuthSettings())], database=kit.database.settings, tmp_path=tmp_path, clock=clock
    ) as other:
        theirs, token = other.get(AuthService), signed_up.session.access_token
        assert isinstance(await theirs.authenticate(token), Actor)
        end, code = WAYS[way]
        await end(service, caller, signed_up, signed_up)
        start = time.monotonic()
        transport = httpx.ASGITransport(create_app(other, lifespan=False))
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://test/auth/v1", headers=headers) as client:
            answer = await client.get("/user")
        assert (answer.status_code, answer.json()["error_code"]) == (403, code)

        while await theirs.authenticate(token) != Denied("revoked"):
            assert time.monotonic() - start < 10  # 500 ms, and a busy machine
            await asyncio.sleep(0.02)


async def test_finding_by_address_or_number(service: AuthService, caller: Caller, kit: Corekit) -> None:
    auth, draft = kit.get(Auth), AccountDraft(email=ANN, phone="+49 170 1234567")
    made = await service.admin.create_user(caller.system(ADMIN), draft)
    async with caller.begin(readonly=True) as ctx:
        for key in ({"email": "Ann@example.org"}, {"phone": "49 170 1234567"}):
            found = await auth.find(ctx, **key)
            assert found is not None
            assert found.id == made.id
        assert await auth.find(ctx, phone="49170") is None
        for wrong in ({}, {"email": ANN, "phone": "49170"}):
            with pytest.raises(ValidationFailed, match="exactly one"):
                await auth.find(ctx, **wrong)


async def test_a_ban_is_lifted(service: AuthService, caller: Caller, kit: Corekit, signed_up: Grant) -> None:
    auth, user_id = kit.get(Auth), signed_up.session.user.id
    async with caller.system(ADMIN).begin() as ctx:
        await auth.ban(ctx, user_id, ctx.now() + timedelta(hours=1))
        await ctx.session.flush()
        assert (await auth.users(ctx, [user_id]))[user_id].banned_until is not None
        await auth.ban(ctx, user_id, None)
    await service.grant_by_password(caller, ANN, PASSWORD)


async def test_nobody_is_banned_or_deleted_who_is_not_there(kit: Corekit, caller: Caller) -> None:
    async with caller.system(ADMIN).begin() as ctx:
        with pytest.raises(NoSuchUser):
            await kit.get(Auth).ban(ctx, uuid4(), None)
        with pytest.raises(NoSuchUser):
            await kit.get(Auth).delete(ctx, uuid4())


@pytest.mark.parametrize("settings", [{"single_session": True}])
async def test_a_new_session_takes_the_place_of_the_old(
    service: AuthService, caller: Caller, signed_up: Grant, tables: Any
) -> None:
    """Goes red when `begin` ends nothing."""
    await service.grant_by_password(caller, ANN, PASSWORD)
    assert await service.authenticate(signed_up.session.access_token) == Denied("revoked")
    assert len(await tables.read("SELECT id FROM auth_sessions")) == 1


@pytest.mark.parametrize("settings", [{"single_session": True}])
async def test_sessions_of_another_tag_stay(
    service: AuthService, caller: Caller, signed_up: Grant, tables: Any
) -> None:
    async with caller.system("auth.sign-in").begin() as ctx:
        (ann,) = await service.parts.users.by_id(ctx, [signed_up.session.user.id])
        for tag in ("phone", "laptop", "phone"):
            await service.parts.sessions.begin(ctx, ann, "password", tag=tag)
            await ctx.session.flush()
    tags = [row[0] for row in await tables.read("SELECT tag FROM auth_sessions")]
    assert sorted(tags, key=str) == [None, "laptop", "phone"]
