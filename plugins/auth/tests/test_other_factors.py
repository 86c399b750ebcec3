"""A phone, and a security key, as second factor: enrolled, asked, answered; over HTTP as the clients do it."""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from authenticator import Authenticator  # beside this file

from corekit import Caller
from corekit.testing import FakeClock
from corekit_auth.errors import ChallengeExpired, FactorDisabled, VerificationFailed
from corekit_auth.factor_kinds import Answer
from corekit_auth.objects import Grant
from corekit_auth.service import AuthService

PHONE = "4915112345678"
FAST = {"count": 100, "period": 1, "burst": 100}
Web = Callable[..., httpx.AsyncClient]
Refuse = Callable[..., Awaitable[str]]


@pytest.fixture
def settings() -> dict[str, Any]:
    """Switch both on; limits of messages do not make the tests wait."""
    return {"phone_factor": True, "webauthn_factor": True, "address_interval_rate": FAST, "address_hourly_rate": FAST}


@pytest.fixture
def ann(service: AuthService, caller: Caller, signed_up: Grant) -> Caller:
    return replace(caller, actor=service.bearer(signed_up.session.access_token))


@pytest.fixture
def key() -> Authenticator:
    """Give a security key that keeps no names."""
    return Authenticator(resident="discouraged")


def methods(service: AuthService, grant: Grant) -> tuple[int, tuple[str, ...]]:
    proof = service.bearer(grant.session.access_token).proof
    assert proof is not None
    return proof.aal, proof.methods


class TestPhone:
    """A code by SMS."""

    async def test_from_enrolment_to_aal2(self, service: AuthService, ann: Caller, post: Any) -> None:
        enrolled = await service.factors.enroll(ann, "phone", name="mine", phone=f"+{PHONE}")
        assert (enrolled.type, enrolled.phone, enrolled.friendly_name) == ("phone", PHONE, "mine")
        asked = await service.factors.challenge(ann, enrolled.id)
        assert asked.type == "phone"
        grant = await service.factors.verify(ann, enrolled.id, asked.id, await post.text())
        assert methods(service, grant) == (2, ("mfa/phone", "password"))
        (factor,) = grant.session.user.factors or ()
        assert (factor.factor_type, factor.phone, factor.status) == ("phone", PHONE, "verified")
        (sms,) = post.phones.texts
        assert (sms.to, sms.kind) == (PHONE, "auth.mfa")

    async def test_statement_7_five_tries_and_five_minutes_of_one_challenge(
        self, service: AuthService, ann: Caller, post: Any, clock: FakeClock
    ) -> None:
        """Red where the code is not bound to its challenge, or where tries are not counted."""
        enrolled = await service.factors.enroll(ann, "phone", phone=PHONE)
        first = await service.factors.challenge(ann, enrolled.id)
        code = await post.text()
        second = await service.factors.challenge(ann, enrolled.id)
        other = await post.text()
        if code != other:
            with pytest.raises(VerificationFailed, match="Phone code"):
                await service.factors.verify(ann, enrolled.id, second.id, code)
        wrong = "000000" if code != "000000" else "000001"
        for _ in range(5):
            with pytest.raises(VerificationFailed):
                await service.factors.verify(ann, enrolled.id, first.id, wrong)
        with pytest.raises(ChallengeExpired):
            await service.factors.verify(ann, enrolled.id, first.id, code)
        clock.move(301)
        with pytest.raises(ChallengeExpired):
            await service.factors.verify(ann, enrolled.id, second.id, other)

    async def test_no_code_before_it_was_sent(self, service: AuthService, ann: Caller, tables: Any) -> None:
        enrolled = await service.factors.enroll(ann, "phone", phone=PHONE)
        asked = await service.factors.challenge(ann, enrolled.id)
        for code in ("0", "000000", "None"):
            with pytest.raises(VerificationFailed):
                await service.factors.verify(ann, enrolled.id, asked.id, code)
        written = repr([tuple(row) for row in await tables.read("SELECT * FROM auth_factors")])
        assert PHONE not in written

    async def test_a_code_counts_once(self, service: AuthService, ann: Caller, post: Any) -> None:
        enrolled = await service.factors.enroll(ann, "phone", phone=PHONE)
        asked = await service.factors.challenge(ann, enrolled.id)
        code = await post.text()
        grant = await service.factors.verify(ann, enrolled.id, asked.id, code)
        ann = replace(ann, actor=service.bearer(grant.session.access_token))
        with pytest.raises(ChallengeExpired):
            await service.factors.verify(ann, enrolled.id, asked.id, code)

    async def test_over_http(self, web: Web, refused: Refuse, signed_up: Grant, post: Any) -> None:
        token = signed_up.session.access_token
        async with web(token) as client:
            body = {"factor_type": "phone", "friendly_name": "mine", "phone": f"+{PHONE}"}
            made = (await client.post("/factors", json=body)).json()
            assert set(made) == {"id", "type", "friendly_name", "phone"}
            where = f"/factors/{made['id']}"
            asked = (await client.post(f"{where}/challenge", json={"channel": "sms"})).json()
            assert set(asked) == {"id", "type", "expires_at"}
            answer = {"challenge_id": asked["id"], "code": await post.text()}
            session = (await client.post(f"{where}/verify", json=answer)).json()
            assert session["user"]["factors"][0]["phone"] == PHONE
        async with web(session["access_token"]) as client:
            again = await client.post("/factors", json=body | {"friendly_name": "twice"})
            assert (again.status_code, again.json()["error_code"]) == (422, "mfa_verified_factor_exists")
            wrong = await client.post("/factors", json={"factor_type": "phone", "phone": "12ab"})
            assert (wrong.status_code, wrong.json()["error_code"]) == (400, "validation_failed")

    @pytest.mark.parametrize("settings", [{}])
    async def test_switched_off(self, refused: Refuse, signed_up: Grant) -> None:
        body = {"factor_type": "phone", "phone": PHONE}
        token = signed_up.session.access_token
        await refused(422, "mfa_phone_enroll_not_enabled", "POST", "/factors", json=body, token=token)


class TestKey:
    """A security key."""

    async def test_from_enrolment_to_aal2_and_back(
        self, service: AuthService, ann: Caller, caller: Caller, key: Authenticator
    ) -> None:
        enrolled = await service.factors.enroll(ann, "webauthn", name="key")
        asked = await service.factors.challenge(ann, enrolled.id)
        assert asked.webauthn
        assert asked.webauthn.type == "create"
        made = key.create(asked.webauthn.credential_options["publicKey"])
        grant = await service.factors.verify(ann, enrolled.id, asked.id, Answer(credential=made))
        assert methods(service, grant) == (2, ("mfa/webauthn", "password"))
        again = await service.grant_by_password(caller, "ann@example.org", "correct horse battery")
        person = replace(caller, actor=service.bearer(again.session.access_token))
        asked = await service.factors.challenge(person, enrolled.id)
        assert asked.webauthn
        assert asked.webauthn.type == "request"
        options = asked.webauthn.credential_options["publicKey"]
        assert [one["id"] for one in options["allowCredentials"]] == [made["id"]]
        lifted = await service.factors.verify(person, enrolled.id, asked.id, Answer(credential=key.get(options)))
        assert methods(service, lifted) == (2, ("mfa/webauthn", "password"))

    @pytest.mark.parametrize(
        "wrong", [("origin", "https://evil.example"), ("verified", False), ("challenge", bytes(32)), ("rp_id", "evil")]
    )
    async def test_statement_10_what_does_not_hold_enrols_nothing(
        self, service: AuthService, ann: Caller, key: Authenticator, wrong: tuple[str, Any]
    ) -> None:
        """Red where `require_user_verification` or the origin is left to the library's default."""
        setattr(key, *wrong)
        enrolled = await service.factors.enroll(ann, "webauthn")
        asked = await service.factors.challenge(ann, enrolled.id)
        assert asked.webauthn
        answer = Answer(credential=key.create(asked.webauthn.credential_options["publicKey"]))
        with pytest.raises(VerificationFailed, match="WebAuthn"):
            await service.factors.verify(ann, enrolled.id, asked.id, answer)

    async def test_a_copy_of_the_key_and_another_key_are_refused(
        self, service: AuthService, ann: Caller, key: Authenticator
    ) -> None:
        enrolled = await service.factors.enroll(ann, "webauthn")
        asked = await service.factors.challenge(ann, enrolled.id)
        assert asked.webauthn
        made = key.create(asked.webauthn.credential_options["publicKey"])
        grant = await service.factors.verify(ann, enrolled.id, asked.id, Answer(credential=made))
        ann = replace(ann, actor=service.bearer(grant.session.access_token))
        await self.answer(service, ann, enrolled.id, key)
        key.credentials[0].count = 0  # as a copy has it
        with pytest.raises(VerificationFailed):
            await self.answer(service, ann, enrolled.id, key)
        stranger = Authenticator(resident="discouraged")
        second = await service.factors.enroll(ann, "webauthn", name="second")
        asked = await service.factors.challenge(ann, second.id)
        assert asked.webauthn
        stranger.create(asked.webauthn.credential_options["publicKey"])
        stranger.credentials[0].id = key.credentials[0].id
        with pytest.raises(VerificationFailed):
            await self.answer(service, ann, enrolled.id, stranger)

    @pytest.mark.parametrize("settings", [{"webauthn_factor": True, "factor_failures_max": 3}])
    async def test_wrong_answers_disable_it(self, service: AuthService, ann: Caller) -> None:
        enrolled = await service.factors.enroll(ann, "webauthn")
        for _ in range(3):
            asked = await service.factors.challenge(ann, enrolled.id)
            with pytest.raises(VerificationFailed):
                await service.factors.verify(ann, enrolled.id, asked.id, Answer(credential={"rawId": "x"}))
        with pytest.raises(FactorDisabled):
            await service.factors.challenge(ann, enrolled.id)

    @staticmethod
    async def answer(service: AuthService, person: Caller, factor_id: Any, key: Authenticator) -> Grant:
        asked = await service.factors.challenge(person, factor_id)
        assert asked.webauthn
        credential = key.get(asked.webauthn.credential_options["publicKey"])
        return await service.factors.verify(person, factor_id, asked.id, Answer(credential=credential))

    async def test_over_http(self, web: Web, signed_up: Grant, key: Authenticator) -> None:
        """The bodies are those of the unmodified auth-js: `webauthn.credential_response` in the answer."""
        async with web(signed_up.session.access_token) as client:
            made = (await client.post("/factors", json={"factor_type": "webauthn", "friendly_name": "key"})).json()
            assert set(made) == {"id", "type", "friendly_name"}
            where, origin = f"/factors/{made['id']}", ["http://localhost:3000"]
            asking = {"webauthn": {"rpId": "localhost", "rpOrigins": origin}}
            asked = (await client.post(f"{where}/challenge", json=asking)).json()
            assert set(asked) == {"id", "type", "expires_at", "webauthn"}
            assert asked["webauthn"]["type"] == "create"
            nothing = await client.post(f"{where}/verify", json={"challenge_id": asked["id"], "code": "123456"})
            assert (nothing.status_code, nothing.json()["error_code"]) == (400, "validation_failed")
            word = key.create(asked["webauthn"]["credential_options"]["publicKey"])
            said = {"type": "create", "rpId": "localhost", "rpOrigins": origin, "credential_response": word}
            session = await client.post(f"{where}/verify", json={"challenge_id": asked["id"], "webauthn": said})
            assert session.json()["user"]["factors"][0]["factor_type"] == "webauthn"

    @pytest.mark.parametrize("settings", [{}])
    async def test_switched_off(self, refused: Refuse, signed_up: Grant) -> None:
        token = signed_up.session.access_token
        body = {"factor_type": "webauthn"}
        await refused(422, "mfa_webauthn_enroll_not_enabled", "POST", "/factors", json=body, token=token)
