"""The unmodified PyPI client `supabase_auth` against a served kit."""

from collections.abc import AsyncGenerator, Callable

import pytest
from supabase_auth import AsyncGoTrueClient
from supabase_auth.errors import AuthApiError, AuthWeakPasswordError

from corekit.testing import make_kit, serve
from corekit_auth import AuthPlugin

ANN = {"email": "ann@example.org", "password": "correct horse battery"}


@pytest.fixture
async def client() -> AsyncGenerator[Callable[[], AsyncGoTrueClient]]:
    """Give a maker of clients, as an application without a session makes them."""
    clients: list[AsyncGoTrueClient] = []
    async with make_kit([AuthPlugin()]) as kit, serve(kit) as url:

        def make() -> AsyncGoTrueClient:
            headers = {"apikey": "anon", "Authorization": "Bearer anon"}
            clients.append(AsyncGoTrueClient(url=f"{url}/auth/v1", headers=headers, auto_refresh_token=False))
            return clients[-1]

        yield make
        for one in clients:
            await one.close()


async def test_from_sign_up_to_sign_out(client: Callable[[], AsyncGoTrueClient]) -> None:
    """One person with two clients."""
    phone, laptop = client(), client()
    signed_up = await phone.sign_up({**ANN, "options": {"data": {"name": "Ann"}}})
    assert signed_up.session is not None
    signed_in = await laptop.sign_in_with_password(ANN)
    assert signed_in.user is not None
    assert signed_in.user.user_metadata == {"name": "Ann"}
    refreshed = await laptop.refresh_session()
    assert refreshed.session is not None
    assert refreshed.session.refresh_token != getattr(signed_in.session, "refresh_token", None)
    claims = await laptop.get_claims()
    assert claims is not None
    assert claims["claims"]["email"] == ANN["email"]
    assert claims["headers"]["alg"] == "ES256"
    updated = await laptop.update_user({"data": {"town": "Aachen"}})
    assert updated.user.user_metadata == {"name": "Ann", "town": "Aachen"}
    await laptop.sign_out({"scope": "others"})
    with pytest.raises(AuthApiError, match="does not exist") as refused:
        await phone.get_user()
    assert (refused.value.status, refused.value.code) == (403, "session_not_found")
    assert await laptop.get_user() is not None
    await laptop.sign_out()
    assert await laptop.get_session() is None


async def test_refusals_are_understood(client: Callable[[], AsyncGoTrueClient]) -> None:
    await client().sign_up({**ANN})
    with pytest.raises(AuthApiError) as wrong:
        await client().sign_in_with_password({**ANN, "password": "wrong horse battery"})
    assert (wrong.value.code, wrong.value.message) == ("invalid_credentials", "Invalid login credentials")
    with pytest.raises(AuthWeakPasswordError) as weak:
        await client().sign_up({"email": "bob@example.org", "password": "short"})
    assert weak.value.reasons == ["length"]
    with pytest.raises(AuthApiError) as off:
        await client().sign_in_with_otp({"phone": "4915112345678"})
    assert off.value.code == "phone_provider_disabled"
