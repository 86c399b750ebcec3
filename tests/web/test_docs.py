"""The page that describes the API: one file, nothing from elsewhere, allowed to run by its own policy."""

import re
from base64 import b64encode
from hashlib import sha256

import httpx

from corekit.testing import make_kit, serve

LIMIT = 25_000  # bytes


async def test_the_page_needs_nothing_but_itself_and_the_description() -> None:
    async with make_kit() as kit, serve(kit) as url, httpx.AsyncClient(base_url=url) as http:
        page = await http.get("/docs")
        described = await http.get("/docs/openapi.json")
    assert page.headers["content-type"].startswith("text/html")
    assert len(page.content) < LIMIT
    assert not re.findall(r"(?:src|href|action)=[\"']?(?:https?:)?//|@import|url\(", page.text)
    assert described.json()["openapi"].startswith("3.1")


async def test_the_policy_allows_exactly_its_own_script_and_style() -> None:
    async with make_kit() as kit, serve(kit) as url, httpx.AsyncClient(base_url=url) as http:
        page = (await http.get("/docs")).text
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy.startswith("default-src 'none'")
    for tag in ("script", "style"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not re.findall(r"\son\w+=|style=", page), "the policy forbids these"


async def test_the_description_can_be_switched_off() -> None:
    async with (
        make_kit(settings={"web": {"openapi": False}}) as kit,
        serve(kit) as url,
        httpx.AsyncClient(base_url=url) as http,
    ):
        assert (await http.get("/docs")).status_code == 404
