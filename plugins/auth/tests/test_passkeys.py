"""Passkeys, statement 10: each refusal of registering and signing in, on both databases."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import delete, update

from corekit import Caller, Client, Corekit
from corekit.testing import FakeClock
from corekit_auth.models import UserRow
from corekit_auth.objects import Grant
from corekit_auth.pruning import prune
from corekit_auth.purposes import PRUNE
from corekit_auth.service import AuthService

sys.path.insert(0, str(Path(__file__).parent))

from authenticator import Authenticator, b64, raw  # beside this file

Web = Callable[..., httpx.AsyncClient]
Refused = Callable[..., Awaitable[str]]
Answer = dict[str, Any]
REGISTER, SIGN_IN = "/passkeys/registration", "/passkeys/authentication"


@pytest.fixture
def settings() -> dict[str, Any]:
    """Switch passkeys on."""
    return {"passkeys": True, "passkey_rate": {"count": 300, "period": 300, "burst": 300}}


@pytest.fixture
def phone() -> Authenticator:
    """Give a device."""
    return Authenticator()


class Person:
    """Somebody with a browser, signed in or not."""

    def __init__(self, web: Web, token: str = "") -> None:
        self._web, self._token = web, token

    async def ask(self, path: str, body: Answer | None = None) -> httpx.Response:
        async with self._web(self._token) as client:
            return await client.post(path, json={} if body is None else body)

    async def options(self, path: str) -> Answer:
        answer = await self.ask(f"{path}/options")
        assert answer.status_code == 200, answer.text
        asked: Answer = answer.json()
        return asked

    async def register(self, device: Authenticator) -> httpx.Response:
        asked = await self.options(REGISTER)
        return await self.verify(REGISTER, asked, device.create(asked["options"]))

    async def sign_in(self, device: Authenticator) -> httpx.Response:
        asked = await self.options(SIGN_IN)
        return await self.verify(SIGN_IN, asked, device.get(asked["options"]))

    async def verify(self, path: str, asked: Answer, credential: Answer) -> httpx.Response:
        return await self.ask(f"{path}/verify", {"challenge_id": asked["challenge_id"], "credential": credential})


@pytest.fixture
def ann(web: Web, signed_up: Grant) -> Person:
    """Give somebody who is signed in."""
    return Person(web, signed_up.session.access_token)


@pytest.fixture
def stranger(web: Web) -> Person:
    """Give somebody who is not."""
    return Person(web)


@pytest.fixture
async def registered(ann: Person, phone: Authenticator) -> Answer:
    """Give Ann a passkey on her phone."""
    answer = await ann.register(phone)
    assert answer.status_code == 200, answer.text
    made: Answer = answer.json()
    return made


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


NOT_VERIFIED = (400, "webauthn_verification_failed")


async def test_registering_and_signing_in(
    ann: Person, stranger: Person, phone: Authenticator, signed_up: Grant, tables: Any, clock: FakeClock
) -> None:
    """Statement 10: verification is asked for, the challenge has 256 bits, the session is aal2."""
    asked = await ann.options(REGISTER)
    assert set(asked) == {"challenge_id", "options", "expires_at"}
    assert asked["expires_at"] == int(clock.now().timestamp()) + 300
    options = asked["options"]
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert (options["rp"]["id"], options["user"]["name"]) == ("localhost", "ann@example.org")
    assert raw(options["user"]["id"]).decode() == str(signed_up.session.user.id)
    assert len(raw(options["challenge"])) == 32
    made = await ann.verify(REGISTER, asked, phone.create(options))
    assert made.status_code == 200, made.text
    assert set(made.json()) == {"id", "created_at"}

    asked = await stranger.options(SIGN_IN)
    assert set(asked) == {"challenge_id", "options", "expires_at"}
    assert asked["options"]["userVerification"] == "required"
    assert asked["options"].get("allowCredentials", []) == []
    answer = await stranger.verify(SIGN_IN, asked, phone.get(asked["options"]))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert {"access_token", "refresh_token", "expires_in", "expires_at", "token_type", "user"} == set(body)
    assert body["user"]["id"] == answer.headers["sb-auth-user-id"] == str(signed_up.session.user.id)
    sessions = await tables.read("SELECT aal, amr FROM auth_sessions ORDER BY id")
    assert (sessions[1][0], "passkey" in str(sessions[1][1])) == (2, True)
    told = await tables.told()
    assert "auth.passkey_added" in told
    assert told.count("auth.signed_in") == 2
    row = (await tables.read("SELECT sign_count, transports, backup_eligible, backed_up FROM auth_passkeys"))[0]
    assert (row[0], bool(row[2]), bool(row[3])) == (1, True, True)
    assert "internal" in str(row[1])
    assert "pigeon" not in str(row[1])


async def test_statement_10_a_session_by_passkey_passes_where_aal2_is_needed(
    stranger: Person, phone: Authenticator, registered: Answer, service: AuthService
) -> None:
    body = (await stranger.sign_in(phone)).json()
    actor = service.bearer(body["access_token"])
    assert actor.proof is not None
    assert (actor.proof.aal, actor.proof.methods) == (2, ("passkey",))


WRONG: list[Answer] = [
    {"verified": False},
    {"present": False},
    {"origin": "http://localhost:3001"},
    {"origin": "http://localhost:3000/"},
    {"origin": "https://localhost:3000"},
    {"origin": "http://localhost:3000.evil.example"},
    {"origin": ""},
    {"rp_id": "evil.example"},
    {"rp_id": "sub.localhost"},
    {"challenge": b"\0" * 32},
    {"type": "webauthn.payment"},
    {"cross_origin": True},
]


@pytest.mark.parametrize("wrong", WRONG, ids=[" ".join(map(str, one.items())) for one in WRONG])
async def test_statement_10_an_answer_that_does_not_hold_registers_nothing(
    ann: Person, phone: Authenticator, tables: Any, wrong: Answer
) -> None:
    """Red without `require_user_verification`, with any origin or rp_id taken, or without the look at `crossOrigin`."""
    assert refusal(await ann.register(replace(phone, **wrong))) == NOT_VERIFIED
    assert await tables.read("SELECT id FROM auth_passkeys") == []


@pytest.mark.parametrize("wrong", WRONG, ids=[" ".join(map(str, one.items())) for one in WRONG])
async def test_statement_10_an_answer_that_does_not_hold_signs_nobody_in(
    stranger: Person, phone: Authenticator, registered: Answer, tables: Any, wrong: Answer
) -> None:
    """Red without `require_user_verification`, with any origin or rp_id taken, or without the look at `crossOrigin`."""
    assert refusal(await stranger.sign_in(replace(phone, **wrong))) == NOT_VERIFIED
    assert len(await tables.read("SELECT id FROM auth_sessions")) == 1
    assert (await stranger.sign_in(phone)).status_code == 200


async def test_statement_10_an_unknown_credential_is_answered_as_a_bad_signature(
    stranger: Person, ann: Person, phone: Authenticator, registered: Answer
) -> None:
    """Red when a credential nobody has gets a code, a status or a message of its own."""
    asked, again = await stranger.options(SIGN_IN), await stranger.options(SIGN_IN)
    forged = phone.get(asked["options"])
    forged["response"]["signature"] = phone.get(again["options"])["response"]["signature"]
    bad = await stranger.verify(SIGN_IN, asked, forged)
    unknown = phone.get(again["options"])
    unknown["id"] = unknown["rawId"] = b64(b"\1" * 32)
    nobody = await stranger.verify(SIGN_IN, again, unknown)
    assert refusal(bad) == refusal(nobody) == NOT_VERIFIED
    assert bad.content == nobody.content


@pytest.mark.parametrize(
    "handle", [b"", b"\xff", b"ann", str(UUID(int=1)).encode()], ids=["none", "no text", "no id", "another"]
)
async def test_statement_10_a_passkey_is_its_owners(
    stranger: Person, phone: Authenticator, registered: Answer, handle: bytes
) -> None:
    """Red when the user handle is not compared (Web Authentication §7.2 step 6)."""
    phone.credentials[0].user_handle = handle
    assert refusal(await stranger.sign_in(phone)) == NOT_VERIFIED


async def test_statement_10_a_challenge_is_answered_once(
    stranger: Person, ann: Person, phone: Authenticator, registered: Answer, tables: Any
) -> None:
    """Red when a challenge is read and not taken away, or only after a good answer."""
    asked = await stranger.options(SIGN_IN)
    answers = await asyncio.gather(
        *(stranger.verify(SIGN_IN, asked, phone.get(asked["options"])) for _ in range(20)), return_exceptions=False
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19
    refused = [answer for answer in answers if answer.status_code == 400]
    assert {refusal(answer) for answer in refused} == {(400, "webauthn_challenge_not_found")}

    asked = await stranger.options(SIGN_IN)
    good = phone.get(asked["options"])
    bad = replace(phone, verified=False).get(asked["options"])
    assert refusal(await stranger.verify(SIGN_IN, asked, bad)) == NOT_VERIFIED
    assert refusal(await stranger.verify(SIGN_IN, asked, good)) == (400, "webauthn_challenge_not_found")
    assert await tables.read("SELECT id FROM auth_passkey_challenges") == []


async def test_statement_10_a_challenge_lives_five_minutes(
    stranger: Person, ann: Person, phone: Authenticator, registered: Answer, clock: FakeClock
) -> None:
    """Red when `expires_at` is not looked at."""
    late, soon = await stranger.options(SIGN_IN), await stranger.options(SIGN_IN)
    mine = await ann.options(REGISTER)
    clock.move(299)
    assert (await stranger.verify(SIGN_IN, soon, phone.get(soon["options"]))).status_code == 200
    clock.move(1)
    expired = (400, "webauthn_challenge_expired")
    assert refusal(await stranger.verify(SIGN_IN, late, phone.get(late["options"]))) == expired
    assert refusal(await ann.verify(REGISTER, mine, Authenticator().create(mine["options"]))) == expired


async def test_statement_10_a_challenge_is_for_one_purpose_and_one_person(
    web: Web,
    ann: Person,
    stranger: Person,
    phone: Authenticator,
    registered: Answer,
    service: AuthService,
    kit: Corekit,
) -> None:
    """Red when `kind` or `user_id` is missing from the statement that takes a challenge away."""
    not_found = (400, "webauthn_challenge_not_found")
    grant = await service.grant_by_sign_up(kit.caller(), "bob@example.org", "correct horse battery", {})
    bob, laptop = Person(web, grant.session.access_token), Authenticator()
    mine = await ann.options(REGISTER)
    made = laptop.create(mine["options"])
    assert refusal(await bob.verify(REGISTER, mine, made)) == not_found
    assert (await ann.verify(REGISTER, mine, made)).status_code == 200
    asked = await stranger.options(SIGN_IN)
    assert refusal(await ann.verify(REGISTER, asked, Authenticator().create(mine["options"]))) == not_found
    mine = await ann.options(REGISTER)
    answer = phone.get({**mine["options"], "rpId": "localhost"})
    assert refusal(await stranger.verify(SIGN_IN, mine, answer)) == not_found
    assert refusal(await stranger.verify(SIGN_IN, {"challenge_id": str(uuid4())}, answer)) == not_found


async def test_statement_10_a_counter_that_falls_back_is_flagged(
    stranger: Person, phone: Authenticator, registered: Answer, tables: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Red when the stored counter is not compared; the log says so, and nothing of whom."""
    assert (await stranger.sign_in(phone)).status_code == 200
    copy = replace(phone, credentials=[replace(phone.credentials[0], count=0)])
    caplog.set_level("INFO", "corekit.auth")
    assert refusal(await stranger.sign_in(copy)) == NOT_VERIFIED
    flagged = [record for record in caplog.records if "passkey_counter_fell" in str(record.msg)]
    assert [record.levelname for record in flagged] == ["WARNING"]
    assert "ann@" not in caplog.text
    assert b64(phone.credentials[0].id) not in caplog.text
    phone.credentials[0].count = 9
    assert (await stranger.sign_in(phone)).status_code == 200
    assert [tuple(row) for row in await tables.read("SELECT sign_count FROM auth_passkeys")] == [(10,)]


async def test_statement_10_nobody_but_the_owner_of_the_key_raises_that_alarm(
    stranger: Person, phone: Authenticator, registered: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    """Red when the counter is compared before the signature."""
    assert (await stranger.sign_in(phone)).status_code == 200
    caplog.set_level("INFO", "corekit.auth")
    forged = replace(
        phone, credentials=[replace(phone.credentials[0], count=0, key=ec.generate_private_key(ec.SECP256R1()))]
    )
    assert refusal(await stranger.sign_in(forged)) == NOT_VERIFIED
    assert "passkey_refused" in caplog.text
    assert "passkey_counter_fell" not in caplog.text


async def test_a_device_without_a_counter(ann: Person, stranger: Person) -> None:
    """Synced passkeys keep none: zero each time is no regression."""
    phone = Authenticator(counts=False)
    assert (await ann.register(phone)).status_code == 200
    assert (await stranger.sign_in(phone)).status_code == 200
    assert (await stranger.sign_in(phone)).status_code == 200


async def test_whoever_may_not_sign_in(
    stranger: Person, phone: Authenticator, registered: Answer, tables: Any, clock: FakeClock
) -> None:
    """Said only to who holds the key."""
    await tables.write(update(UserRow).values(banned_until=clock.now().replace(year=2100)))
    assert refusal(await stranger.sign_in(replace(phone, verified=False))) == NOT_VERIFIED
    assert refusal(await stranger.sign_in(phone)) == (400, "user_banned")
    await tables.write(update(UserRow).values(banned_until=None, email_confirmed_at=None))
    assert refusal(await stranger.sign_in(phone)) == (400, "email_not_confirmed")
    await tables.write(update(UserRow).values(email_confirmed_at=clock.now(), deleted_at=clock.now()))
    assert refusal(await stranger.sign_in(phone)) == NOT_VERIFIED
    await tables.write(delete(UserRow))
    assert await tables.read("SELECT id FROM auth_passkeys") == []
    assert refusal(await stranger.sign_in(phone)) == NOT_VERIFIED


async def test_a_credential_is_registered_once(ann: Person, phone: Authenticator, registered: Answer) -> None:
    """The device would refuse by `excludeCredentials`; a browser that lies is refused by the server."""
    asked = await ann.options(REGISTER)
    assert [raw(one["id"]) for one in asked["options"]["excludeCredentials"]] == [phone.credentials[0].id]
    answer = await ann.verify(REGISTER, asked, phone.attest(phone.credentials[0], asked["options"]))
    assert refusal(answer) == (422, "webauthn_credential_exists")


async def test_a_credential_is_registered_once_whoever_is_quicker(
    ann: Person, phone: Authenticator, tables: Any
) -> None:
    first, second = await ann.options(REGISTER), await ann.options(REGISTER)
    made = phone.create(first["options"])
    again = phone.attest(phone.credentials[0], second["options"])
    answers = await asyncio.gather(ann.verify(REGISTER, first, made), ann.verify(REGISTER, second, again))
    assert sorted(answer.status_code for answer in answers) == [200, 422]
    assert len(await tables.read("SELECT id FROM auth_passkeys")) == 1


async def test_nobody_has_more_than_ten(ann: Person) -> None:
    """Not by asking often before answering, either."""
    asked = [await ann.options(REGISTER) for _ in range(11)]
    answers = [await ann.verify(REGISTER, one, Authenticator().create(one["options"])) for one in asked]
    assert [answer.status_code for answer in answers] == [200] * 10 + [422]
    assert refusal(answers[-1]) == (422, "too_many_passkeys")
    assert refusal(await ann.ask(f"{REGISTER}/options")) == (422, "too_many_passkeys")


@pytest.mark.parametrize(
    "settings", [{"passkeys": True, "passkey_rate": {"count": 3, "period": 300, "burst": 3}}], ids=["three"]
)
async def test_questions_and_answers_are_limited(web: Web, stranger: Person, phone: Authenticator) -> None:
    """The class `passkey`: per address, whoever asks."""
    asked = await stranger.options(SIGN_IN)
    phone.create(
        {
            **asked["options"],
            "authenticatorSelection": {"residentKey": "required"},
            "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
            "attestation": "none",
            "rp": {"id": "localhost"},
            "user": {"id": b64(b"x")},
        }
    )
    answer = phone.get(asked["options"])
    assert refusal(await stranger.verify(SIGN_IN, asked, answer)) == NOT_VERIFIED
    assert refusal(await stranger.verify(SIGN_IN, asked, answer)) == (400, "webauthn_challenge_not_found")
    over = await stranger.ask(f"{SIGN_IN}/options")
    assert refusal(over) == (429, "over_request_rate_limit")
    assert int(over.headers["Retry-After"]) > 0
    async with web(address="192.0.2.9") as elsewhere:
        assert (await elsewhere.post(f"{SIGN_IN}/options")).status_code == 200


async def test_old_challenges_are_pruned(stranger: Person, kit: Corekit, tables: Any, clock: FakeClock) -> None:
    await stranger.options(SIGN_IN)
    clock.move(301)
    await stranger.options(SIGN_IN)
    async with kit.caller().system(PRUNE).begin() as ctx:
        await prune(ctx, kit.get(AuthService).settings)
    assert len(await tables.read("SELECT id FROM auth_passkey_challenges")) == 1


async def test_what_is_done_between_transactions_refuses_to_run_in_one(
    kit: Corekit, service: AuthService, caller: Caller
) -> None:
    passkeys = service.passkeys
    for verb in (
        lambda: passkeys.begin_registration(caller),
        lambda: passkeys.register(caller, uuid4(), {}),
        lambda: passkeys.begin_sign_in(caller),
        lambda: passkeys.sign_in(caller, uuid4(), {}),
    ):
        async with caller.begin(readonly=True):
            with pytest.raises(RuntimeError, match="context"):
                await verb()


async def test_statement_12_a_session_by_passkey_refreshes(
    stranger: Person, phone: Authenticator, registered: Answer, service: AuthService, kit: Corekit
) -> None:
    body = (await stranger.sign_in(phone)).json()
    grant = await service.grant_by_refresh(kit.caller(client=Client("192.0.2.1", "x")), body["refresh_token"])
    actor = service.bearer(grant.session.access_token)
    assert actor.proof is not None
    assert (actor.proof.aal, actor.proof.methods) == (2, ("passkey",))
    assert UUID(body["user"]["id"]) == actor.id
