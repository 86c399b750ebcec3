"""Codes and links over HTTP: bodies, redirects, refusals."""

import base64
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest

from corekit.testing import FakeClock
from corekit_auth.objects import Grant
from corekit_auth.service import AuthService

Web = Callable[..., httpx.AsyncClient]
Refused = Callable[..., Awaitable[str]]
ANN = "ann@example.org"
PASSWORD = "correct horse battery"
SITE = "http://localhost:3000"
VERIFIER = "v" * 43
CHALLENGE = {
    "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode(),
    "code_challenge_method": "s256",
}
NEW = {"email": ANN, "password": PASSWORD}
UNCONFIRMED = pytest.mark.parametrize("settings", [{"mailer_autoconfirm": False}])


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """None of this depends on the database; the verbs are tested on each."""
    return sqlite_url


def fragment(answer: httpx.Response) -> dict[str, str]:
    """Read what a redirect has behind `#`."""
    assert answer.status_code == 303
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).fragment, keep_blank_values=True))


@UNCONFIRMED
async def test_a_sign_up_answers_a_user_without_a_session(web: Web, post: Any) -> None:
    async with web() as client:
        answer = await client.post("/signup", json={**NEW, "data": {"name": "Ann"}})
        assert answer.status_code == 200
        user = answer.json()
        assert set(user) == {
            "id",
            "aud",
            "role",
            "email",
            "phone",
            "confirmation_sent_at",
            "app_metadata",
            "user_metadata",
            "identities",
            "created_at",
            "updated_at",
            "is_anonymous",
        }
        assert user["identities"][0]["identity_data"]["email_verified"] is False
        assert (await client.get("/settings")).json()["mailer_autoconfirm"] is False
        verified = await client.post("/verify", json={"type": "signup", "email": ANN, "token": await post.code()})
    assert set(verified.json()) == {"access_token", "token_type", "expires_in", "expires_at", "refresh_token", "user"}
    assert verified.headers["sb-auth-user-id"] == user["id"]


@pytest.mark.parametrize(
    ("settings", "count"),
    [({"mailer_autoconfirm": False}, 1), ({"mailer_autoconfirm": False, "made_up_identity": False}, 0)],
)
async def test_statement_5_the_made_up_user_has_the_same_members(
    web: Web, post: Any, clock: FakeClock, count: int
) -> None:
    async with web() as client:
        await client.post("/signup", json=NEW)
        await client.post("/verify", json={"type": "signup", "email": ANN, "token": await post.code()})
        clock.move(60)
        known = (await client.post("/signup", json=NEW)).json()
        free = (await client.post("/signup", json={**NEW, "email": "bob@example.org"})).json()
    assert set(known) == set(free)
    assert len(known["identities"]) == count
    if count:
        assert set(known["identities"][0]) == set(free["identities"][0])


async def test_a_link_leads_to_the_application_with_a_session(
    web: Web, post: Any, service: AuthService, signed_up: Grant
) -> None:
    async with web() as client:
        assert (await client.post("/otp", json={"email": ANN, "create_user": False})).json() == {}
        url = await post.link()
        assert url.path == "/auth/v1/verify"
        assert (url.params["type"], url.params["redirect_to"]) == ("magiclink", SITE)
        assert (await client.head(f"/verify?{url.query.decode()}")).status_code == 200  # uses nothing
        answer = await client.get(f"/verify?{url.query.decode()}")
        found = fragment(answer)
        assert answer.headers["Location"].startswith(f"{SITE}#")
        assert set(found) == {
            "access_token",
            "expires_at",
            "expires_in",
            "refresh_token",
            "sb",
            "token_type",
            "type",
        }
        assert (found["type"], found["token_type"], found["sb"]) == ("magiclink", "bearer", "")
        actor = service.bearer(found["access_token"])
        assert actor.id == signed_up.session.user.id
        assert actor.proof is not None
        assert actor.proof.methods == ("magiclink",)
        again = fragment(await client.get(f"/verify?{url.query.decode()}"))
    assert again == {
        "error": "access_denied",
        "error_code": "otp_expired",
        "error_description": "Email link is invalid or has expired",
        "sb": "",
    }


@pytest.mark.parametrize(("verb", "kind"), [("magiclink", "magiclink"), ("otp", "magiclink"), ("recover", "recovery")])
@pytest.mark.usefixtures("signed_up")
async def test_with_a_challenge_a_link_yields_a_code_for_the_verifier_alone(
    web: Web, post: Any, service: AuthService, refused: Refused, verb: str, kind: str
) -> None:
    async with web() as client:
        await client.post(f"/{verb}", json={"email": ANN, **CHALLENGE})
        url = await post.link()
        assert url.params["token"].startswith("pkce_")
        stripped = url.copy_set_param("token", url.params["token"].removeprefix("pkce_"))  # nobody gets around it
        answer = await client.get(f"/verify?{stripped.query.decode()}")
        where = urlsplit(answer.headers["Location"])
        assert where.fragment == ""
        code = parse_qs(where.query)["code"][0]
        await refused(
            400,
            "bad_code_verifier",
            "POST",
            "/token?grant_type=pkce",
            json={"auth_code": code, "code_verifier": "w" * 43},
        )
        exchange = {"auth_code": code, "code_verifier": VERIFIER}
        session = await client.post("/token?grant_type=pkce", json=exchange)
        assert session.status_code == 200
        actor = service.bearer(session.json()["access_token"])
        assert actor.proof is not None
        assert actor.proof.methods == (kind,)
        await refused(404, "flow_state_not_found", "POST", "/token?grant_type=pkce", json=exchange)


@pytest.mark.usefixtures("signed_up")
async def test_an_auth_code_comes_too_late(web: Web, post: Any, refused: Refused, clock: FakeClock) -> None:
    async with web() as client:
        await client.post("/otp", json={"email": ANN, **CHALLENGE})
        url = await post.link()
        clock.move(590)  # the link lives ten minutes, its code five from here
        answer = await client.get(f"/verify?{url.query.decode()}")
    code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
    clock.move(300)
    await refused(
        422, "flow_state_expired", "POST", "/token?grant_type=pkce", json={"auth_code": code, "code_verifier": VERIFIER}
    )


@UNCONFIRMED
async def test_a_sign_up_with_a_challenge(web: Web, post: Any) -> None:
    async with web() as client:
        await client.post("/signup", json={**NEW, **CHALLENGE})
        url = await post.link()
        assert url.params["type"] == "signup"
        answer = await client.get(f"/verify?{url.query.decode()}")
        code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
        exchange = {"auth_code": code, "code_verifier": VERIFIER}
        session = await client.post("/token?grant_type=pkce", json=exchange)
    assert session.json()["user"]["email"] == ANN


@pytest.mark.usefixtures("signed_up")
async def test_an_application_follows_the_link_itself(web: Web, post: Any) -> None:
    async with web() as client:
        await client.post("/otp", json={"email": ANN, **CHALLENGE})
        token = (await post.link()).params["token"]
        answer = await client.post("/verify", json={"type": "email", "token_hash": token})
    assert answer.json()["user"]["email"] == ANN


@pytest.mark.parametrize("settings", [{"redirect_allow": ["https://app.example/*/done", "myapp://callback"]}])
@pytest.mark.parametrize(
    ("wanted", "leads_to"),
    [
        ("https://app.example/a/done?x=1", "https://app.example/a/done?x=1"),
        ("myapp://callback", "myapp://callback"),
        ("https://evil.example/a/done", SITE),
        ("//evil.example", SITE),
        ("javascript:alert(1)", SITE),
        ("", SITE),
    ],
)
@pytest.mark.usefixtures("signed_up")
async def test_statement_16_a_foreign_address_is_never_echoed(web: Web, post: Any, wanted: str, leads_to: str) -> None:
    """Neither in the mail, nor in the redirect, nor in that of an error. Mutation: redirect to what the query says."""
    async with web() as client:
        await client.post("/magiclink", params={"redirect_to": wanted}, json={"email": ANN})
        (mail,) = await post.deliver()
        assert "evil" not in mail.text + mail.html
        url = httpx.URL(next(line for line in mail.text.splitlines() if line.startswith("http")))
        assert url.params["redirect_to"] == leads_to
        tampered = url.copy_set_param("redirect_to", wanted)
        for _ in range(2):  # the second is an error
            answer = await client.get(f"/verify?{tampered.query.decode()}")
            assert answer.headers["Location"].startswith(f"{leads_to}#")
        fragment(answer)


@pytest.mark.parametrize("settings", [{"verify_page": True}])
@pytest.mark.usefixtures("signed_up")
async def test_a_page_stands_before_the_link_where_that_is_wanted(web: Web, post: Any) -> None:
    async with web() as client:
        await client.post("/otp", json={"email": ANN})
        url = await post.link()
        evil = url.copy_set_param("type", '"><script>')
        page = await client.get(f"/verify?{evil.query.decode()}")
        assert page.status_code == 200
        assert "<script>" not in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        german = await client.get(f"/verify?{url.query.decode()}", headers={"Accept-Language": "de-AT,de;q=0.9"})
        assert "Weiter" in german.text
        answer = await client.get(f"/verify?{url.query.decode()}&confirmed=1")
    assert "access_token" in fragment(answer)


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        ({"type": "email", "email": ANN}, 400, "validation_failed", "exactly one"),
        ({"type": "email", "email": ANN, "token": "1", "token_hash": "2"}, 400, "validation_failed", "exactly one"),
        ({"type": "email", "email": ANN, "token_hash": "2"}, 400, "validation_failed", "token_hash"),
        ({"type": "email", "token": "123456"}, 400, "validation_failed", "email"),
        ({"type": "sms", "phone": "49151", "token": "123456"}, 400, "phone_provider_disabled", "Phone"),
        ({"type": "nonsense", "email": ANN, "token": "123456"}, 400, "validation_failed", "type"),
        ({"type": "email", "email": ANN, "token": "123456"}, 403, "otp_expired", "expired"),
        ({"type": "email", "token_hash": "abc"}, 403, "otp_expired", "expired"),
        ({"token_hash": "abc"}, 400, "validation_failed", "type"),
    ],
)
async def test_what_verify_refuses(
    refused: Refused, body: dict[str, Any], status: int, code: str, message: str
) -> None:
    assert message in await refused(status, code, "POST", "/verify", json=body)


@pytest.mark.parametrize("path", ["/otp", "/magiclink", "/recover", "/resend"])
async def test_what_those_that_send_refuse(refused: Refused, web: Web, path: str) -> None:
    kind = {"type": "signup"} if path == "/resend" else {}
    await refused(400, "validation_failed", "POST", path, json={**kind})
    await refused(400, "validation_failed", "POST", path, json={**kind, "email": "ann"})
    await refused(400, "validation_failed", "POST", path, json={**kind, "email": ANN, "phone": "49151"})
    await refused(400, "phone_provider_disabled", "POST", path, json={**kind, "phone": "49151"})
    async with web() as client:
        assert (await client.post(path, json={**kind, "email": ANN})).json() == {}
        again = await client.post(path, json={**kind, "email": ANN})
    assert (again.status_code, again.json()["error_code"]) == (429, "over_email_send_rate_limit")
    assert again.headers["Retry-After"] == "60"
    if path != "/resend":
        half = {"email": "bob@example.org", "code_challenge": "x" * 43}
        await refused(400, "validation_failed", "POST", path, json=half)
        plain = {**half, "code_challenge_method": "plain"}
        assert "s256" in await refused(400, "validation_failed", "POST", path, json=plain)


@pytest.mark.parametrize("settings", [{"verify_rate": {"count": 30, "period": 300, "burst": 2}}])
async def test_verifying_has_a_limit(web: Web) -> None:
    wrong = {"type": "email", "token_hash": "abc"}
    async with web() as client, web(address="192.0.2.9") as other:
        answers = [await client.post("/verify", json=wrong) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [403, 403, 429]
        led = fragment(await client.get("/verify?type=email&token=abc"))
        assert (await other.post("/verify", json=wrong)).status_code == 403
    assert led["error_code"] == "over_request_rate_limit"


async def test_reauthenticate(web: Web, refused: Refused, signed_up: Grant, post: Any) -> None:
    await refused(401, "no_authorization", "GET", "/reauthenticate")
    token = signed_up.session.access_token
    async with web(token) as client:
        assert (await client.get("/reauthenticate")).json() == {}
        code = await post.code()
        change = {"password": "staple battery horse", "current_password": PASSWORD}
        wrong = await client.put("/user", json={**change, "nonce": "0000000"})
        assert (wrong.status_code, wrong.json()["error_code"]) == (422, "reauthentication_not_valid")
        assert (await client.put("/user", json={**change, "nonce": code})).status_code == 200


async def test_the_halves_of_a_change_of_address(
    web: Web, signed_up: Grant, post: Any, monkeypatch: pytest.MonkeyPatch, service: AuthService
) -> None:
    monkeypatch.setattr(type(service.settings), "autoconfirm", lambda *_: False)
    async with web(signed_up.session.access_token) as client:
        changed = await client.put("/user", json={"email": "new@example.org", **CHALLENGE})
        assert changed.json()["new_email"] == "new@example.org"
        first, second = await post.deliver()
        urls = [
            httpx.URL(next(line for line in mail.text.splitlines() if line.startswith("http")))
            for mail in (first, second)
        ]
        body = {"type": "email_change", "token_hash": urls[0].params["token"]}
        half = await client.post("/verify", json=body)
        assert half.json() == {
            "code": "200",
            "msg": "Confirmation link accepted. Please proceed to confirm link sent to the other email",
        }
        answer = await client.get(f"/verify?{urls[1].query.decode()}")
        code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
        exchange = {"auth_code": code, "code_verifier": VERIFIER}
        session = await client.post("/token?grant_type=pkce", json=exchange)
    assert session.json()["user"]["email"] == "new@example.org"


async def test_the_first_half_by_link_says_that_another_follows(
    web: Web, signed_up: Grant, post: Any, monkeypatch: pytest.MonkeyPatch, service: AuthService
) -> None:
    monkeypatch.setattr(type(service.settings), "autoconfirm", lambda *_: False)
    async with web(signed_up.session.access_token) as client:
        await client.put("/user", json={"email": "new@example.org"})
        mail = (await post.deliver())[0]
        url = httpx.URL(next(line for line in mail.text.splitlines() if line.startswith("http")))
        found = fragment(await client.get(f"/verify?{url.query.decode()}"))
    assert set(found) == {"message", "sb"}
