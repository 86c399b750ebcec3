"""The administrator's half of the unmodified PyPI client `supabase_auth`, against a served kit on both databases."""

from collections.abc import AsyncGenerator
from uuid import UUID, uuid4

import pytest
from supabase_auth import AsyncGoTrueClient
from supabase_auth.errors import AuthApiError

from corekit import Corekit
from corekit.testing import serve
from corekit_auth.models import FactorRow
from corekit_auth.purposes import SIGN_IN
from corekit_auth.service import AuthService

PASSWORD = "correct horse battery"


@pytest.fixture
async def server(kit: Corekit, service_key: str) -> AsyncGenerator[AsyncGoTrueClient]:
    """Give a client as a backend has it: its service key is both `apikey` and bearer."""
    async with serve(kit) as url:
        headers = {"apikey": service_key, "Authorization": f"Bearer {service_key}"}
        client = AsyncGoTrueClient(url=f"{url}/auth/v1", headers=headers, auto_refresh_token=False)
        yield client
        await client.close()


async def test_from_making_to_deleting(server: AsyncGoTrueClient) -> None:
    admin = server.admin
    made = await admin.create_user(
        {
            "email": "ann@example.org",
            "password": PASSWORD,
            "email_confirm": True,
            "user_metadata": {"name": "Ann"},
            "app_metadata": {"plan": "x"},
        }
    )
    user_id = made.user.id
    assert made.user.email_confirmed_at is not None
    assert [user.id for user in await admin.list_users()] == [user_id]
    assert await admin.list_users(page=2, per_page=10) == []
    assert (await admin.get_user_by_id(user_id)).user.user_metadata == {"name": "Ann"}
    changed = await admin.update_user_by_id(user_id, {"role": "editor", "phone": "+49 170 1234567"})
    assert (changed.user.role, changed.user.phone) == ("editor", "491701234567")
    banned = await admin.update_user_by_id(user_id, {"ban_duration": "24h"})
    assert banned.user.id == user_id
    with pytest.raises(AuthApiError) as refused:
        await server.sign_in_with_password({"email": "ann@example.org", "password": PASSWORD})
    assert refused.value.code == "user_banned"
    await admin.update_user_by_id(user_id, {"ban_duration": "none"})
    await admin.delete_user(user_id, should_soft_delete=True)
    await admin.delete_user(user_id)
    with pytest.raises(AuthApiError) as gone:
        await admin.get_user_by_id(user_id)
    assert (gone.value.status, gone.value.code) == (404, "user_not_found")
    assert await admin.list_users() == []


async def test_signing_somebody_out(server: AsyncGoTrueClient, kit: Corekit) -> None:
    grant = await kit.get(AuthService).grant_by_sign_up(kit.caller(), "ann@example.org", PASSWORD, {})
    await server.admin.sign_out(grant.session.access_token)
    with pytest.raises(AuthApiError) as refused:
        await server.get_user(grant.session.access_token)
    assert refused.value.code == "session_not_found"


async def test_second_factors(server: AsyncGoTrueClient, kit: Corekit) -> None:
    made = await server.admin.create_user({"email": "ann@example.org"})
    factor_id = uuid4()
    async with kit.caller().system(SIGN_IN).begin() as ctx:
        row = FactorRow(
            id=factor_id,
            user_id=UUID(made.user.id),
            type="totp",
            status="verified",
            friendly_name="app",
            secret="JBSWY3DPEHPK3PXP",
            failures=0,
            created_at=ctx.now(),
            updated_at=ctx.now(),
        )
        ctx.session.add(row)
    (listed,) = await server.admin.mfa.list_factors({"user_id": made.user.id})
    assert (listed.id, listed.friendly_name, listed.status) == (str(factor_id), "app", "verified")
    removed = await server.admin.mfa.delete_factor({"user_id": made.user.id, "id": str(factor_id)})
    assert removed.id == str(factor_id)
    assert await server.admin.mfa.list_factors({"user_id": made.user.id}) == []
