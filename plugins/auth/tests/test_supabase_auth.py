"""The unmodified PyPI client `supabase_auth` against a served kit on both databases."""

from collections.abc import AsyncGenerator, Callable
from typing import get_args

import pytest
from supabase_auth import AsyncGoTrueClient
from supabase_auth.errors import AuthApiError, AuthWeakPasswordError, ErrorCode

from corekit import Corekit
from corekit.testing import serve
from corekit_auth.errors import Code

ANN = {"email": "ann@example.org", "password": "correct horse battery"}


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
        await client().sign_in_with_otp({"phone": "4915112345678"})
    assert off.value.code == "phone_provider_disabled"


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


@pytest.mark.parametrize("settings", [{"anonymous": True}])
async def test_somebody_without_an_address(client: Callable[[], AsyncGoTrueClient]) -> None:
    """They stay the same account when they give an address and a password (in `dev` it counts at once)."""
    phone = client()
    made = (await phone.sign_in_anonymously({"options": {"data": {"cart": 3}}})).user
    assert made is not None
    assert (made.is_anonymous, made.email) == (True, "")
    with pytest.raises(AuthApiError) as refused:
        await phone.mfa.enroll({"factor_type": "totp"})
    assert (refused.value.status, refused.value.code) == (403, "no_authorization")
    await phone.update_user({"email": ANN["email"]})
    await phone.update_user({"password": ANN["password"]})
    later = (await client().sign_in_with_password(ANN)).user
    assert later is not None
    assert (later.id, later.is_anonymous, later.user_metadata) == (made.id, False, {"cart": 3})


def test_error_codes_are_spelt_as_the_client_knows_them() -> None:
    """What its list leaves out is in the server's own list, or ours."""
    left_out = {"request_entity_too_large", "feature_disabled", "passkey_disabled", "too_many_passkeys", "unknown"}
    left_out |= {"refresh_token_not_found", "refresh_token_already_used", "session_expired", "web3_provider_disabled"}
    left_out |= {"current_password_required", "current_password_invalid"}
    assert {str(code) for code in Code if not code.startswith("webauthn_")} - set(get_args(ErrorCode)) == left_out
