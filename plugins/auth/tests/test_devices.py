"""Statement 6: a known device has a run of failures of its own."""

import asyncio
from typing import Any

import pytest

from corekit import Client, Context, Corekit, Plugin, Settings
from corekit.contracts.auth import Attempt, Reject, password_verification_attempt
from corekit.data import DatabaseSettings
from corekit.hooks import implements
from corekit.testing import FakeClock, make_kit
from corekit_auth import AuthPlugin
from corekit_auth.devices import family
from corekit_auth.errors import InvalidCredentials, OverRequestRate
from corekit_auth.objects import Grant
from corekit_auth.service import AuthService

ANN = "ann@example.org"
PASSWORD = "correct horse battery"
WRONG = "wrong horse battery"
PHONE = Client("192.0.2.1", "Dart/3.5 (dart:io)")
ATTACKER = Client("198.51.100.7", "python-requests/2.31")


async def guess(service: AuthService, kit: Corekit, client: Client, password: str = WRONG) -> str:
    try:
        await service.grant_by_password(kit.caller(client=client), ANN, password)
    except (InvalidCredentials, OverRequestRate) as error:
        return type(error).__name__
    return "in"


@pytest.fixture
async def ann(service: AuthService, kit: Corekit) -> Grant:
    return await service.grant_by_sign_up(kit.caller(client=PHONE), ANN, PASSWORD, {})


@pytest.mark.usefixtures("ann")
async def test_a_guesser_does_not_lock_the_owner_out(service: AuthService, kit: Corekit) -> None:
    """Mutation: leave the device out of `bucket_of`, and the owner waits with the guesser."""
    for _ in range(10):
        assert await guess(service, kit, ATTACKER) == "InvalidCredentials"
    assert await guess(service, kit, ATTACKER) == "OverRequestRate"
    assert await guess(service, kit, PHONE, PASSWORD) == "in"


@pytest.mark.usefixtures("ann")
async def test_nor_does_the_owner_free_the_guesser(service: AuthService, kit: Corekit) -> None:
    for _ in range(9):
        assert await guess(service, kit, ATTACKER) == "InvalidCredentials"
    assert await guess(service, kit, PHONE, PASSWORD) == "in"
    assert await guess(service, kit, ATTACKER) == "InvalidCredentials"
    assert await guess(service, kit, ATTACKER) == "OverRequestRate"


@pytest.mark.usefixtures("ann")
async def test_a_day_of_guessing_with_the_owner_signing_in_passes_39(
    service: AuthService, kit: Corekit, clock: FakeClock
) -> None:
    passed = 0
    for minute in range(24 * 60):
        passed += await guess(service, kit, ATTACKER) == "InvalidCredentials"
        if minute % 360 == 0:
            assert await guess(service, kit, PHONE, PASSWORD) == "in"
        clock.move(60)
    assert 30 <= passed <= 39


@pytest.mark.usefixtures("ann")
async def test_parallel_guesses_are_ten(service: AuthService, kit: Corekit) -> None:
    answers = await asyncio.gather(*(guess(service, kit, ATTACKER) for _ in range(25)))
    assert answers.count("InvalidCredentials") == 10


async def test_a_new_device_is_told_once(service: AuthService, kit: Corekit, ann: Grant, tables: Any) -> None:
    for client in (PHONE, ATTACKER, ATTACKER):
        assert await guess(service, kit, client, PASSWORD) == "in"
    rows = await tables.read("SELECT payload FROM corekit_outbox WHERE tag = 'auth.signed_in' ORDER BY id")
    assert [b'"new_device":true' in bytes(row[0]) for row in rows] == [False, False, True, False]
    ((stored,), *_) = await tables.read("SELECT device_mac FROM auth_known_devices")
    assert b"192.0.2" not in bytes(stored)
    assert ann.session.user.email == ANN


def test_a_version_is_no_new_device() -> None:
    agents = {
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36": "Chrome",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/121.0.0.0 Safari/537.36": "Chrome",
        "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/120.0 Safari/537.36 Edg/120.0": "Edg",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) AppleWebKit/605.1.15 Version/17.0 Safari/604.1": "Safari",
        "Dart/3.5 (dart:io)": "Dart",
        "": "",
    }
    assert {agent: family(Client("192.0.2.1", agent)) for agent in agents} == agents


class Watching(Plugin[Settings]):
    """Sees each attempt, and refuses what it is told to."""

    name = "watching"

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bool] = []
        self.no: Reject | None = None

    @implements(password_verification_attempt)
    async def watch(self, attempt: Attempt, ctx: Context) -> Reject | None:
        self.seen.append(attempt.valid)
        return self.no


async def test_a_hook_sees_attempts_and_refuses(database: DatabaseSettings, tmp_path: Any, clock: FakeClock) -> None:
    tables = {"jobs": {"worker": False}}
    made = make_kit(
        [AuthPlugin(), watching := Watching()], database=database, tmp_path=tmp_path, clock=clock, settings=tables
    )
    async with made as kit:
        service = kit.get(AuthService)
        first = await service.grant_by_sign_up(kit.caller(client=PHONE), ANN, PASSWORD, {})
        assert await guess(service, kit, PHONE) == "InvalidCredentials"
        assert await guess(service, kit, PHONE, PASSWORD) == "in"
        assert watching.seen == [False, True]
        watching.no = Reject("Come back tomorrow", end_sessions=True)
        with pytest.raises(InvalidCredentials, match="Come back tomorrow"):
            await service.grant_by_password(kit.caller(client=PHONE), ANN, PASSWORD)
        async with kit.caller().system("auth.sign-in").begin(readonly=True) as ctx:
            assert await service.sessions(ctx, first.session.user.id) == []
