"""Service keys, and statement 18: who may do an administrator's work."""

import hmac
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update

from corekit import Actor, Caller, Corekit
from corekit.contracts.auth import Denied, authenticate
from corekit.testing import FakeClock
from corekit_auth.errors import KeyNotFound, ValidationFailed
from corekit_auth.models import SessionRow, UserRow
from corekit_auth.objects import Grant
from corekit_auth.purposes import KEYS
from corekit_auth.service import AuthService
from corekit_auth.service_keys import Issued

Web = Callable[..., httpx.AsyncClient]
Refused = Callable[..., Awaitable[str]]
ADMITTED = (404, "feature_disabled")  # what is not built or switched off, said to administrators alone


async def issue(kit: Corekit, role: str = "service_role", days: float | None = 90, name: str = "reports") -> Issued:
    async with kit.caller().system(KEYS).begin() as ctx:
        life = None if days is None else timedelta(days=days)
        return await kit.get(AuthService).service_keys.issue(ctx, role=role, name=name, life=life)


async def revoke(kit: Corekit, key_id: UUID) -> None:
    async with kit.caller().system(KEYS).begin() as ctx:
        await kit.get(AuthService).service_keys.revoke(ctx, key_id)


async def promote(tables: Any, clock: FakeClock, *, aal: int = 2) -> None:
    """Make everybody an administrator, with a second factor of this moment."""
    step = {"method": "totp", "timestamp": int(clock.now().timestamp())}
    await tables.write(update(UserRow).values(role="service_role"))
    await tables.write(update(SessionRow).values(aal=aal, amr=[step] if aal > 1 else []))


async def test_a_key_speaks_for_a_service(kit: Corekit) -> None:
    issued = await issue(kit)
    actor = await kit.hooks.first(authenticate, issued.text, kit.caller())
    assert isinstance(actor, Actor)
    assert (actor.id, actor.kind) == (issued.key.id, "service")
    assert actor.proof is not None
    assert (actor.proof.role, actor.proof.expires_at) == ("service_role", issued.key.expires_at)
    assert issued.text.startswith(f"ck_svc_{issued.key.id.hex}_")


async def test_only_its_hmac_is_kept(kit: Corekit, tables: Any) -> None:
    issued = await issue(kit)
    secret = issued.text.removeprefix(f"ck_svc_{issued.key.id.hex}_")
    (row,) = await tables.read("SELECT * FROM auth_service_keys")
    assert secret not in str([bytes(value) if isinstance(value, memoryview) else value for value in row])
    assert len(bytes(row.mac)) == 32


async def test_each_use_reads_whether_it_is_good(kit: Corekit, service: AuthService, clock: FakeClock) -> None:
    issued, eternal = await issue(kit, days=1), await issue(kit, days=None)
    assert isinstance(await service.authenticate(issued.text), Actor)
    await revoke(kit, eternal.key.id)
    assert await service.authenticate(eternal.text) == Denied("revoked")
    clock.move(86_400)
    assert await service.authenticate(issued.text) == Denied("expired")
    clock.move(-1)
    assert isinstance(await service.authenticate(issued.text), Actor)


async def test_another_secret_or_id_is_refused_and_ends_the_search(kit: Corekit, service: AuthService) -> None:
    issued = await issue(kit)
    forged = issued.text[:-1] + ("A" if issued.text[-1] != "A" else "B")
    elsewhere = issued.text.replace(issued.key.id.hex, uuid4().hex)
    for text in (forged, elsewhere, "ck_svc_", "ck_svc_1_secret", issued.text + "A", issued.text.upper()[:7]):
        answer = await service.authenticate(text)
        assert answer == (Denied("invalid") if text.startswith("ck_svc_") else None)


async def test_secrets_are_compared_in_constant_time(
    kit: Corekit, service: AuthService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A known and an unknown id both cost one comparison of two HMACs of one length."""
    issued, compared = await issue(kit), []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append((len(left), len(right)))
        return hmac.compare_digest(left, right)

    monkeypatch.setattr("corekit_auth.service_keys.hmac", type("hmac", (), {"compare_digest": staticmethod(compare)}))
    await service.authenticate(issued.text)
    await service.authenticate(issued.text.replace(issued.key.id.hex, uuid4().hex))
    assert compared == [(32, 32), (32, 32)]


async def test_the_last_use_is_written_once_a_minute(
    kit: Corekit, service: AuthService, clock: FakeClock, tables: Any
) -> None:
    issued = await issue(kit)

    async def used() -> Any:
        await service.service_keys.write_down()
        async with kit.caller().system(KEYS).begin(readonly=True) as ctx:
            (key,) = await service.service_keys.all(ctx)
        return key.last_used_at

    assert await used() is None
    start = clock.now()
    await service.authenticate(issued.text)
    assert await used() == start
    clock.move(59)
    await service.authenticate(issued.text)
    assert await used() == start
    clock.move(1)
    await service.authenticate(issued.text)
    assert await used() == clock.now()


async def test_it_may_be_asked_while_a_context_is_open(kit: Corekit, service: AuthService) -> None:
    issued = await issue(kit)
    async with kit.caller().begin(readonly=True):
        assert isinstance(await service.authenticate(issued.text), Actor)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("role", {"role": "Service Role"}), ("name", {"name": ""}), ("name", {"name": "a\nb"}), ("days", {"days": 0})],
)
async def test_what_does_not_fit_is_named(kit: Corekit, field: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationFailed, match=f"^{field}: "):
        await issue(kit, **wrong)
    with pytest.raises(KeyNotFound):
        await revoke(kit, uuid4())


async def test_statement_18_administrators_routes(
    kit: Corekit, refused: Refused, signed_up: Grant, tables: Any, clock: FakeClock
) -> None:
    """None 401, a person's token 403; a good key is admitted as bearer and as `apikey`.

    Red where `Admission.admin` does not look at the role.
    """
    good, weak = await issue(kit), await issue(kit, role="reporting")
    expired, revoked = await issue(kit, days=1 / 1440), await issue(kit)
    await revoke(kit, revoked.key.id)
    mine = signed_up.session.access_token
    clock.move(60)
    for path in ("/admin/nothing", "/invite/nothing"):
        await refused(401, "no_authorization", "GET", path)
        await refused(403, "not_admin", "GET", path, mine)
        await refused(403, "not_admin", "GET", path, weak.text)
        assert "expired" in await refused(403, "bad_jwt", "GET", path, expired.text)
        assert "revoked" in await refused(403, "bad_jwt", "GET", path, revoked.text)
        await refused(403, "bad_jwt", "GET", path, "anon")
        await refused(*ADMITTED, "GET", path, good.text)
        await refused(*ADMITTED, "GET", path, headers={"apikey": good.text})
        # A client without a session sends its public key, or the service key, as both.
        await refused(*ADMITTED, "GET", path, "anon", headers={"apikey": good.text})
        await refused(*ADMITTED, "GET", path, good.text, headers={"apikey": good.text})


async def test_a_persons_bearer_wins_over_a_key(
    kit: Corekit, refused: Refused, signed_up: Grant, clock: FakeClock
) -> None:
    good = {"apikey": (await issue(kit)).text}
    await refused(403, "not_admin", "GET", "/admin/nothing", signed_up.session.access_token, headers=good)
    clock.move(900)
    await refused(403, "bad_jwt", "GET", "/admin/nothing", signed_up.session.access_token, headers=good)


async def test_a_key_is_no_person(kit: Corekit, refused: Refused) -> None:
    await refused(403, "bad_jwt", "GET", "/user", (await issue(kit)).text)
    await refused(401, "no_authorization", "GET", "/user", headers={"apikey": (await issue(kit)).text})


async def test_a_person_with_the_role_is_admitted_while_their_session_lives(
    service: AuthService, caller: Caller, signed_up: Grant, refused: Refused, tables: Any, clock: FakeClock
) -> None:
    """Statement 14 too: an administrator's second factor is asked for, and is at most twelve hours old."""
    await promote(tables, clock)
    token = (await service.grant_by_refresh(caller, signed_up.session.refresh_token)).session.access_token
    await refused(*ADMITTED, "GET", "/admin/nothing", token)
    await promote(tables, clock, aal=1)
    await refused(403, "insufficient_aal", "GET", "/admin/nothing", token)
    clock.move(-12 * 3600 - 1)
    await promote(tables, clock)
    clock.move(12 * 3600 + 1)
    await refused(403, "reauthentication_needed", "GET", "/admin/nothing", token)
    await promote(tables, clock)
    await tables.write(update(UserRow).values(role="authenticated"))
    await refused(403, "not_admin", "GET", "/admin/nothing", token)
    async with caller.system(KEYS).begin() as ctx:
        await service.end_sessions(ctx, signed_up.session.user.id)
    await refused(403, "session_not_found", "GET", "/admin/nothing", token)


async def test_the_work_is_done_on_behalf_of_the_key(kit: Corekit, service: AuthService, caller: Caller) -> None:
    issued = await issue(kit)
    elevated = await service.admission.admin(caller, bearer="", apikey=issued.text)
    assert (elevated.actor.kind, elevated.actor.name) == ("system", "auth.admin")
    assert elevated.on_behalf_of == Actor(issued.key.id, "service")
    assert elevated.client == caller.client
