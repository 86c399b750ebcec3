"""Passkeys and security keys in a real browser: the unmodified auth-js, Chromium and its own virtual authenticator."""

import shutil
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import CDPSession, Page, async_playwright
from server import Server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MODULES = Path(__file__).parent / "clients" / "node_modules"
PAGE = """<!doctype html><title>passkeys</title>
<script type="importmap">{"imports": {"tslib": "/tslib/tslib.es6.mjs"}}</script>
<script type="module">
  import { GoTrueClient } from "/@supabase/auth-js/dist/module/index.js";
  window.client = (url) => new GoTrueClient({
    url, headers: { apikey: "anon" }, persistSession: false, autoRefreshToken: false, experimental: { passkey: true },
  });
  window.ready = true;
</script>"""
REGISTER = """async ([url, email, password]) => {
  window.first = window.client(url);
  const signedUp = await window.first.signUp({ email, password });
  const made = await window.first.registerPasskey();
  const listed = await window.first.passkey.list();
  const error = signedUp.error ?? made.error;
  return { user: signedUp.data.user?.id, error: error && (error.code ?? error.message), made: made.data,
           listed: listed.data };
}"""
SIGN_IN = """async (url) => {
  const second = window.client(url);
  const { data, error } = await second.signInWithPasskey();
  const claims = error ? null : (await second.getClaims()).data.claims;
  return { user: data?.user?.id, code: error?.code, claims };
}"""
SECOND = """async ([url, email, password]) => {
  const first = window.client(url), second = window.client(url);
  const signedUp = await first.signUp({ email, password });
  const made = await first.mfa.webauthn.register({ friendlyName: "key" });
  const listed = await first.mfa.listFactors();
  const error = signedUp.error ?? made.error ?? listed.error;
  if (error) return { error: error.code ?? error.message };
  await second.signInWithPassword({ email, password });
  const before = await second.mfa.getAuthenticatorAssuranceLevel();
  const lifted = await second.mfa.webauthn.authenticate({ factorId: listed.data.webauthn[0].id });
  const after = await second.mfa.getAuthenticatorAssuranceLevel();
  return { error: lifted.error && (lifted.error.code ?? lifted.error.message), listed: listed.data.webauthn,
           before: before.data, after: after.data };
}"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed; CI installs it")


class Pages(BaseHTTPRequestHandler):
    """Serves the page and the packages of npm, as a bundler's development server does."""

    def do_GET(self) -> None:
        whole = MODULES / self.path.partition("?")[0].lstrip("/")
        tries = (whole, whole.with_name(whole.name + ".js"), whole / "index.js")
        found = next((one for one in tries if one.is_file()), None)
        body = PAGE.encode() if self.path == "/" else found.read_bytes() if found else b""
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/html" if self.path == "/" else "text/javascript")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def app(clients: Path) -> Iterator[str]:
    """Serve the application; its origin is a name, since passkeys are bound to no IP address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
async def page(app: str) -> AsyncGenerator[Page]:
    """Give a page of the application."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.goto(app)
        await page.wait_for_function("window.ready === true")
        yield page
        await browser.close()


async def device(page: Page, *, transport: str = "internal", resident: bool = True) -> tuple[CDPSession, str]:
    """Plug an authenticator in, with a finger on it."""
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("WebAuthn.enable")
    options: dict[str, Any] = {"protocol": "ctap2", "transport": transport, "hasResidentKey": resident}
    options |= {"hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True}
    added = await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return devtools, str(added["authenticatorId"])


async def test_a_fingerprint_signs_in(launch: Callable[..., Server], app: str, page: Page) -> None:
    """Sign up, register, then sign in as nobody in particular: aal2, without a name or a password."""
    server = launch(
        COREKIT_AUTH__PASSKEYS="true", COREKIT_AUTH__RP_ORIGINS=f'["{app}"]', COREKIT_WEB__CORS_ORIGINS=f'["{app}"]'
    )
    server.start()
    url = f"{server.url}/auth/v1"
    devtools, key = await device(page)
    made = await page.evaluate(REGISTER, [url, "ann@example.org", "correct horse battery"])
    assert made["error"] is None, made
    assert [one["id"] for one in made["listed"]] == [made["made"]["id"]]
    held = await devtools.send("WebAuthn.getCredentials", {"authenticatorId": key})
    assert [(one["rpId"], one["isResidentCredential"]) for one in held["credentials"]] == [("localhost", True)]

    for _ in range(2):
        signed_in = await page.evaluate(SIGN_IN, url)
        assert signed_in["code"] is None, signed_in
        assert signed_in["user"] == signed_in["claims"]["sub"] == made["user"]
        assert signed_in["claims"]["aal"] == "aal2"
        assert [step["method"] for step in signed_in["claims"]["amr"]] == ["passkey"]

    gone = await page.evaluate(
        "async (id) => (await window.first.passkey.delete({ passkeyId: id })).error", made["made"]["id"]
    )
    assert gone is None
    assert (await page.evaluate(SIGN_IN, url))["code"] == "webauthn_verification_failed"
    assert server.tracebacks() == []


async def test_a_security_key_is_a_second_factor(launch: Callable[..., Server], app: str, page: Page) -> None:
    """Enrol a key beside the password, sign in elsewhere with the password, and lift that session by the key."""
    origins = f'["{app}"]'
    server = launch(
        COREKIT_AUTH__WEBAUTHN_FACTOR="true", COREKIT_AUTH__RP_ORIGINS=origins, COREKIT_WEB__CORS_ORIGINS=origins
    )
    server.start()
    devtools, key = await device(page, transport="usb", resident=False)
    done = await page.evaluate(SECOND, [f"{server.url}/auth/v1", "ann@example.org", "correct horse battery"])
    assert done["error"] is None, done
    assert [(one["friendly_name"], one["status"]) for one in done["listed"]] == [("key", "verified")]
    assert (done["before"]["currentLevel"], done["before"]["nextLevel"]) == ("aal1", "aal2")
    assert done["after"]["currentLevel"] == "aal2"
    assert [one["method"] for one in done["after"]["currentAuthenticationMethods"]] == ["mfa/webauthn", "password"]
    held = await devtools.send("WebAuthn.getCredentials", {"authenticatorId": key})
    assert [(one["rpId"], one["signCount"]) for one in held["credentials"]] == [("localhost", 2)]
    assert server.tracebacks() == []


async def test_a_page_that_is_not_listed_registers_nothing(launch: Callable[..., Server], app: str, page: Page) -> None:
    """The browser binds the passkey to `localhost` for it; the server knows better."""
    server = launch(COREKIT_AUTH__PASSKEYS="true", COREKIT_WEB__CORS_ORIGINS=f'["{app}"]')
    server.start()
    await device(page)
    made = await page.evaluate(REGISTER, [f"{server.url}/auth/v1", "ann@example.org", "correct horse battery"])
    assert (made["error"], made["listed"]) == ("webauthn_verification_failed", [])
    assert "origin" in next(line for line in server.output().splitlines() if "passkey_refused" in line)
