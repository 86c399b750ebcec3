"""Invitations and links of administrators: each leads to a session, once, and only where it should."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from corekit.testing import FakeClock
from corekit_auth.objects import Grant
from corekit_auth.service import AuthService

Web = Callable[..., httpx.AsyncClient]
Refused = Callable[..., Awaitable[str]]
ANN, BOB, NEW = "ann@example.org", "bob@example.org", "ann@new.example.org"
PASSWORD = "correct horse battery"
SITE = "http://localhost:3000"
USER = {
    "id",
    "aud",
    "role",
    "email",
    "phone",
    "app_metadata",
    "user_metadata",
    "identities",
    "created_at",
    "updated_at",
    "is_anonymous",
}
LINK = {"action_link", "email_otp", "hashed_token", "verification_type", "redirect_to"}
CONFIRMED = {"email_confirmed_at", "confirmed_at", "last_sign_in_at"}
LISTED = pytest.mark.parametrize("settings", [{"redirect_allow": [f"{SITE}/welcome"]}])


class Desk:
    """An administrator who makes links, and those who use them."""

    def __init__(self, web: Web, key: str, service: AuthService) -> None:
        self._web, self._key, self._service = web, key, service

    async def asks(self, path: str, **request: Any) -> dict[str, Any]:
        async with self._web(self._key) as client:
            answer = await client.post(path, **request)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def link(self, type_: str, email: str = ANN, **more: Any) -> dict[str, Any]:
        return await self.asks("/admin/generate_link", json={"type": type_, "email": email, **more})

    async def verify(self, type_: str, **body: Any) -> httpx.Response:
        async with self._web() as client:
            return await client.post("/verify", json={"type": type_, **body})

    async def user(self, answer: httpx.Response) -> dict[str, Any]:
        """Ask with the session that a link led to who one is."""
        assert answer.status_code == 200, answer.text
        async with self._web(answer.json()["access_token"]) as client:
            found: dict[str, Any] = (await client.get("/user")).json()
        return found

    def methods(self, answer: httpx.Response) -> tuple[str, ...]:
        """Read what the session says was proved."""
        proof = self._service.bearer(answer.json()["access_token"]).proof
        assert proof is not None
        return tuple(proof.methods)


@pytest.fixture
def desk(web: Web, service_key: str, service: AuthService) -> Desk:
    """Give an administrator."""
    return Desk(web, service_key, service)


@pytest.mark.parametrize(
    ("path", "body"), [("/invite", {"email": BOB}), ("/admin/generate_link", {"type": "magiclink", "email": BOB})]
)
async def test_who_is_no_administrator_is_refused(
    refused: Refused, signed_up: Grant, tables: Any, post: Any, path: str, body: dict[str, str]
) -> None:
    """Statement 18. Goes red when a route forgets to ask `admin`."""
    await refused(401, "no_authorization", "POST", path, json=body)
    await refused(403, "bad_jwt", "POST", path, "anon", json=body)
    await refused(403, "not_admin", "POST", path, signed_up.session.access_token, json=body)
    await refused(405, "unknown", "GET", path)
    assert len(await tables.read("SELECT id FROM auth_users")) == 1
    assert await tables.read("SELECT id FROM auth_one_time_tokens") == []
    assert await post.deliver() == []


async def test_an_invitation_is_sent_and_accepted(desk: Desk, post: Any) -> None:
    user = await desk.asks("/invite", json={"email": " Bob@Example.org", "data": {"name": "Bob"}})
    assert set(user) == USER | {"invited_at", "confirmation_sent_at"}
    assert (user["email"], user["user_metadata"]) == (BOB, {"name": "Bob"})
    (mail,) = await post.deliver()
    assert (mail.to, mail.kind) == (BOB, "auth.invite")
    token = next(word for word in reversed(mail.text.split()) if word.isdigit() and len(word) == 6)
    accepted = await desk.verify("invite", email=BOB, token=token)
    assert desk.methods(accepted) == ("invite",)
    seen = await desk.user(accepted)
    assert seen["id"] == user["id"]
    assert set(seen) == USER | CONFIRMED | {"invited_at", "confirmation_sent_at"}


@LISTED
async def test_the_link_of_an_invitation_leads_to_the_page_that_was_asked_for(desk: Desk, post: Any, web: Web) -> None:
    await desk.asks("/invite", params={"redirect_to": f"{SITE}/welcome"}, json={"email": BOB, "data": None})
    url = await post.link()
    assert (url.params["type"], url.params["redirect_to"]) == ("invite", f"{SITE}/welcome")
    async with web() as client:
        where = (await client.get(f"/verify?{url.query.decode()}")).headers["Location"]
    assert where.startswith(f"{SITE}/welcome#")
    assert dict(parse_qsl(urlsplit(where).fragment))["type"] == "invite"


async def test_whom_one_can_not_invite(desk: Desk, refused: Refused, signed_up: Grant, service_key: str) -> None:
    assert signed_up.session.user.email == ANN
    for path, body in (
        ("/invite", {"email": ANN.upper()}),
        ("/admin/generate_link", {"type": "invite", "email": ANN}),
        ("/admin/generate_link", {"type": "signup", "email": ANN, "password": PASSWORD}),
    ):
        await refused(422, "email_exists", "POST", path, service_key, json=body)
    said = await refused(400, "validation_failed", "POST", "/invite", service_key, json={"email": "ann"})
    assert said.startswith("email: ")


@pytest.mark.parametrize("settings", [{"mailer_autoconfirm": False}])
async def test_who_never_confirmed_is_invited_and_what_they_set_counts_no_more(
    desk: Desk, post: Any, web: Web, clock: FakeClock
) -> None:
    """Goes red when `_newcomer` leaves the codes or the data: somebody else may have signed up with the address."""
    async with web() as client:
        await client.post("/signup", json={"email": BOB, "password": PASSWORD, "data": {"name": "Mallory"}})
        early = (await post.link()).params["token"]
        clock.move(60)
        user = await desk.asks("/invite", json={"email": BOB, "data": {"name": "Bob"}})
        assert user["user_metadata"] == {"name": "Bob"}
        assert (await desk.verify("signup", token_hash=early)).json()["error_code"] == "otp_expired"
        accepted = await desk.verify("invite", token_hash=(await post.link()).params["token"])
        assert accepted.status_code == 200
        signs_in = await client.post("/token?grant_type=password", json={"email": BOB, "password": PASSWORD})
    assert signs_in.json()["error_code"] == "invalid_credentials"


async def test_an_invitation_counts_as_a_mail_to_its_address(
    desk: Desk, refused: Refused, service_key: str, clock: FakeClock
) -> None:
    """Goes red when `invite` does not charge `mail_to`."""
    await desk.asks("/invite", json={"email": BOB})
    await refused(429, "over_email_send_rate_limit", "POST", "/invite", service_key, json={"email": BOB})
    clock.move(60)
    await desk.asks("/invite", json={"email": BOB})


async def test_a_refused_invitation_counts_as_none(desk: Desk, refused: Refused, service_key: str, web: Web) -> None:
    """Goes red when `invite` charges before it looks: an administrator's slip would keep the owner's own mail away."""
    made = await desk.link("magiclink", BOB)
    await desk.verify("magiclink", token_hash=made["hashed_token"])
    await refused(422, "email_exists", "POST", "/invite", service_key, json={"email": BOB})
    async with web() as client:
        assert (await client.post("/otp", json={"email": BOB})).status_code == 200


@pytest.mark.parametrize(
    ("type_", "more", "verified_as", "method", "times"),
    [
        ("signup", {"password": PASSWORD}, "signup", "email/signup", {"confirmation_sent_at"}),
        ("invite", {}, "invite", "invite", {"invited_at", "confirmation_sent_at"}),
        ("magiclink", {}, "magiclink", "magiclink", {"recovery_sent_at"}),
    ],
)
async def test_links_that_make_an_account(
    desk: Desk, post: Any, type_: str, more: dict[str, str], verified_as: str, method: str, times: set[str]
) -> None:
    made = await desk.link(type_, BOB, data={"name": "Bob"}, new_email=None, **more)
    assert set(made) == USER | LINK | times
    assert (made["verification_type"], made["redirect_to"]) == (type_, SITE)
    assert (made["email"], made["user_metadata"]) == (BOB, {"name": "Bob"})
    url = httpx.URL(made["action_link"])
    assert dict(url.params) == {"token": made["hashed_token"], "type": verified_as, "redirect_to": SITE}
    assert await post.deliver() == []
    answer = await desk.verify(verified_as, token_hash=made["hashed_token"])
    assert desk.methods(answer) == (method,)
    user = await desk.user(answer)
    assert (user["id"], set(user)) == (made["id"], USER | CONFIRMED | times)
    again = await desk.verify(verified_as, email=BOB, token=made["email_otp"])
    assert (again.status_code, again.json()["error_code"]) == (403, "otp_expired")


async def test_a_sign_up_by_link_has_its_password(desk: Desk, web: Web) -> None:
    made = await desk.link("signup", BOB, password=PASSWORD)
    body = {"email": BOB, "password": PASSWORD}
    async with web() as client:
        before = await client.post("/token?grant_type=password", json=body)
        assert before.json()["error_code"] == "email_not_confirmed"
        assert (await desk.verify("signup", email=BOB, token=made["email_otp"])).status_code == 200
        assert (await client.post("/token?grant_type=password", json=body)).status_code == 200


@pytest.mark.parametrize("type_", ["magiclink", "recovery"])
@pytest.mark.usefixtures("signed_up")
async def test_links_for_who_has_an_account(desk: Desk, web: Web, type_: str) -> None:
    older, made = await desk.link(type_), await desk.link(type_, data={"name": "Mallory"})
    assert made["user_metadata"] == {"name": "Ann"}
    assert (await desk.verify(type_, token_hash=older["hashed_token"])).json()["error_code"] == "otp_expired"
    async with web() as client:
        where = (await client.get(f"/verify?{httpx.URL(made['action_link']).query.decode()}")).headers["Location"]
    found = dict(parse_qsl(urlsplit(where).fragment))
    assert (found["type"], found["token_type"]) == (type_, "bearer")


@pytest.mark.usefixtures("signed_up")
async def test_both_links_of_a_change_of_address(desk: Desk, post: Any) -> None:
    current = await desk.link("email_change_current", new_email=NEW)
    new = await desk.link("email_change_new", new_email=NEW.upper())
    assert (current["verification_type"], new["verification_type"]) == ("email_change_current", "email_change_new")
    assert httpx.URL(new["action_link"]).params["type"] == "email_change"
    assert (new["email"], new["new_email"]) == (ANN, NEW)
    half = await desk.verify("email_change", token_hash=current["hashed_token"])
    assert half.json()["code"] == "200"
    answer = await desk.verify("email_change", token_hash=new["hashed_token"])
    assert desk.methods(answer) == ("email_change",)
    assert (await desk.user(answer))["email"] == NEW
    assert [(mail.to, mail.kind) for mail in await post.deliver()] == [(ANN, "auth.email_changed")]


@pytest.mark.usefixtures("signed_up")
async def test_one_address_confirms_once_however_many_links_it_gets(desk: Desk) -> None:
    """Goes red when confirmations are counted: two links to the old address would move it to one nobody confirmed."""
    for _ in range(2):
        made = await desk.link("email_change_current", new_email=NEW)
        assert (await desk.verify("email_change", token_hash=made["hashed_token"])).json()["code"] == "200"
    made = await desk.link("email_change_new", new_email=NEW)
    answer = await desk.verify("email_change", email=NEW, token=made["email_otp"])
    assert (await desk.user(answer))["email"] == NEW


@pytest.mark.usefixtures("signed_up")
async def test_another_new_address_begins_from_the_start(desk: Desk) -> None:
    current = await desk.link("email_change_current", new_email=NEW)
    assert (await desk.verify("email_change", token_hash=current["hashed_token"])).json()["code"] == "200"
    stale = await desk.link("email_change_new", new_email=NEW)
    made = await desk.link("email_change_new", new_email=BOB)
    assert (await desk.verify("email_change", token_hash=stale["hashed_token"])).json()["error_code"] == "otp_expired"
    assert (await desk.verify("email_change", token_hash=made["hashed_token"])).json()["code"] == "200"


@pytest.mark.parametrize("settings", [{"double_email_change": False}])
@pytest.mark.usefixtures("signed_up")
async def test_the_new_address_alone_confirms_where_that_is_enough(
    desk: Desk, refused: Refused, service_key: str
) -> None:
    body = {"type": "email_change_current", "email": ANN, "new_email": NEW}
    said = await refused(400, "validation_failed", "POST", "/admin/generate_link", service_key, json=body)
    assert "double_email_change" in said
    made = await desk.link("email_change_new", new_email=NEW)
    answer = await desk.verify("email_change", token_hash=made["hashed_token"])
    assert (await desk.user(answer))["email"] == NEW


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        ({"type": "recovery", "email": BOB}, 404, "user_not_found", "User not found"),
        ({"type": "email_change_new", "email": BOB, "new_email": NEW}, 404, "user_not_found", "User not found"),
        ({"type": "email_change_current", "email": ANN, "new_email": ANN}, 422, "email_exists", ""),
        ({"type": "email_change_new", "email": ANN}, 400, "validation_failed", "new_email: "),
        ({"type": "email_change_new", "email": ANN, "new_email": "x"}, 400, "validation_failed", "new_email: "),
        ({"type": "signup", "email": BOB}, 400, "validation_failed", "password: "),
        ({"type": "signup", "email": BOB, "password": "short"}, 422, "weak_password", ""),
        ({"type": "sms", "email": BOB}, 400, "validation_failed", "type: must be one of signup, invite"),
        ({"type": "magiclink", "email": "bob"}, 400, "validation_failed", "email: "),
        ({"type": "magiclink"}, 400, "validation_failed", "email"),
        ({"email": BOB}, 400, "validation_failed", "type"),
    ],
)
@pytest.mark.usefixtures("signed_up")
async def test_what_no_link_is_made_for(
    refused: Refused, service_key: str, tables: Any, body: dict[str, str], status: int, code: str, said: str
) -> None:
    assert said in await refused(status, code, "POST", "/admin/generate_link", service_key, json=body)
    assert len(await tables.read("SELECT id FROM auth_users")) == 1
    assert await tables.read("SELECT id FROM auth_one_time_tokens") == []


@pytest.mark.parametrize("settings", [{"email": False}])
async def test_without_sign_in_by_mail_there_are_no_links(refused: Refused, service_key: str) -> None:
    body = {"type": "magiclink", "email": BOB}
    await refused(400, "email_provider_disabled", "POST", "/admin/generate_link", service_key, json=body)
    await refused(400, "email_provider_disabled", "POST", "/invite", service_key, json=body)


@LISTED
async def test_where_a_link_leads(desk: Desk, web: Web, service_key: str) -> None:
    there = f"{SITE}/welcome"
    in_body = await desk.link("magiclink", BOB, redirect_to=there)
    foreign = await desk.link("magiclink", BOB, redirect_to="https://evil.example")
    assert (in_body["redirect_to"], foreign["redirect_to"]) == (there, SITE)
    async with web(service_key) as client:
        answer = await client.post(
            "/admin/generate_link", params={"redirect_to": there}, json={"type": "magiclink", "email": BOB}
        )
    assert httpx.URL(answer.json()["action_link"]).params["redirect_to"] == there
    assert answer.headers["Cache-Control"] == "no-store"
