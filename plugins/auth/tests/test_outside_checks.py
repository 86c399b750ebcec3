"""Leaked passwords and captchas: what others are asked, and what their silence means."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import msgspec
import pytest

from corekit import Caller, Client, Corekit
from corekit.data import DatabaseSettings
from corekit.testing import FakeClock, make_kit
from corekit.web import create_app
from corekit_auth import AuthPlugin
from corekit_auth.errors import WeakPassword
from corekit_auth.pwned import Pwned
from corekit_auth.service import AuthService

ANN = "ann@example.org"
PASSWORD = "correct horse battery"
DIGEST = hashlib.sha1(PASSWORD.encode(), usedforsecurity=False).hexdigest().upper()
SIGN_UP = {"email": ANN, "password": PASSWORD}
Handle = Callable[[str, bytes], tuple[int, str]]


@asynccontextmanager
async def served(handle: Handle) -> AsyncGenerator[tuple[str, list[tuple[str, bytes]]]]:
    """Answer HTTP requests with `(status, body)`; yields the address, and what was asked: head and body."""
    asked: list[tuple[str, bytes]] = []
    over, open_ = asyncio.Event(), set[asyncio.Task[Any]]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_.add(asyncio.current_task())  # type: ignore[arg-type]
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(line.split(":")[1]) for line in head.lower().split("\r\n") if "content-length" in line), 0)
        body = await reader.readexactly(length)
        asked.append((head, body))
        status, text = handle(head, body)
        if status:
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode()
            )
            await writer.drain()
        else:
            await over.wait()  # silence
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
        over.set()
        await asyncio.gather(*open_, return_exceptions=True)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for answers that come, however late a busy machine brings them."""
    monkeypatch.setattr("corekit_auth.pwned._BUDGET", 5.0)


@pytest.fixture
async def pwned() -> AsyncGenerator[Callable[[str], Pwned]]:
    made: list[Pwned] = []

    def make(url: str) -> Pwned:
        made.append(Pwned(url))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def test_a_leak_is_found_with_five_characters_of_the_hash(pwned: Callable[[str], Pwned]) -> None:
    lines = f"{'0' * 35}:3\r\n{DIGEST[5:]}:17\r\n"
    async with served(lambda head, body: (200, lines)) as (url, asked):
        assert await pwned(url).found(PASSWORD)
        assert not await pwned(url).found("another horse battery")
    assert asked[0][0].startswith(f"GET /range/{DIGEST[:5]} ")
    assert "add-padding: true" in asked[0][0].lower()
    assert DIGEST[5:] not in asked[0][0]
    assert PASSWORD not in asked[0][0]


@pytest.mark.parametrize("status", [0, 429, 500])
async def test_no_answer_finds_nothing(
    pwned: Callable[[str], Pwned], status: int, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Padding, silence, refusals: sign-up goes on, within the budget."""
    if not status:
        monkeypatch.setattr("corekit_auth.pwned._BUDGET", 0.3)
    async with served(lambda head, body: (status, f"{DIGEST[5:]}:17")) as (url, _):
        began = asyncio.get_running_loop().time()
        assert not await pwned(url).found(PASSWORD)
        assert asyncio.get_running_loop().time() - began < 5
    assert PASSWORD not in caplog.text
    async with served(lambda head, body: (200, f"{DIGEST[5:]}:0")) as (url, _):
        assert not await pwned(url).found(PASSWORD)


async def test_a_leaked_password_is_refused(kit: Corekit, caller: Caller, service: AuthService) -> None:
    async with served(lambda head, body: (200, f"{DIGEST[5:]}:2")) as (url, _):
        service.parts.rules._pwned = Pwned(url)
        with pytest.raises(WeakPassword, match="leak") as weak:
            await service.grant_by_sign_up(caller, ANN, PASSWORD, {})
        assert weak.value.extensions["weak_password"] == {"reasons": ["pwned"]}
        assert await service.grant_by_sign_up(caller, ANN, "another horse battery", {})


CAPTCHA = {"captcha": "turnstile", "captcha_secret": "the secret", "captcha_url": ""}


@pytest.mark.parametrize("settings", [CAPTCHA])
async def test_forms_ask_for_the_captcha_and_refreshes_do_not(
    web: Any, service: AuthService, refused: Any, settings: dict[str, Any]
) -> None:
    def judge(head: str, body: bytes) -> tuple[int, str]:
        form = parse_qs(body.decode())
        assert form["secret"] == ["the secret"]
        return 200, '{"success": true}' if form["response"] == ["solved"] else '{"success": false}'

    solved = {"gotrue_meta_security": {"captcha_token": "solved"}}
    async with served(judge) as (url, asked), web() as client:
        service.captcha._url = url  # type: ignore[attr-defined]
        for path in ("/signup", "/token?grant_type=password", "/otp", "/magiclink", "/recover", "/resend"):
            body = {**SIGN_UP, "type": "signup"}
            await refused(400, "captcha_failed", "POST", path, json=body)
            wrong = {"gotrue_meta_security": {"captcha_token": "wrong"}}
            await refused(400, "captcha_failed", "POST", path, json=body | wrong)
        made = await client.post("/signup", json=SIGN_UP | solved)
        assert made.status_code == 200, made.text
        assert parse_qs(asked[-1][1].decode())["remoteip"] == ["192.0.2.1"]
        again = await client.post(
            "/token?grant_type=refresh_token", json={"refresh_token": made.json()["refresh_token"]}
        )
        assert again.status_code == 200


@pytest.mark.parametrize("settings", [CAPTCHA])
async def test_a_captcha_that_nobody_checks_lets_nobody_in(
    web: Callable[..., httpx.AsyncClient], service: AuthService, kit: Corekit, settings: dict[str, Any]
) -> None:
    """And a service with its key needs none."""
    async with served(lambda head, body: (500, "")) as (url, _), web() as client:
        service.captcha._url = url  # type: ignore[attr-defined]
        body = SIGN_UP | {"gotrue_meta_security": {"captcha_token": "solved"}}
        assert (await client.post("/signup", json=body)).status_code == 503
        async with kit.caller().system("auth.keys").begin() as ctx:
            key = await service.service_keys.issue(ctx, role="service_role", name="test", life=None)
        answer = await client.post("/signup", json=SIGN_UP, headers={"apikey": key.text})
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("guard", [None, {}, {"captcha_token": None}, {"captcha_token": ""}])
async def test_clients_that_send_no_answer_are_understood(web: Any, guard: Any) -> None:
    async with web() as client:
        answer = await client.post("/signup", json=SIGN_UP | {"gotrue_meta_security": guard})
    assert answer.status_code == 200, answer.text


@pytest.fixture
async def narrow(
    database: DatabaseSettings, tmp_path: Path, clock: FakeClock, settings: dict[str, Any]
) -> AsyncGenerator[Corekit]:
    """Start a kit that has one connection."""
    one = msgspec.structs.replace(database, pool=1)
    tables = {"auth": settings, "jobs": {"worker": False}}
    async with make_kit([AuthPlugin()], database=one, tmp_path=tmp_path, clock=clock, settings=tables) as kit:
        yield kit


@pytest.mark.parametrize("settings", [CAPTCHA])
@pytest.mark.parametrize("slow", ["captcha", "hibp"])
async def test_a_slow_answer_holds_no_connection(
    narrow: Corekit, settings: dict[str, Any], slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red if `SignUp.with_password` or `Captcha.demand` asks inside a context of its own: other work would wait."""
    monkeypatch.setattr("corekit_auth.pwned._BUDGET", 10)  # giving up early would free what was held
    service, caller = narrow.get(AuthService), narrow.caller(client=Client("192.0.2.1", "pytest"))

    async def write() -> None:
        async with narrow.caller().system("auth.keys").begin() as ctx:
            await service.service_keys.issue(ctx, role="service_role", name="meanwhile", life=None)
        async with caller.begin(readonly=True) as ctx:  # on PostgreSQL, people have connections of their own
            await ctx.session.connection()

    async with served(lambda head, body: (0, "")) as (url, asked):
        service.captcha._url = url  # type: ignore[attr-defined]
        service.parts.rules._pwned = Pwned(url)
        app = create_app(narrow, lifespan=False)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            if slow == "captcha":
                body = SIGN_UP | {"gotrue_meta_security": {"captcha_token": "solved"}}
                waiting = asyncio.ensure_future(client.post("/auth/v1/signup", json=body))
            else:
                waiting = asyncio.ensure_future(service.grant_by_sign_up(caller, ANN, PASSWORD, {}))
            try:
                async with asyncio.timeout(4):
                    while not asked:
                        await asyncio.sleep(0.001)
                    await write()
                assert not waiting.done()
            finally:
                waiting.cancel()
                await asyncio.wait([waiting])
