"""What administrators see and take away of others' second factors and passkeys."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from corekit import Corekit
from corekit.testing import FakeClock
from corekit_auth.models import FactorRow, PasskeyRow, SessionRow
from corekit_auth.objects import Grant
from corekit_auth.purposes import SIGN_IN

Web = Callable[..., httpx.AsyncClient]
Refused = Callable[..., Awaitable[str]]
SECRET = "JBSWY3DPEHPK3PXP"


def factor(user_id: UUID, now: datetime, name: str) -> FactorRow:
    return FactorRow(
        id=uuid4(),
        user_id=user_id,
        type="totp",
        status="verified",
        friendly_name=name,
        secret=SECRET,
        failures=0,
        created_at=now,
        updated_at=now,
    )


@pytest.fixture
async def factors(kit: Corekit, signed_up: Grant, clock: FakeClock) -> list[UUID]:
    """Give Ann two second factors, of which the first has raised her session."""
    rows = [factor(signed_up.session.user.id, clock.now(), name) for name in ("app", "spare")]
    async with kit.caller().system(SIGN_IN).begin() as ctx:
        ctx.session.add_all(rows)
        session = await ctx.session.get_one(SessionRow, signed_up.session_id)
        session.aal, session.factor_id = 2, rows[0].id
        session.amr = [{"method": "totp", "timestamp": 2}, {"method": "password", "timestamp": 1}]
        return [row.id for row in rows]


async def test_listing_renaming_removing(
    web: Web, refused: Refused, service_key: str, signed_up: Grant, factors: list[UUID], tables: Any
) -> None:
    """A session that used the factor drops to aal1. Goes red when `remove_factor` leaves sessions alone."""
    path = f"/admin/users/{signed_up.session.user.id}/factors"
    async with web(service_key) as client:
        answer = await client.get(path)
        assert SECRET not in answer.text
        listed = {item["id"]: item for item in answer.json()}
        assert listed.keys() == {str(factor_id) for factor_id in factors}
        first = listed[str(factors[0])]
        assert set(first) == {
            "id",
            "status",
            "friendly_name",
            "factor_type",
            "phone",
            "last_challenged_at",
            "created_at",
            "updated_at",
        }
        renamed = await client.put(f"{path}/{factors[0]}", json={"friendly_name": "new", "factor_type": "phone"})
        assert (renamed.json()["friendly_name"], renamed.json()["factor_type"]) == ("new", "totp")
        taken = {"friendly_name": "spare"}
        await refused(422, "mfa_factor_name_conflict", "PUT", f"{path}/{factors[0]}", service_key, json=taken)
        long = {"friendly_name": "x" * 121}
        await refused(400, "validation_failed", "PUT", f"{path}/{factors[0]}", service_key, json=long)
        removed = await client.delete(f"{path}/{factors[0]}")
        assert (removed.status_code, removed.json()["id"]) == (200, str(factors[0]))
        assert len((await client.get(path)).json()) == 1
    (session,) = await tables.read("SELECT aal, factor_id, amr FROM auth_sessions")
    assert tuple(session)[:2] == (1, None)
    assert "totp" not in str(session[2])
    assert "auth.factor_removed" in await tables.told()


@pytest.fixture
def settings() -> dict[str, Any]:
    """Switch passkeys on."""
    return {"passkeys": True}


@pytest.mark.parametrize("settings", [{}])
async def test_no_passkeys_where_they_are_off(refused: Refused, service_key: str, signed_up: Grant) -> None:
    path = f"/admin/users/{signed_up.session.user.id}/passkeys"
    await refused(404, "passkey_disabled", "GET", path, service_key)
    await refused(404, "passkey_disabled", "DELETE", f"{path}/{uuid4()}", service_key)


@pytest.mark.parametrize("kind", ["factors", "passkeys"])
async def test_what_is_not_there(
    refused: Refused, service_key: str, signed_up: Grant, factors: list[UUID], kind: str
) -> None:
    path = f"/admin/users/{signed_up.session.user.id}/{kind}"
    code = "mfa_factor_not_found" if kind == "factors" else "validation_failed"
    await refused(404, code, "DELETE", f"{path}/{uuid4()}", service_key)
    await refused(400, "validation_failed", "DELETE", f"{path}/7", service_key)
    somebody = f"/admin/users/{uuid4()}/{kind}"
    await refused(404, "user_not_found", "GET", somebody, service_key)
    await refused(404, "user_not_found", "DELETE", f"{somebody}/{factors[0]}", service_key)


async def test_passkeys(
    web: Web, service_key: str, kit: Corekit, signed_up: Grant, clock: FakeClock, tables: Any
) -> None:
    row = PasskeyRow(
        id=uuid4(),
        user_id=signed_up.session.user.id,
        credential_id=b"c",
        public_key=b"k",
        sign_count=0,
        aaguid="",
        transports=[],
        backup_eligible=False,
        backed_up=False,
        friendly_name="phone",
        created_at=clock.now(),
        updated_at=clock.now(),
    )
    async with kit.caller().system(SIGN_IN).begin() as ctx:
        ctx.session.add(row)
        passkey_id = row.id
    path = f"/admin/users/{signed_up.session.user.id}/passkeys"
    async with web(service_key) as client:
        (item,) = (await client.get(path)).json()
        assert set(item) == {"id", "friendly_name", "created_at"}
        assert (item["id"], item["friendly_name"]) == (str(passkey_id), "phone")
        answer = await client.delete(f"{path}/{passkey_id}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await client.get(path)).json() == []
    assert "auth.passkey_removed" in await tables.told()
