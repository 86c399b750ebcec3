"""Statement 17: each event has its audit entry in the same transaction, and neither holds an address or a secret."""

import ast
from collections import Counter
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest

import corekit_auth
from corekit import Caller, Client, Corekit
from corekit.contracts import auth as contract
from corekit.contracts.audit import Audit, AuditEntry, AuditQuery
from corekit.contracts.auth import EndReason, KeyRotated, PasswordChanged, SessionEnded
from corekit.events import Event
from corekit.testing import FakeClock
from corekit.values import uuid7
from corekit_auth.accounts import Changes
from corekit_auth.errors import InvalidCredentials, OverRequestRate
from corekit_auth.objects import Grant
from corekit_auth.purposes import ADMIN, SIGN_IN
from corekit_auth.service import AuthService
from corekit_auth.telling import action_of, tell

ANN = "ann@example.org"
PASSWORD = "correct horse battery"
WRONG = "canary wrong horse"
SAMPLES: dict[Any, Any] = {UUID: uuid7(), str: "totp", int: 1, bool: True, EndReason: "logout"}
EVENTS: list[type[Event]] = [
    found for found in vars(contract).values() if isinstance(found, type) and issubclass(found, Event)
]


def sample(event: type[Event]) -> Event:
    fields = msgspec.structs.fields(event)
    return event(**{field.name: SAMPLES[field.type] for field in fields if field.required})


async def entries(kit: Corekit) -> list[AuditEntry]:
    async with kit.caller().system(SIGN_IN).begin(readonly=True) as ctx:
        return (await ctx.get(Audit).find(ctx, AuditQuery(action="auth.", limit=200))).items[::-1]


async def actions(kit: Corekit) -> list[str]:
    return [entry.action.removeprefix("auth.") for entry in await entries(kit)]


def test_nothing_in_auth_emits_but_what_tells() -> None:
    """Statement 17. Red when a noun emits by itself: that event would have no entry."""
    root = Path(corekit_auth.__file__).parent
    named = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.ImportFrom) and node.module == "corekit.events" and "emit" in _names(node))
        or (isinstance(node, ast.Attribute) and node.attr == "emit")
    }
    assert named == {"telling.py"}


def _names(node: ast.ImportFrom) -> set[str]:
    return {alias.name for alias in node.names}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
async def test_each_event_has_its_entry(kit: Corekit, tables: Any, event: type[Event]) -> None:
    """Statement 17. Red when an event of the contract has no action."""
    told = sample(event)
    async with kit.caller(client=Client("192.0.2.1", "pytest")).system(SIGN_IN).begin() as ctx:
        await tell(ctx, told)
    entry = (await entries(kit))[-1]
    assert entry.action == action_of(told)
    assert entry.details.pop("event") == event.__struct_config__.tag
    fields = msgspec.to_builtins(told)
    user_id = fields.pop("user_id", None)
    assert entry.details == {name: value for name, value in fields.items() if name != "type"}
    assert entry.target is not None
    assert str(entry.target.id) == (user_id or fields["kid"])
    assert str(entry.actor) == str(user_id and UUID(user_id))
    assert entry.address == "192.0.2.1"
    assert event.__struct_config__.tag in await tables.told()


async def test_an_event_and_its_entry_are_undone_together(kit: Corekit, tables: Any) -> None:
    """Statement 17. Red when either is written in a transaction of its own."""
    before = (await actions(kit), await tables.told())

    async def broken() -> None:
        async with kit.caller().system(SIGN_IN).begin() as ctx:
            await tell(ctx, PasswordChanged(user_id=uuid7()))
            await ctx.session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await broken()
    assert (await actions(kit), await tables.told()) == before


def test_people_log_out_and_others_revoke() -> None:
    ends = {reason: action_of(SessionEnded(user_id=uuid7(), session_id=uuid7(), reason=reason)) for reason in REASONS}
    assert {reason for reason, action in ends.items() if action == "auth.logout"} == {"logout", "global", "others"}
    assert set(ends.values()) == {"auth.logout", "auth.token_revoked"}


REASONS = get_args(EndReason.__value__ if hasattr(EndReason, "__value__") else EndReason)


async def test_a_key_is_what_was_acted_on(kit: Corekit) -> None:
    async with kit.caller().system(SIGN_IN).begin() as ctx:
        await tell(ctx, KeyRotated(kid="k1"))
    entry = (await entries(kit))[-1]
    assert entry.target is not None
    assert (entry.target.kind, entry.target.id, entry.actor) == ("key", "k1", None)


async def test_what_an_account_does_is_written_down(
    kit: Corekit, service: AuthService, caller: Caller, signed_up: Grant
) -> None:
    """Statement 17, through the verbs; the user is the actor."""
    grant = await service.grant_by_password(caller, ANN, PASSWORD)
    person = kit.caller(service.bearer(grant.session.access_token), client=caller.client)
    await service.update_user(person, Changes(password="another good horse", current_password=PASSWORD))
    async with person.system(SIGN_IN).begin() as ctx:
        await service.sign_out(ctx)
    written = Counter(await actions(kit))
    assert written == {"user_signedup": 1, "login": 2, "token_revoked": 1, "user_updated_password": 1, "logout": 1}
    assert {entry.actor for entry in await entries(kit)} == {signed_up.session.user.id}


async def test_a_rotation_has_no_entry(kit: Corekit, service: AuthService, caller: Caller, signed_up: Grant) -> None:
    before = await actions(kit)
    await service.grant_by_refresh(caller, signed_up.session.refresh_token)
    assert await actions(kit) == before


async def test_what_an_administrator_does_bears_their_name(
    kit: Corekit, service: AuthService, caller: Caller, signed_up: Grant
) -> None:
    admin = await service.grant_by_sign_up(caller, "root@example.org", PASSWORD, {})
    person = kit.caller(service.bearer(admin.session.access_token))
    async with person.system(ADMIN).begin() as ctx:
        await service.ban(ctx, signed_up.session.user.id, kit.clock.now().replace(year=2100))
    named = {entry.action: entry for entry in await entries(kit)}
    ended, banned = named["auth.token_revoked"], named["auth.user_modified"]
    assert banned.details["event"] == "auth.user_banned"
    assert ended.actor == banned.actor == admin.session.user.id
    assert banned.target is not None
    assert banned.target.id == str(signed_up.session.user.id)


@pytest.mark.parametrize("email", [ANN, "nobody@example.org"])
async def test_a_failed_sign_in_leaves_an_entry_and_no_event(
    kit: Corekit, service: AuthService, caller: Caller, tables: Any, signed_up: Grant, email: str
) -> None:
    """Statement 17. Red when the refusal takes its entry with it, or when the unknown have none."""
    before = await tables.told()
    with pytest.raises(InvalidCredentials):
        await service.grant_by_password(caller, email, WRONG)
    entry = (await entries(kit))[-1]
    known = signed_up.session.user.id if email == ANN else None
    assert (entry.action, entry.actor, entry.details) == ("auth.login_failed", known, {"method": "password"})
    assert (entry.target is not None) == (known is not None)
    assert await tables.told() == before


@pytest.mark.usefixtures("signed_up")
@pytest.mark.parametrize("settings", [{"failures_free": 3}])
async def test_a_run_of_failures_is_told_once(
    service: AuthService, caller: Caller, tables: Any, clock: FakeClock
) -> None:
    """Red when each failure is told, or one that does not make the account wait."""
    counts = []
    for _ in range(5):
        with pytest.raises(InvalidCredentials):
            await service.grant_by_password(caller, ANN, WRONG)
        counts.append((await tables.told()).count("auth.account_throttled"))
        if len(counts) == 3:
            with pytest.raises(OverRequestRate):
                await service.grant_by_password(caller, ANN, WRONG)
        clock.move(700 if len(counts) > 2 else 0)
    assert counts == [0, 0, 1, 1, 1]


async def test_neither_entries_nor_events_hold_an_address_or_a_secret(
    service: AuthService, caller: Caller, tables: Any, signed_up: Grant
) -> None:
    """Statement 17. Red when an event or its details get an address, a password or a token."""
    with pytest.raises(InvalidCredentials):
        await service.grant_by_password(caller, ANN, WRONG)
    grant = await service.grant_by_password(caller, ANN, PASSWORD)
    audit = await tables.read("SELECT action, target_kind, target_id, details FROM corekit_audit")
    outbox = [bytes(row[0]) for row in await tables.read("SELECT payload FROM corekit_outbox")]
    assert len(audit) > 3
    assert len(outbox) > 2
    said = f"{audit}{outbox}"
    secrets = [grant.session.access_token, grant.session.refresh_token, signed_up.session.refresh_token]
    for secret in (ANN, "ann@", PASSWORD, WRONG, "192.0.2.1", *secrets):
        assert secret not in said
