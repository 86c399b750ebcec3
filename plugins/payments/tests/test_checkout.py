"""The checkout page over HTTP: what its holder sees and does, and what no link lets anybody do."""

import asyncio
import logging
import re
from html import unescape
from typing import Any
from uuid import uuid4

import httpx
import pytest
from counters import BASE, Counter
from fraud_rules import only, rows
from sqlalchemy import select

from corekit.guard.audit_rows import AuditRow
from corekit.testing import FakeClock, settle
from corekit.watch.logs import scrub
from corekit_payments.fraud.settings import AmountRule, Bounds

HIDDEN = re.compile(r'name="form" value="([^"]+)"')
STATUS = re.compile(r'data-status="(\w+)"')
BUTTONS = re.compile(r'name="method" value="([^"]+)"')
LINKS = re.compile(r'<a class="button[^"]*" href="([^"]+)"')


class Page:
    """What a browser without scripts has of a page."""

    def __init__(self, counter: Counter, url: str) -> None:
        self.http, self.path = counter.http, url.removeprefix("http://localhost:8000")

    async def look(self) -> httpx.Response:
        return await self.http.get(self.path)

    async def status(self) -> str:
        return STATUS.findall((await self.look()).text)[0]

    async def form(self) -> str:
        return HIDDEN.findall((await self.look()).text)[0]

    async def send(self, what: str, form: str, **fields: str) -> httpx.Response:
        return await self.http.post(f"{self.path}/{what}", data={"form": form, **fields})

    async def pay(self, method: str = "tok_ok@sandbox") -> str:
        answer = await self.send("confirm", await self.form(), method=method)
        assert (answer.status_code, answer.headers["location"]) == (303, self.path)
        return await self.status()


def changed(token: str, at: int) -> str:
    """Change one character of a token."""
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]


async def linked(counter: Counter, **more: Any) -> Page:
    """Create a payment of Alice's and a link to its page."""
    made = await counter.post("", {"amount": {"amount": 49900, "currency": "INR"}, **more})
    assert made.status_code == 201
    return await page_of(counter, made.json()["id"])


async def page_of(counter: Counter, payment: str) -> Page:
    answer = await counter.post(f"/{payment}/checkout-link", None)
    assert answer.status_code == 201, answer.text
    return Page(counter, answer.json()["url"])


@pytest.fixture
async def page(counter: Counter) -> Page:
    return await linked(counter)


async def test_a_payment_is_paid_without_a_script(counter: Counter, page: Page) -> None:
    shown = await page.look()
    assert shown.status_code == 200
    assert "499.00 INR" in shown.text
    assert "the merchant" in shown.text
    assert "<script" not in shown.text
    assert set(BUTTONS.findall(shown.text)) >= {"tok_ok@sandbox", "upi_intent@sandbox", "upi_qr@sandbox"}
    assert await page.pay() == "succeeded"
    assert counter.effects() == [("authorize", 49900), ("capture", 49900)]
    assert "<form" not in (await page.look()).text, "status only"


async def test_the_page_shows_nothing_else_of_the_payment(counter: Counter) -> None:
    secrets = {"description": "a-gift-for-bob", "merchant_reference": "order-1007", "metadata": {"note": "hush-hush"}}
    page = await linked(counter, **secrets)
    text = (await page.look()).text
    payment = (await counter.get("")).json()["items"][0]
    for hidden in ("a-gift-for-bob", "order-1007", "hush-hush", payment["payer"], payment["id"]):
        assert hidden not in text


async def test_the_headers_let_nothing_in(page: Page) -> None:
    for answer in (await page.look(), await page.send("confirm", "no"), await page.http.get(f"{page.path}x")):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert policy.endswith("; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r'\b(?:src|style)="|@import|url\(', answer.text)


async def test_the_fraud_rules_hold_here_too(open_counter: Any) -> None:
    counter = await open_counter(fraud=only(amount=AmountRule(bounds={"INR": Bounds(maximum=10)})))
    page = await linked(counter)
    assert await page.pay() == "failed"
    assert "It cannot be made in this way." in (await page.look()).text
    assert counter.effects() == []
    (entry,) = [one for one in await rows(counter.kit, AuditRow) if one.action == "payments.fraud.decided"]
    assert (entry.details["via"], entry.details["outcome"]) == ("checkout-link", "block")


async def test_a_decline_is_told_and_another_try_succeeds(counter: Counter, page: Page) -> None:
    assert await page.pay("tok_declined@sandbox") == "requires_payment_method"
    assert "The last try did not work. The bank refused it." in (await page.look()).text
    assert await page.pay() == "succeeded"
    assert counter.effects() == [("authorize", 49900), ("capture", 49900)]


async def test_a_payment_is_cancelled(counter: Counter, page: Page) -> None:
    answer = await page.send("cancel", await page.form())
    assert answer.status_code == 303
    assert await page.status() == "canceled"
    assert counter.effects() == []


async def test_a_double_click_is_one_attempt(counter: Counter, page: Page) -> None:
    """Red when a form's token is no idempotency key."""
    form = await page.form()
    answers = await asyncio.gather(*(page.send("confirm", form, method="tok_ok@sandbox") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {303}
    assert (await page.send("confirm", form, method="tok_ok@sandbox")).status_code == 303
    assert await page.status() == "succeeded"
    assert counter.effects() == [("authorize", 49900), ("capture", 49900)]


@pytest.mark.parametrize("what", ["confirm", "cancel"])
async def test_the_form_of_an_older_page_does_nothing(counter: Counter, page: Page, what: str) -> None:
    """Red when the version is not compared under the payment's lock."""
    old, payment = await page.form(), (await counter.get("")).json()["items"][0]["id"]
    declined = {"method": {"type": "token", "token": "tok_declined"}}
    assert (await counter.post(f"/{payment}/confirm", declined)).status_code == 402, "by the payer's own application"
    stale = await page.send(what, old, method="tok_ok@sandbox")
    assert (stale.status_code, "Nothing was done" in stale.text) == (403, True)
    assert await page.status() == "requires_payment_method"
    assert counter.effects() == []


async def test_a_form_goes_with_its_own_link_alone(counter: Counter, page: Page) -> None:
    """Statement 15."""
    payment = (await counter.get("")).json()["items"][0]["id"]
    again, other = await page_of(counter, payment), await linked(counter)
    form = await page.form()
    version, _, mac = form.partition(".")
    forged = [changed(form, len(form) - 9), f"{int(version) + 1}.{mac}", f"{version}.", mac, "", "٣.x"]
    tries = [(again, form), (other, form), *((page, one) for one in forged)]
    for where, one in tries:
        for what in ("confirm", "cancel"):
            assert (await where.send(what, one, method="tok_ok@sandbox")).status_code == 403
    assert (await page.send("confirm", form, method="tok_late@sandbox")).status_code == 403, "not on the page"
    assert (await page.send("confirm", form, method="")).status_code == 403
    assert counter.effects() == []
    assert await page.pay() == "succeeded", "the page's own form was not used up"


async def test_a_link_that_was_not_made_here_opens_nothing(page: Page) -> None:
    head, _, token = page.path.rpartition("/")
    wrong = [*(changed(token, at) for at in (0, 40, 85)), token[1:], token + "A", "x" * len(token), "é"]
    for one in wrong:
        answer = await page.http.get(f"{head}/{one}")
        assert answer.status_code == 404
        assert "There is nothing here" in answer.text
        assert (await page.http.post(f"{head}/{one}/confirm", data={"form": "x"})).status_code == 404


async def test_a_link_is_good_for_a_day(clock: FakeClock, page: Page) -> None:
    clock.move(24 * 3600 - 1)
    form = await page.form()
    clock.move(1)
    for answer in (await page.look(), await page.send("confirm", form, method="tok_ok@sandbox")):
        assert (answer.status_code, "This link has expired" in answer.text) == (410, True)


@pytest.mark.parametrize(("who", "status"), [("bob", 404), ("sue", 403), ("clara", 404)])
async def test_only_the_payer_makes_a_link(counter: Counter, who: str, status: int) -> None:
    made = (await counter.post("", {"amount": {"amount": 100, "currency": "INR"}})).json()
    assert (await counter.post(f"/{made['id']}/checkout-link", None, who)).status_code == status
    nobody = await counter.http.post(f"{BASE}/{made['id']}/checkout-link")
    assert nobody.status_code == 401


async def test_a_link_and_an_address_have_thirty_requests_a_minute(page: Page) -> None:
    answers = [await page.look() for _ in range(31)]
    assert [answer.status_code for answer in answers] == [200] * 30 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize("body", [b"\xff", b"&".join([b"a=1"] * 9)])
async def test_what_is_no_form_does_nothing(page: Page, body: bytes) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await page.http.post(f"{page.path}/confirm", content=body, headers=kind)
    assert answer.status_code == 403
    huge = await page.http.post(f"{page.path}/confirm", content=b"a=" + b"x" * 5000, headers=kind)
    assert huge.status_code == 413


async def test_the_audit_says_that_it_came_by_a_link(counter: Counter, page: Page) -> None:
    await page.pay()
    async with counter.kit.caller().system("payments").begin(readonly=True) as ctx:
        entries = (await ctx.session.scalars(select(AuditRow))).all()
    via = {entry.action: entry.details["via"] for entry in entries}
    assert via["payments.payment.link_created"] == "request"
    assert via["payments.payment.confirmed"] == "checkout-link"
    assert all(page.path.rpartition("/")[2] not in str(entry.details) for entry in entries)


async def test_logs_do_not_hold_a_link(page: Page, caplog: pytest.LogCaptureFixture) -> None:
    """Statement 12."""
    with caplog.at_level(logging.DEBUG, "corekit"):
        await page.pay()
    token = page.path.rpartition("/")[2]
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("corekit")]
    assert not any(token in message for message in ours)
    assert token not in scrub(f"GET http://localhost:8000{page.path} failed")


async def test_three_d_secure_is_approved_at_the_sandbox(open_counter: Any) -> None:
    counter = await open_counter(worker=True)
    page = await linked(counter)
    assert await page.pay("tok_3ds@sandbox") == "requires_action"
    (bank, *_) = LINKS.findall((await page.look()).text)
    bank = bank.removeprefix("http://localhost:8000")
    assert "499.00 INR" in (await counter.http.get(bank)).text
    assert (await counter.http.post(bank, data={"verdict": "perhaps"})).status_code == 403
    approved = await asyncio.gather(*(counter.http.post(bank, data={"verdict": "approve"}) for _ in range(4)))
    assert {answer.status_code for answer in approved} == {303}
    assert "It is decided" in (await counter.http.get(bank)).text
    await settle(counter.kit)
    assert await page.status() == "succeeded"
    assert (await counter.http.post(bank, data={"verdict": "refuse"})).status_code == 303
    await settle(counter.kit)
    assert await page.status() == "succeeded"
    assert counter.effects() == [("authorize", 49900), ("capture", 49900)]


@pytest.mark.parametrize(("method", "verdict", "end"), [
    ("upi_qr@sandbox", "approve", "succeeded"),
    ("upi_intent@sandbox", "refuse", "requires_payment_method"),
])  # fmt: skip
async def test_upi_is_paid_by_the_payers_app(open_counter: Any, method: str, verdict: str, end: str) -> None:
    counter = await open_counter(worker=True)
    page = await linked(counter)
    assert await page.pay(method) == "requires_action"
    text = (await page.look()).text
    assert ("<svg" in text) == method.startswith("upi_qr")
    if method.startswith("upi_intent"):
        assert unescape(LINKS.findall(text)[0]).startswith("upi://pay?pa=")
    (app,) = [link for link in LINKS.findall(text) if "/payments/v1/sandbox/" in link]
    assert (await counter.http.post(app.removeprefix("http://localhost:8000"), data={"verdict": verdict})).is_redirect
    await settle(counter.kit)
    assert await page.status() == end


async def test_what_waits_for_the_payer_can_be_cancelled(counter: Counter, page: Page) -> None:
    assert await page.pay("upi_qr@sandbox") == "requires_action"
    assert (await page.send("cancel", await page.form())).status_code == 303
    assert counter.effects() == []


async def test_the_sandboxs_page_knows_what_is_the_sandboxs(counter: Counter) -> None:
    for path in (f"sandbox/sb_{uuid4().hex}", f"nobody/sb_{uuid4().hex}"):
        assert (await counter.http.get(f"/payments/v1/sandbox/{path}")).status_code == 404
        assert (await counter.http.post(f"/payments/v1/sandbox/{path}", data={"verdict": "approve"})).status_code == 404


async def test_outside_dev_the_sandbox_has_no_page(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    page = await linked(counter)
    assert await page.pay("tok_3ds@sandbox") == "requires_action"
    bank = LINKS.findall((await page.look()).text)[0].removeprefix("http://localhost:8000")
    monkeypatch.setattr(counter.kit, "env", "staging")
    assert (await counter.http.get(bank)).status_code == 404
