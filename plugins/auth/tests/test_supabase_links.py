"""Invitations and links of administrators with the unmodified PyPI client `supabase_auth`, on both databases."""

from collections.abc import AsyncGenerator

import pytest
from supabase_auth import AsyncGoTrueClient
from supabase_auth.errors import AuthApiError

from corekit import Corekit
from corekit.testing import serve

PASSWORD = "correct horse battery"


@pytest.fixture
async def url(kit: Corekit) -> AsyncGenerator[str]:
    """Give the address of a served kit."""
    async with serve(kit) as url:
        yield f"{url}/auth/v1"


@pytest.fixture
async def server(url: str, service_key: str) -> AsyncGenerator[AsyncGoTrueClient]:
    """Give a client as a backend has it: its service key is both `apikey` and bearer."""
    headers = {"apikey": service_key, "Authorization": f"Bearer {service_key}"}
    client = AsyncGoTrueClient(url=url, headers=headers, auto_refresh_token=False)
    yield client
    await client.close()


@pytest.fixture
async def person(url: str) -> AsyncGenerator[AsyncGoTrueClient]:
    """Give a client as people have it, without a key."""
    client = AsyncGoTrueClient(url=url, auto_refresh_token=False)
    yield client
    await client.close()


async def test_links_that_an_application_sends_itself(server: AsyncGoTrueClient, person: AsyncGoTrueClient) -> None:
    bob = "bob@example.org"
    made = await server.admin.generate_link({"type": "signup", "email": bob, "password": PASSWORD})
    assert (made.user.email, made.properties.verification_type) == (bob, "signup")
    entered = await person.verify_otp({"type": "signup", "token_hash": made.properties.hashed_token})
    assert entered.session is not None
    assert entered.session.user.id == made.user.id
    await person.sign_out()
    for type_ in ("magiclink", "recovery"):
        again = await server.admin.generate_link({"type": type_, "email": bob})
        entered = await person.verify_otp({"type": type_, "email": bob, "token": again.properties.email_otp})
        assert entered.session is not None
        assert entered.session.user.id == made.user.id
    new = "bob@new.example.org"
    for kind in ("email_change_current", "email_change_new"):
        link = await server.admin.generate_link({"type": kind, "email": bob, "new_email": new})
        entered = await person.verify_otp({"type": "email_change", "token_hash": link.properties.hashed_token})
    assert entered.session is not None
    assert entered.session.user.email == new
    with pytest.raises(AuthApiError) as refused:
        await server.admin.generate_link({"type": "recovery", "email": bob})
    assert (refused.value.status, refused.value.code) == (404, "user_not_found")


async def test_inviting(server: AsyncGoTrueClient, person: AsyncGoTrueClient) -> None:
    bob = "bob@example.org"
    invited = await server.admin.invite_user_by_email(bob, {"data": {"name": "Bob"}})
    assert invited.user.invited_at is not None
    assert invited.user.user_metadata == {"name": "Bob"}
    link = await server.admin.generate_link({"type": "invite", "email": bob, "options": {"data": {"name": "Bob"}}})
    assert link.user.id == invited.user.id
    entered = await person.verify_otp({"type": "invite", "token_hash": link.properties.hashed_token})
    assert entered.session is not None
    assert entered.session.user.id == invited.user.id
    with pytest.raises(AuthApiError) as refused:
        await server.admin.invite_user_by_email(bob)
    assert (refused.value.status, refused.value.code) == (422, "email_exists")
