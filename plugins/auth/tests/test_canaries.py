"""Statement 17: every secret of every flow is planted and looked for: in tables, files, logs, and refusals.

One person after another walks through every route that is described, which the test demands. Red where `codes._mac`
returns what it is given, or where a log line keeps the query of an address.
"""

import base64
import hashlib
import io
import re
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from authenticator import Authenticator  # beside this file
from provider import StandIn
from witness import Witness, found

from corekit import Corekit
from corekit.testing import FakeClock, serve
from corekit.web import create_app

ANN, BEN, EVE = "canary.ann@example.org", "canary.ben@example.org", "canary.eve@example.org"
PHONE, OTHER_PHONE = "4915112345678", "4915187654321"
PASSWORD, NEW_PASSWORD = "canary password staple", "canary other staple"
VERIFIER = "canary-verifier" * 4
MANY = {"count": 500, "period": 1, "burst": 500}
RATES = [
    *("token", "refresh", "session_refresh", "otp", "address_interval", "address_hourly"),
    *("verify", "anonymous", "mfa", "passkey"),
]
METHODS = {"get", "post", "put", "patch", "delete"}
SILENT = {"/health", "/settings", "/.well-known/jwks.json", "/.well-known/openid-configuration", "/x/outbox"}
CHALLENGE = {
    "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode(),
    "code_challenge_method": "s256",
}


@pytest.fixture
async def standin(clock: FakeClock) -> AsyncGenerator[StandIn]:
    """Serve the provider."""
    made = StandIn(clock)
    made.token, made.refresh_token = "canary theirs", "canary theirs too"
    async with serve(made.app()) as made.url:
        yield made


@pytest.fixture
def settings(standin: StandIn) -> dict[str, Any]:
    """Switch everything on, and every limit of messages off."""
    acme = {"kind": "oidc", "issuer": standin.url, "client_id": "app", "client_secret": standin.secret}
    on = ["anonymous", "phone", "phone_factor", "passkeys", "webauthn_factor", "manual_linking"]
    switches = dict.fromkeys(on, True) | {"mailer_autoconfirm": False, "phone_autoconfirm": False}
    return {"social": {"acme": acme}} | switches | {f"{name}_rate": MANY for name in RATES}


class Story:
    """Everybody's way through auth."""

    def __init__(self, witness: Witness, post: Any, standin: StandIn, clock: FakeClock, key: str) -> None:
        self.witness, self.ask = witness, witness.ask
        self.post, self.standin, self.clock, self.key = post, standin, clock, key

    async def by_mail(self) -> str:
        """Sign up, confirm, forget the password, and change address and password; return a session's token."""
        ask, said, post = self.ask, self.witness.said, self.post
        await ask("POST", "/signup", json={"email": ANN, "password": PASSWORD})
        said(await post.code())
        await ask("POST", "/resend", json={"type": "signup", "email": ANN})
        code = said(await post.code())
        await ask("POST", "/verify", status=403, json={"type": "signup", "email": ANN, "token": "canary-code"})
        await ask("POST", "/verify", json={"type": "signup", "email": ANN, "token": code})
        wrong = {"email": ANN, "password": "canary wrong staple"}
        await ask("POST", "/token?grant_type=password", status=400, json=wrong)
        session = await ask("POST", "/token?grant_type=password", json={"email": ANN, "password": PASSWORD})
        session = await ask("POST", "/token?grant_type=refresh_token", json={"refresh_token": session["refresh_token"]})
        await ask("POST", "/token?grant_type=refresh_token", status=400, json={"refresh_token": "canary refresh"})
        await ask("GET", "/user", "canary.bearer.token", status=403)
        self.witness.secrets["canary.bearer.token"] = "bearer"
        for path in ("/otp", "/magiclink", "/recover"):
            await ask("POST", path, json={"email": ANN} | CHALLENGE)
            link = await post.link()
            self.witness.keep(dict(link.params))
            landed = await ask("GET", f"/verify?{link.query.decode()}", status=303)
            proof = {"auth_code": landed["code"], "code_verifier": VERIFIER}
            await ask("POST", "/token?grant_type=pkce", status=400, json=proof | {"code_verifier": "w" * 43})
            session = await ask("POST", "/token?grant_type=pkce", json=proof)
        token: str = session["access_token"]
        await ask("GET", "/reauthenticate", token)
        change = {"password": NEW_PASSWORD, "nonce": said(await post.code()), "current_password": PASSWORD}
        await ask("PUT", "/user", token, json=change)
        await ask("PUT", "/user", token, json={"email": f"new.{ANN}"})
        for mail in await post.deliver():
            said(mail.text.split()[-1]) if mail.text.split()[-1].isdigit() else None
        return token

    async def second_factors(self, token: str) -> str:
        """Enrol an app, a phone and a key, answer each, and use a recovery code; return the stronger token."""
        ask, said = self.ask, self.witness.said
        app = await ask("POST", "/factors", token, json={"factor_type": "totp", "friendly_name": "app"})
        self.witness.secrets[app["totp"]["uri"]] = "uri"
        code = said(pyotp.TOTP(app["totp"]["secret"]).at(self.clock.now()))
        token = await self._answer(token, app["id"], code=code)
        body = {"factor_type": "phone", "friendly_name": "mine", "phone": PHONE}
        phone = await ask("POST", "/factors", token, json=body)
        token = await self._answer(token, phone["id"], channel="sms")
        device = Authenticator(resident="discouraged")
        key = await ask("POST", "/factors", token, json={"factor_type": "webauthn", "friendly_name": "key"})
        token = await self._answer(token, key["id"], device=device)
        codes = (await ask("POST", "/x/recovery-codes", token))["codes"]
        await ask("POST", "/x/recovery-codes/verify", token, status=422, json={"code": "canary-wrong-code"})
        session = await ask("POST", "/x/recovery-codes/verify", token, json={"code": codes[0]})
        token = session["access_token"]
        await ask("DELETE", f"/factors/{phone['id']}", token)
        return token

    async def _answer(self, token: str, factor: str, code: str = "", channel: str = "", device: Any = None) -> str:
        where, asking = f"/factors/{factor}", {"channel": channel} if channel else {}
        if device is not None:
            asking = {"webauthn": {"rpId": "localhost", "rpOrigins": ["http://localhost:3000"]}}
        asked = await self.ask("POST", f"{where}/challenge", token, json=asking)
        answer: dict[str, Any] = {"challenge_id": asked["id"]}
        if device is None:
            answer["code"] = code or self.witness.said(await self.post.text())
            await self.ask("POST", f"{where}/verify", token, status=422, json=answer | {"code": "000000"})
        else:
            word = device.create(asked["webauthn"]["credential_options"]["publicKey"])
            answer["webauthn"] = {**asking["webauthn"], "type": "create", "credential_response": word}
        session = await self.ask("POST", f"{where}/verify", token, json=answer)
        return str(session["access_token"])

    async def passkeys(self, token: str, *, keep: bool = False) -> None:
        """Register a passkey, sign in with it, rename it, remove it."""
        ask, device = self.ask, Authenticator()
        asked = await ask("POST", "/passkeys/registration/options", token, json={})
        answer = {"challenge_id": asked["challenge_id"], "credential": device.create(asked["options"])}
        made = await ask("POST", "/passkeys/registration/verify", token, json=answer)
        asked = await ask("POST", "/passkeys/authentication/options", json={})
        answer = {"challenge_id": asked["challenge_id"], "credential": device.get(asked["options"])}
        await ask("POST", "/passkeys/authentication/verify", json=answer)
        await ask("GET", "/passkeys", token)
        await ask("PATCH", f"/passkeys/{made['id']}", token, json={"friendly_name": "phone"})
        if not keep:
            await ask("DELETE", f"/passkeys/{made['id']}", token, status=204)

    async def by_sms(self) -> None:
        """Sign in by SMS, then change the number; the number itself is a secret of the tables."""
        ask, said = self.ask, self.witness.said
        await ask("POST", "/otp", json={"phone": OTHER_PHONE})
        code = said(await self.post.text())
        session = await ask("POST", "/verify", json={"type": "sms", "phone": OTHER_PHONE, "token": code})
        await ask("PUT", "/user", session["access_token"], json={"phone": f"{OTHER_PHONE}9"})
        code = said(await self.post.text())
        confirmed = {"type": "phone_change", "phone": f"{OTHER_PHONE}9", "token": code}
        await ask("POST", "/verify", json=confirmed)

    async def elsewhere(self, token: str) -> None:
        """Come in by a provider, with and without a challenge, by its id_token, and link it to an account and off."""
        ask, standin = self.ask, self.standin
        standin.person |= {"email": EVE}
        away = await ask("GET", "/authorize?provider=acme", status=302)
        await ask("GET", "/callback", status=302, params=standin.visit(away[""]))
        away = await ask("GET", "/authorize", status=302, params={"provider": "acme"} | CHALLENGE)
        landed = await ask("GET", "/callback", status=302, params=standin.visit(away[""]))
        proof = {"auth_code": landed["code"], "code_verifier": VERIFIER}
        await ask("POST", "/token?grant_type=pkce", json=proof)
        nonce = "canary nonce of the application"
        signed = standin.id_token(nonce=hashlib.sha256(nonce.encode()).hexdigest())
        body = {"provider": "acme", "id_token": signed, "nonce": nonce}
        await ask("POST", "/token?grant_type=id_token", json=body)
        await ask("POST", "/signup", json={"data": {"name": "Guest"}})
        standin.person |= {"sub": "5678", "email": BEN}
        away = await ask("GET", "/user/identities/authorize?provider=acme&skip_http_redirect=true", token)
        await ask("POST", "/callback", status=302, data=standin.visit(away["url"]))
        identities = (await ask("GET", "/user", token))["identities"]
        linked = next(one for one in identities if one["provider"] == "acme")
        await ask("DELETE", f"/user/identities/{linked['identity_id']}", token)

    async def administration(self) -> None:
        """Invite, make links of every kind, make, change and remove people."""
        ask, key = self.ask, self.key
        await ask("POST", "/invite", key, json={"email": "canary.fay@example.org"})
        self.witness.keep(dict((await self.post.link()).params))
        for kind in ("signup", "magiclink", "recovery"):
            body = {"type": kind, "email": f"{kind}.{BEN}" if kind == "signup" else ANN, "password": PASSWORD}
            link = await ask("POST", "/admin/generate_link", key, json=body)
            self.witness.keep(dict(httpx.URL(link["action_link"]).params))
        made = await ask("POST", "/admin/users", key, json={"email": "canary.gus@example.org", "password": PASSWORD})
        where = f"/admin/users/{made['id']}"
        await ask("PUT", where, key, json={"password": NEW_PASSWORD})
        await ask("GET", where, key)
        await ask("GET", "/admin/users", key)
        await ask("GET", "/admin/audit", key)
        await ask("GET", "/admin/x/limits", key)
        await ask("GET", f"{where}/factors", key)
        await ask("GET", f"{where}/passkeys", key)
        await ask("POST", f"/admin/x/users/{made['id']}/logout", key, status=204)
        await ask("DELETE", where, key)

    async def help_ann(self, token: str) -> None:
        """Rename and remove the factors and passkeys of somebody."""
        user = await self.ask("GET", "/user", token)
        where = f"/admin/users/{user['id']}"
        await self.passkeys(token, keep=True)
        (passkey,) = await self.ask("GET", f"{where}/passkeys", self.key)
        await self.ask("DELETE", f"{where}/passkeys/{passkey['id']}", self.key, status=204)
        factor = user["factors"][0]["id"]
        await self.ask("PUT", f"{where}/factors/{factor}", self.key, json={"friendly_name": "theirs"})
        await self.ask("DELETE", f"{where}/factors/{factor}", self.key)

    async def goodbye(self, token: str) -> None:
        """Look at one's own account, and leave."""
        await self.ask("GET", "/user", token)
        await self.ask("GET", "/x/audit", token)
        sessions = await self.ask("GET", "/x/sessions", token)
        other = next(one for one in sessions if not one["current"])
        await self.ask("DELETE", f"/x/sessions/{other['id']}", token, status=204)
        await self.ask("POST", "/logout", token, status=204)


async def test_statement_17_no_secret_of_any_flow_lies_in_clear(
    kit: Corekit,
    web: Callable[..., httpx.AsyncClient],
    post: Any,
    standin: StandIn,
    clock: FakeClock,
    service_key: str,
    log: io.StringIO,
    tables: Any,
) -> None:
    witness = Witness(web)
    witness.keep({"secret": standin.secret * 3, "token": service_key})
    story = Story(witness, post, standin, clock, service_key)
    token = await story.by_mail()
    token = await story.second_factors(token)
    await story.passkeys(token)
    await story.by_sms()
    await story.elsewhere(token)
    await story.administration()
    await story.help_ann(token)
    await story.goodbye(token)
    assert unasked(kit, witness) == set()
    assert len(witness.secrets) > 80, sorted(set(witness.secrets.values()))

    stored, logged = await tables.everything(), log.getvalue()
    assert ANN in stored  # the search does find what is there
    assert "/verify" in logged
    for where in (stored, logged, *files(kit)):
        assert {witness.secrets[one] for one in found(where, witness.secrets)} == set()
    for person in (PHONE, OTHER_PHONE):
        assert person not in stored
    for address in (ANN, BEN, EVE, PHONE, OTHER_PHONE):
        assert address not in logged


def unasked(kit: Corekit, witness: Witness) -> set[tuple[str, str]]:
    """Name the described routes of auth that nobody has asked with success."""
    described = create_app(kit, lifespan=False).openapi_schema.to_schema()["paths"]
    return {
        (method.upper(), path)
        for path, methods in described.items()
        if path.startswith("/auth/v1/") and path.removeprefix("/auth/v1") not in SILENT
        for method in methods
        if method in METHODS and not any(_is(path, method, one) for one in witness.asked)
    }


def _is(path: str, method: str, asked: tuple[str, str]) -> bool:
    pattern = re.sub(r"\{[^}]+\}", "[^/]+", path.removeprefix("/auth/v1"))
    return asked[0] == method.upper() and re.fullmatch(pattern, asked[1]) is not None


def files(kit: Corekit) -> list[str]:
    """Read the files of the database, rows that are no more included; a server's own are not here."""
    return [file.read_bytes().decode("latin-1") for file in kit.database.data_dir.glob("*.db*")]
