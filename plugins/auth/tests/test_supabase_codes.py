"""Codes and links with the unmodified PyPI client `supabase_auth`, on both databases; the kit's worker sends them."""

from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from supabase_auth import AsyncGoTrueClient
from supabase_auth.errors import AuthApiError

from corekit import Corekit
from corekit.contracts.delivery import Mail
from corekit.data import DatabaseSettings
from corekit.testing import make_kit, serve, settle
from corekit_auth import AuthPlugin

ANN = {"email": "ann@example.org", "password": "correct horse battery"}
FAST = {"count": 100, "period": 1, "burst": 100}
Clients = Callable[..., AsyncGoTrueClient]


class Served:
    """A served kit, its clients, its mail."""

    def __init__(self, kit: Corekit, url: str, post: Any) -> None:
        self.kit, self.url, self.post = kit, url, post
        self.clients: list[AsyncGoTrueClient] = []

    def client(self, flow: Any = "implicit") -> AsyncGoTrueClient:
        """Make a client, as an application without a session makes them."""
        headers = {"apikey": "anon", "Authorization": "Bearer anon"}
        made = AsyncGoTrueClient(url=f"{self.url}/auth/v1", headers=headers, auto_refresh_token=False, flow_type=flow)
        self.clients.append(made)
        return made

    async def mails(self) -> list[Mail]:
        """Wait for the mails that were asked for."""
        await settle(self.kit)
        mails = list(self.post.recorder.mails)
        self.post.recorder.mails.clear()
        return mails

    async def code(self) -> str:
        """Wait for one mail, and read its digits."""
        (mail,) = await self.mails()
        return code_of(mail)

    async def click(self, mail: Mail) -> httpx.URL:
        """Follow the link of a mail as a browser does; return where it leads."""
        link = httpx.URL(next(line for line in mail.text.splitlines() if line.startswith("http")))
        async with httpx.AsyncClient(base_url=self.url) as browser:  # which listens on a free port
            answer = await browser.get(link.raw_path.decode())
        assert answer.status_code == 303
        return httpx.URL(answer.headers["Location"])


def code_of(mail: Mail) -> str:
    """Read the digits of a mail."""
    return next(word for word in mail.text.split() if word.isdigit() and len(word) == 6)


@pytest.fixture
async def served(database: DatabaseSettings, tmp_path: Path, post: Any) -> AsyncGenerator[Served]:
    """Serve a kit where addresses are confirmed; its limits do not make the test wait."""
    auth = {"mailer_autoconfirm": False, "phone_autoconfirm": False, "phone": True, "phone_factor": True}
    settings = {"auth": auth | {"address_interval_rate": FAST, "address_hourly_rate": FAST}}
    plugins = [AuthPlugin(), post]
    async with make_kit(plugins, database=database, tmp_path=tmp_path, settings=settings) as kit, serve(kit) as url:
        made = Served(kit, url, post)
        yield made
        for one in made.clients:
            await one.close()


async def test_a_sign_up_is_confirmed_by_its_code(served: Served) -> None:
    client = served.client()
    asked = await client.sign_up({**ANN, "options": {"data": {"name": "Ann"}}})
    assert asked.session is None
    assert asked.user is not None
    assert asked.user.email == ANN["email"]
    with pytest.raises(AuthApiError) as early:
        await client.sign_in_with_password(ANN)
    assert early.value.code == "email_not_confirmed"
    await served.mails()
    await client.resend({"type": "signup", "email": ANN["email"]})
    confirmed = await client.verify_otp({"type": "signup", "email": ANN["email"], "token": await served.code()})
    assert confirmed.session is not None
    assert confirmed.session.user.id == asked.user.id
    assert (await served.client().sign_in_with_password(ANN)).session is not None
    again = await served.client().sign_up({**ANN, "password": "another horse battery"})
    assert again.session is None
    assert again.user is not None
    assert again.user.identities is not None
    assert len(again.user.identities) == 1
    (notice,) = await served.mails()
    assert notice.kind == "auth.already_registered"


async def test_one_signs_in_by_code_and_by_link(served: Served) -> None:
    client = served.client()
    await client.sign_in_with_otp({"email": ANN["email"]})
    code = await served.code()
    signed_in = await client.verify_otp({"type": "email", "email": ANN["email"], "token": code})
    assert signed_in.session is not None
    with pytest.raises(AuthApiError) as used:
        await client.verify_otp({"type": "email", "email": ANN["email"], "token": code})
    assert (used.value.status, used.value.code) == (403, "otp_expired")
    await client.sign_in_with_otp({"email": ANN["email"]})
    (mail,) = await served.mails()
    where = await served.click(mail)
    found = dict(httpx.QueryParams(where.fragment))
    other = served.client()
    session = await other.set_session(found["access_token"], found["refresh_token"])
    assert session.user is not None
    assert session.user.id == signed_in.session.user.id


async def test_a_link_with_pkce(served: Served) -> None:
    client, thief = served.client("pkce"), served.client("pkce")
    await client.sign_in_with_otp({"email": ANN["email"]})
    (mail,) = await served.mails()
    code = (await served.click(mail)).params["code"]
    await thief.sign_in_with_otp({"email": "thief@example.org"})
    with pytest.raises(AuthApiError) as stolen:
        await thief.exchange_code_for_session({"auth_code": code, "code_verifier": "", "redirect_to": ""})
    assert stolen.value.code == "bad_code_verifier"
    exchanged = await client.exchange_code_for_session({"auth_code": code, "code_verifier": "", "redirect_to": ""})
    assert exchanged.session is not None
    assert exchanged.session.user.email == ANN["email"]
    assert await client.get_user() is not None


async def _signed_up(served: Served) -> AsyncGoTrueClient:
    client = served.client()
    await client.sign_up(ANN)
    await client.verify_otp({"type": "signup", "email": ANN["email"], "token": await served.code()})
    return client


async def test_a_forgotten_password(served: Served) -> None:
    await _signed_up(served)
    client = served.client()
    await client.reset_password_for_email(ANN["email"])
    (mail,) = await served.mails()
    token_hash = httpx.URL(next(line for line in mail.text.splitlines() if line.startswith("http"))).params["token"]
    recovered = await client.verify_otp({"type": "recovery", "token_hash": token_hash})
    assert recovered.session is not None
    await client.update_user({"password": "staple battery horse"})
    assert (await served.client().sign_in_with_password({**ANN, "password": "staple battery horse"})).session
    (notice,) = await served.mails()
    assert "password" in notice.subject
    pkce = served.client("pkce")
    await pkce.reset_password_for_email(ANN["email"])
    (mail,) = await served.mails()
    code = (await served.click(mail)).params["code"]
    assert (
        await pkce.exchange_code_for_session({"auth_code": code, "code_verifier": "", "redirect_to": ""})
    ).session is not None
    await pkce.update_user({"password": "third horse battery"})


async def test_another_address_and_a_nonce(served: Served) -> None:
    client = await _signed_up(served)
    changed = await client.update_user({"email": "new@example.org"})
    assert changed.user.new_email == "new@example.org"
    mails = {mail.to: code_of(mail) for mail in await served.mails()}
    half = await client.verify_otp({"type": "email_change", "email": ANN["email"], "token": mails[ANN["email"]]})
    assert half.session is None
    whole = await client.verify_otp(
        {"type": "email_change", "email": "new@example.org", "token": mails["new@example.org"]}
    )
    assert whole.session is not None
    assert whole.session.user.email == "new@example.org"
    (notice,) = await served.mails()
    assert (notice.to, notice.kind) == (ANN["email"], "auth.email_changed")
    await client.reauthenticate()
    nonce = await served.code()
    change: Any = {"password": "staple battery horse", "current_password": ANN["password"], "nonce": nonce}
    updated = await client.update_user(change)
    assert updated.user.email == "new@example.org"


async def test_a_phone(served: Served) -> None:
    """Sign-up and sign-in by SMS, another number, and the phone as second factor."""
    client = served.client()

    async def code() -> str:
        await settle(served.kit)
        return str(served.post.phones.texts[-1].text.split()[0])

    assert (await client.sign_in_with_otp({"phone": "+4915112345678"})).message_id
    signed_in = await client.verify_otp({"type": "sms", "phone": "+4915112345678", "token": await code()})
    assert signed_in.user
    assert signed_in.user.phone == "4915112345678"
    await client.update_user({"phone": "+4915187654321"})
    moved = await client.verify_otp({"type": "phone_change", "phone": "+4915187654321", "token": await code()})
    assert moved.user
    assert moved.user.phone == "4915187654321"
    factor = await client.mfa.enroll({"factor_type": "phone", "friendly_name": "mine", "phone": "+4915187654321"})
    challenge = await client.mfa.challenge({"factor_id": factor.id, "channel": "sms"})
    answer = {"factor_id": factor.id, "challenge_id": challenge.id, "code": await code()}
    await client.mfa.verify(answer)  # type: ignore[arg-type]
    assert (await client.mfa.get_authenticator_assurance_level()).current_level == "aal2"
    other = served.client()
    asked = await other.sign_up({"phone": "+4915100000001", "password": "correct horse battery"})
    assert asked.session is None
    assert (await other.verify_otp({"type": "sms", "phone": "+4915100000001", "token": await code()})).session
    again = await other.sign_in_with_password({"phone": "+4915100000001", "password": "correct horse battery"})
    assert again.session
