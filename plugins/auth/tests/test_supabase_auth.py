"""The unmodified PyPI client `supabase_auth` against a served kit."""

from collections.abc import AsyncGenerator, Callable

import pytest
from supabase_auth import AsyncGoTrueClient
from supabase_auth.errors import AuthApiError, AuthWeakPasswordError

from corekit import Corekit
from corekit.testing import make_kit, serve
from corekit_auth import AuthPlugin
from corekit_auth.purposes import KEYS
from corekit_auth.service import AuthService

ANN = {"email": "ann@example.org", "password": "correct horse battery"}


@pytest.fixture
async def kit() -> AsyncGenerator[Corekit]:
    """Start a kit with auth alone."""
    async with make_kit([AuthPlugin()]) as kit:
        yield kit


@pytest.fixture
async def service_key(kit: Corekit) -> str:
    """Give a service's key."""
    async with kit.caller().system(KEYS).begin() as ctx:
        issued = await kit.get(AuthService).service_keys.issue(ctx, role="service_role", name="test", life=None)
    return issued.text


@pytest.fixture
async def client(kit: Corekit) -> AsyncGenerator[Callable[..., AsyncGoTrueClient]]:
    """Give a maker of clients, as an application without a session makes them: one key, shown in two places."""
    clients: list[AsyncGoTrueClient] = []
    async with serve(kit) as url:

        def make(key: str = "anon") -> AsyncGoTrueClient:
            headers = {"apikey": key, "Authorization": f"Bearer {key}"}
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
        await client().sign_in_with_otp({"email": "bob@example.org"})
    assert off.value.code == "otp_disabled"


async def test_a_service_key_is_an_administrator(service_key: str, client: Callable[..., AsyncGoTrueClient]) -> None:
    """The client shows it as `apikey` and as bearer; what is switched off says so to administrators alone."""
    with pytest.raises(AuthApiError) as admitted:
        await client(service_key).admin.oauth.list_clients()
    assert admitted.value.code == "feature_disabled"
    with pytest.raises(AuthApiError) as stranger:
        await client("anon").admin.oauth.list_clients()
    assert (stranger.value.status, stranger.value.code) == (403, "bad_jwt")
    signed_in = client(service_key)
    session = (await signed_in.sign_up({**ANN})).session
    assert session is not None
    with pytest.raises(AuthApiError) as person:
        await client(session.access_token).admin.oauth.list_clients()
    assert (person.value.status, person.value.code) == (403, "not_admin")
