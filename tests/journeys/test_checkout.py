"""Somebody pays on the checkout page in a real browser without JavaScript, and hears of it over the socket."""

import asyncio
import json
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from people import Person, sign_up
from playwright.async_api import Browser, Page, async_playwright
from server import Server
from websockets.asyncio.client import connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PAYMENTS = "/payments/v1/payments"
WEBHOOKS = 60.0  # seconds in which the sandbox's notice is worked on, on a busy machine

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed; CI installs it")


@pytest.fixture
async def browser() -> AsyncGenerator[Browser]:
    """Start Chromium."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
async def page(browser: Browser) -> Page:
    """Give a page of somebody who has switched JavaScript off, in a phone's width."""
    context = await browser.new_context(java_script_enabled=False, viewport={"width": 375, "height": 700})
    context.set_default_timeout(30_000)
    return await context.new_page()


@asynccontextmanager
async def hearing(server: Server, person: Person) -> AsyncGenerator[list[dict[str, Any]]]:
    """Listen on the person's own channel, to which the server subscribes every device."""
    heard: list[dict[str, Any]] = []
    async with connect(server.socket, proxy=None) as socket:
        await socket.send(json.dumps({"id": 1, "connect": {"token": person.access_token}}))
        assert "connect" in json.loads(await socket.recv())

        async def listen() -> None:
            async for frame in socket:
                for line in str(frame).splitlines():
                    publication = json.loads(line).get("push", {}).get("pub")
                    if publication:
                        heard.append(publication["data"])

        listening = asyncio.create_task(listen())
        yield heard
        listening.cancel()


async def linked(server: Server, person: Person) -> tuple[str, str]:
    """Create a payment over HTTP; return its id and the address of its page."""
    body = {"amount": {"amount": 49900, "currency": "INR"}, "merchant_reference": "order-1007"}
    async with httpx.AsyncClient(base_url=server.url, headers=person.headers, timeout=30) as http:
        made = await http.post(PAYMENTS, json=body, headers={"Idempotency-Key": uuid4().hex})
        assert made.status_code == 201, made.text
        link = await http.post(f"{PAYMENTS}/{made.json()['id']}/checkout-link")
        assert link.status_code == 201, link.text
        return made.json()["id"], link.json()["url"]


async def becomes(page: Page, status: str) -> None:
    """Look again until the page shows a status."""
    async with asyncio.timeout(WEBHOOKS):
        while await page.locator("#status").get_attribute("data-status") != status:
            await asyncio.sleep(0.5)
            await page.reload()


async def gives_back(server: Server, clerk: Person, payment: str) -> None:
    """Give a part back."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        headers = clerk.headers | {"Idempotency-Key": uuid4().hex}
        part = {"amount": {"amount": 9900, "currency": "INR"}, "reason": "damaged"}
        back = await http.post(f"{PAYMENTS}/{payment}/refunds", json=part, headers=headers)
        assert (back.status_code, back.json()["state"]) == (201, "succeeded")


def balances(server: Server) -> list[list[str]]:
    """Return debits, credits and balance of each account; together they balance."""
    accounts = [line.split()[1:4] for line in server.command("payments", "ledger").splitlines()]
    assert sum(int(balance) for _, _, balance in accounts) == 0
    return accounts


async def test_a_person_pays_in_a_browser(launch: Callable[..., Server], page: Page, tmp_path: Path) -> None:
    """By QR code, approved at the sandbox; then a part is given back, and the ledger balances."""
    server = launch()
    server.configure(COREKIT_PAYMENTS__EXTERNAL_URL=server.url)
    server.start()
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        ann, clerk = await sign_up(http, "ann"), await sign_up(http, "clerk")
    await asyncio.to_thread(server.stop)
    server.configure(
        COREKIT_ACCESS__ROLES=json.dumps({"clerk": ["payments:refund:create"]}),
        COREKIT_ACCESS__GRANTS=json.dumps({clerk.id: ["clerk"]}),
    )
    await asyncio.to_thread(server.start)
    payment, url = await linked(server, ann)
    async with hearing(server, ann) as heard:
        await page.goto(url)
        assert await page.title() == "Choose how to pay"
        await page.get_by_role("button", name="Pay by QR code").click()
        await becomes(page, "requires_action")
        assert page.url == url
        assert await page.locator("svg").is_visible()
        await page.screenshot(path=tmp_path / "code.png")
        await page.get_by_role("link", name="Sandbox: be the payer").click()
        await page.get_by_role("button", name="Approve").click()
        assert await page.get_by_role("status").text_content() == "It is decided"
        await page.goto(url)
        await becomes(page, "succeeded")
        assert await page.get_by_role("button").count() == 0
        async with asyncio.timeout(WEBHOOKS):
            while not heard or heard[-1]["status"] != "succeeded":
                await asyncio.sleep(0.1)
        assert {(one["type"], one["id"]) for one in heard} == {("payment", payment)}
    await gives_back(server, clerk, payment)
    assert ["49900", "9900", "40000"] in balances(server)
    assert server.stop() == 0
    assert server.tracebacks() == []
    assert url.rpartition("/")[2] not in server.output()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the database has no part in it
async def test_who_refuses_or_cancels_pays_nothing(launch: Callable[..., Server], page: Page) -> None:
    """A refusal at the bank leads to another try, and what is cancelled stays so; the keyboard is enough."""
    server = launch()
    server.configure(COREKIT_PAYMENTS__EXTERNAL_URL=server.url)
    server.start()
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        ann = await sign_up(http, "ann")
    _, url = await linked(server, ann)
    await page.goto(url)
    await page.get_by_role("button", name="Sandbox: ask me first").press("Enter")
    await becomes(page, "requires_action")
    await page.get_by_role("link", name="Go on with your bank").press("Enter")
    await page.get_by_role("button", name="Refuse").press("Enter")
    await page.goto(url)
    await becomes(page, "requires_payment_method")
    assert "It was not approved." in (await page.get_by_role("alert").text_content() or "")
    await page.get_by_role("button", name="Cancel the payment").press("Enter")
    await becomes(page, "canceled")
    assert await page.get_by_role("button").count() == 0
    assert server.stop() == 0
    assert server.tracebacks() == []
