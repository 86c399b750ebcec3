"""Second factors with the unmodified PyPI client `supabase_auth` against a served kit on both databases."""

from collections.abc import AsyncGenerator, Callable
from urllib.parse import unquote

import pyotp
import pytest
from supabase_auth import AsyncGoTrueClient
from supabase_auth.errors import AuthApiError

from corekit import Corekit
from corekit.testing import FakeClock, serve

ANN = {"email": "ann@example.org", "password": "correct horse battery"}
Clients = Callable[[], AsyncGoTrueClient]


@pytest.fixture
async def client(kit: Corekit) -> AsyncGenerator[Clients]:
    """Give a maker of clients, as an application without a session makes them."""
    clients: list[AsyncGoTrueClient] = []
    async with serve(kit) as url:

        def make() -> AsyncGoTrueClient:
            headers = {"apikey": "anon", "Authorization": "Bearer anon"}
            clients.append(AsyncGoTrueClient(url=f"{url}/auth/v1", headers=headers, auto_refresh_token=False))
            return clients[-1]

        yield make
        for one in clients:
            await one.close()


async def test_a_second_factor_from_enrolment_to_removal(client: Clients, clock: FakeClock) -> None:
    phone, laptop = client(), client()
    await phone.sign_up({**ANN})
    await laptop.sign_in_with_password(ANN)
    before = await phone.mfa.get_authenticator_assurance_level()
    assert (before.current_level, before.next_level) == ("aal1", "aal1")

    enrolled = await phone.mfa.enroll({"factor_type": "totp", "friendly_name": "app", "issuer": "Shop"})
    assert enrolled.totp is not None
    assert enrolled.totp.qr_code.startswith("data:image/svg+xml;utf-8,<svg ")
    assert "#" not in unquote(enrolled.totp.qr_code)
    app = pyotp.parse_uri(enrolled.totp.uri)
    assert isinstance(app, pyotp.TOTP)
    assert (app.issuer, app.name, app.secret) == ("Shop", ANN["email"], enrolled.totp.secret)

    challenge = await phone.mfa.challenge({"factor_id": enrolled.id})
    assert (challenge.factor_type, challenge.expires_at) == ("totp", int(clock.now().timestamp()) + 300)
    with pytest.raises(AuthApiError) as wrong:
        await phone.mfa.verify({"factor_id": enrolled.id, "challenge_id": challenge.id, "code": "000000"})
    assert (wrong.value.status, wrong.value.code) == (422, "mfa_verification_failed")
    answer = {"factor_id": enrolled.id, "challenge_id": challenge.id, "code": app.at(clock.now())}
    verified = await phone.mfa.verify(answer)
    assert [factor.status for factor in verified.user.factors or ()] == ["verified"]
    after = await phone.mfa.get_authenticator_assurance_level()
    assert (after.current_level, after.next_level) == ("aal2", "aal2")
    assert [step.method for step in after.current_authentication_methods] == ["totp", "password"]
    listed = await phone.mfa.list_factors()
    assert [factor.id for factor in listed.totp] == [enrolled.id]
    refreshed = await phone.refresh_session()
    assert refreshed.session is not None

    with pytest.raises(AuthApiError) as ended:
        await laptop.get_user()
    assert ended.value.code == "session_not_found"
    await laptop.sign_in_with_password(ANN)
    level = await laptop.mfa.get_authenticator_assurance_level()
    assert (level.current_level, level.next_level) == ("aal1", "aal2")
    with pytest.raises(AuthApiError) as weak:
        await laptop.mfa.unenroll({"factor_id": enrolled.id})
    assert (weak.value.status, weak.value.code) == (422, "insufficient_aal")
    clock.move(30)
    await laptop.mfa.challenge_and_verify({"factor_id": enrolled.id, "code": app.at(clock.now())})
    assert (await laptop.mfa.get_authenticator_assurance_level()).current_level == "aal2"
    assert (await laptop.mfa.unenroll({"factor_id": enrolled.id})).id == enrolled.id
    assert (await laptop.mfa.list_factors()).all == []
    await laptop.refresh_session()
    assert (await laptop.mfa.get_authenticator_assurance_level()).current_level == "aal1"


async def test_names_and_kinds_that_are_refused(client: Clients) -> None:
    ann = client()
    await ann.sign_up({**ANN})
    await ann.mfa.enroll({"factor_type": "totp", "friendly_name": "app"})
    with pytest.raises(AuthApiError) as taken:
        await ann.mfa.enroll({"factor_type": "totp", "friendly_name": "app"})
    assert taken.value.code == "mfa_factor_name_conflict"
    assert (await ann.mfa.enroll({"factor_type": "totp"})).friendly_name == ""
    with pytest.raises(AuthApiError) as off:
        await ann.mfa.enroll({"factor_type": "phone", "phone": "+491701234567"})
    assert off.value.code == "mfa_phone_enroll_not_enabled"
