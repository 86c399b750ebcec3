"""Every switch of auth: where it keeps something out, it says so in the protocol's words; otherwise that works."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Literal

import httpx
import msgspec
import pytest

from corekit_auth.objects import Grant

Web = Callable[..., httpx.AsyncClient]
PASSWORD = "correct horse battery"
LEAKED = "wrong horse battery"
GITHUB: dict[str, Any] = {"client_id": "id", "client_secret": "secret"}
BOB = {"email": "bob@example.org", "password": PASSWORD}
CAPTCHA = {"captcha": "turnstile", "captcha_secret": "secret"}


class Switch(msgspec.Struct, frozen=True):
    """A request, the settings with which it works, and those with which it is refused; to add a switch, add a line."""

    name: str
    request: tuple[str, str, dict[str, Any] | None]
    works: dict[str, Any]
    refuses: dict[str, Any]
    status: int
    code: str
    who: Literal["nobody", "user", "admin"] = "nobody"

    def __str__(self) -> str:
        return f"{self.name}: {self.request[0]} {self.request[1]}"


def off(name: str, method: str, path: str, status: int, code: str, who: Any = "user", **body: Any) -> Switch:
    """Describe one that is off in a new kit."""
    return Switch(name, (method, path, body or None), {name: True}, {}, status, code, who)


def linking(method: str, path: str) -> Switch:
    on = {"social": {"github": GITHUB}}
    refused = (404, "manual_linking_disabled", "user")
    return Switch("manual_linking", (method, path, None), {**on, "manual_linking": True}, on, *refused)


def authorize(name: str, refuses: dict[str, Any]) -> Switch:
    works = {"social": {"github": GITHUB}}
    return Switch(name, ("GET", "/authorize?provider=github", None), works, refuses, 400, "validation_failed")


SWITCHES = (
    off("anonymous", "POST", "/signup", 422, "anonymous_provider_disabled", "nobody", data={}),
    off("phone", "POST", "/otp", 400, "phone_provider_disabled", "nobody", phone="4915112345678"),
    off("phone", "POST", "/signup", 400, "phone_provider_disabled", "nobody", phone="491511", password=PASSWORD),
    off("phone", "PUT", "/user", 400, "phone_provider_disabled", phone="491511", current_password=PASSWORD),
    off(
        "phone_factor", "POST", "/factors", 422, "mfa_phone_enroll_not_enabled", factor_type="phone", phone="4915112"
    ),
    off("webauthn_factor", "POST", "/factors", 422, "mfa_webauthn_enroll_not_enabled", factor_type="webauthn"),
    off("passkeys", "POST", "/passkeys/registration/options", 404, "passkey_disabled"),
    off("passkeys", "POST", "/passkeys/authentication/options", 404, "passkey_disabled", "nobody"),
    off("passkeys", "GET", "/passkeys", 404, "passkey_disabled"),
    off("passkeys", "GET", "/admin/users/{user}/passkeys", 404, "passkey_disabled", "admin"),
    linking("GET", "/user/identities/authorize?provider=github&skip_http_redirect=true"),
    authorize("social", {}),
    authorize("social.enabled", {"social": {"github": {**GITHUB, "enabled": False}}}),
    Switch(
        "totp", ("POST", "/factors", {"factor_type": "totp"}), {}, {"totp": False}, 422, "mfa_totp_enroll_not_enabled",
        "user",
    ),
    Switch("email", ("POST", "/signup", BOB), {}, {"email": False}, 400, "email_provider_disabled"),
    Switch("disable_signup", ("POST", "/signup", BOB), {}, {"disable_signup": True}, 422, "signup_disabled"),
    # These keep out where they are on.
    Switch("captcha", ("POST", "/signup", BOB), {}, CAPTCHA, 400, "captcha_failed"),
    Switch("hibp", ("POST", "/signup", {**BOB, "password": LEAKED}), {}, {"hibp": True}, 422, "weak_password"),
)  # fmt: skip


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """None of this depends on the database."""
    return sqlite_url


@pytest.fixture
async def leaks() -> AsyncGenerator[str]:
    """Serve the one password that has leaked."""
    digest = hashlib.sha1(LEAKED.encode(), usedforsecurity=False).hexdigest().upper()
    text = f"{digest[5:]}:7"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 X\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture(params=SWITCHES, ids=str)
def switch(request: pytest.FixtureRequest) -> Switch:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=[True, False], ids=["works", "refused"])
def works(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def settings(switch: Switch, leaks: str, *, works: bool) -> dict[str, Any]:
    return {"hibp_url": leaks} | (switch.works if works else switch.refuses)


@pytest.fixture
def asked(request: pytest.FixtureRequest, switch: Switch) -> Any:
    """Give the request of a switch: method, path, bearer, body."""
    method, path, body = switch.request
    token = request.getfixturevalue("service_key") if switch.who == "admin" else ""
    if switch.who != "nobody":
        person: Grant = request.getfixturevalue("signed_up")
        token, path = token or person.session.access_token, path.format(user=person.session.user.id)
    return method, path, token, body


async def test_a_switch(
    asked: Any, switch: Switch, web: Web, refused: Callable[..., Awaitable[str]], *, works: bool
) -> None:
    method, path, token, body = asked
    if not works:
        await refused(switch.status, switch.code, method, path, token, json=body)
        return
    async with web(token) as client:
        answer = await client.request(method, path, json=body)
    assert answer.status_code in {200, 302}, answer.text


EVERYTHING = {
    name: value for switch in SWITCHES for name, value in (switch.works | {"social": {"github": GITHUB}}).items()
}
NOTHING = dict.fromkeys(("email", "totp"), False) | {"disable_signup": True}


@pytest.mark.parametrize(("settings", "on"), [(EVERYTHING, True), (NOTHING, False)], ids=["everything", "nothing"])
async def test_all_of_them_at_once_are_told(web: Web, *, on: bool) -> None:
    async with web() as client:
        told = (await client.get("/settings")).json()
        assert (await client.get("/health")).is_success
    assert [told["external"].get(name, False) for name in ("email", "phone", "anonymous_users", "github")] == [on] * 4
    assert (told["passkeys_enabled"], told["disable_signup"]) == (on, not on)
