"""Limits in Valkey: shared, without addresses, gone when stale; a server that is lost costs a moment, not a request."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from corekit import Corekit
from corekit.data.redis import PAUSE, Redis, RedisSettings
from corekit.data.resp import RedisRefused
from corekit.errors import ConfigError, Unavailable
from corekit.guard import Limits, LimitSettings, RedisLimits, Rule, make_limits
from corekit.settings import Config
from corekit.testing import Door, FakeClock, make_kit

FIVE = Rule("test.five", 5, 60, 3)
ACCOUNT = Rule("test.account", 5, 60, 3, "account")


@pytest.fixture
async def door(valkey_url: str) -> AsyncGenerator[Door]:
    async with Door(valkey_url) as door:
        yield door


@pytest.fixture
async def kit(door: Door, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Corekit]:
    """Start a kit on SQLite, with Valkey behind the door."""
    async with make_kit(tmp_path=tmp_path, clock=clock, settings={"redis": {"url": door.url}}) as kit:
        yield kit


@pytest.fixture
def limits(kit: Corekit) -> Limits:
    return kit.get(Limits)


@pytest.fixture
async def raw(valkey_url: str) -> AsyncGenerator[Redis]:
    """Give a connection of one's own."""
    redis = Redis(RedisSettings(url=valkey_url, timeout=5))
    yield redis
    await redis.stop()


async def again(limits: Limits) -> None:
    """Wait until it counts again: an account's hit passes only where it was counted."""
    async with asyncio.timeout(5):
        while True:
            try:
                assert (await limits.hit(ACCOUNT, str(time.monotonic()))).remaining == 2
            except Unavailable:
                await asyncio.sleep(PAUSE / 5)
            else:
                return


async def test_keys_hold_no_address_and_end_when_they_say_nothing_more(limits: Limits, raw: Redis) -> None:
    before = set(await raw.call("KEYS", "*"))
    await limits.hit(FIVE, "192.0.2.7", 2)
    await limits.hit(FIVE, "192.0.2.7")
    await limits.refund(FIVE, "never hit")
    (key,) = set(await raw.call("KEYS", "*")) - before
    assert key.startswith(b"corekit:limits:")
    assert len(key) == len(b"corekit:limits:") + 32
    assert b"192.0.2" not in key
    assert 35_000 < await raw.call("PTTL", key) <= 36_000
    await limits.refund(FIVE, "192.0.2.7")
    assert 0 < await raw.call("PTTL", key) <= 36_000


async def test_a_stale_key_is_gone(limits: Limits, raw: Redis) -> None:
    before = await raw.call("DBSIZE")
    await limits.hit(Rule("test.fast", 20, 1, 1), "a")
    assert await raw.call("DBSIZE") == before + 1
    async with asyncio.timeout(5):
        while await raw.call("DBSIZE") > before:
            await asyncio.sleep(0.02)


async def test_two_kits_share_a_limit(kit: Corekit, limits: Limits, tmp_path: Path, clock: FakeClock) -> None:
    settings = {"redis": {"url": kit.config.values["redis"]["url"][0]}, "limits": {"store": "redis"}}
    async with make_kit(tmp_path=tmp_path, clock=clock, settings=settings) as other:
        stores = [limits, other.get(Limits)]
        allowed = [(await stores[n % 2].hit(FIVE, "a")).allowed for n in range(6)]
    assert allowed == [True, True, True, False, False, False]


async def test_a_server_that_forgot_the_scripts_learns_them_again(limits: Limits, raw: Redis) -> None:
    for _ in range(3):
        await raw.call("SCRIPT", "FLUSH")
        assert (await limits.hit(FIVE, "a")).allowed
    assert not (await limits.hit(FIVE, "a")).allowed


async def test_a_silent_server_costs_a_moment_and_is_found_again(kit: Corekit, limits: Limits, door: Door) -> None:
    """Addresses pass, accounts do not; fifty at once wait no longer than one does."""
    assert (await limits.hit(ACCOUNT, "a")).remaining == 2
    door.mode = "swallow"
    start = time.monotonic()
    answers = await asyncio.gather(*(limits.hit(FIVE, "a") for _ in range(50)))
    assert all(answer.allowed for answer in answers)
    for verb in (limits.hit, limits.reset):
        with pytest.raises(Unavailable):
            await verb(ACCOUNT, "a")
    await limits.refund(ACCOUNT, "a")
    assert time.monotonic() - start < 8  # one after the other they would take longer
    assert (await kit.health.ready())[0]
    assert (await kit.health.states())["redis"] == "degraded"
    door.mode = "pass"
    await again(limits)
    assert (await limits.hit(ACCOUNT, "a")).remaining == 1


async def test_a_shut_server_is_refused_at_once_and_found_again(limits: Limits, door: Door) -> None:
    await limits.hit(ACCOUNT, "a")
    await door.shut()
    with pytest.raises(Unavailable):
        await limits.hit(ACCOUNT, "a")
    start = time.monotonic()
    for _ in range(20):  # within the pause: nobody tries to connect
        assert (await limits.hit(FIVE, "a")).allowed
    assert time.monotonic() - start < PAUSE
    await door.open()
    await again(limits)


async def test_an_idle_connection_that_was_closed_is_made_anew(limits: Limits, door: Door) -> None:
    await limits.hit(ACCOUNT, "a")
    await door.shut()
    await door.open()
    assert (await limits.hit(ACCOUNT, "a")).remaining == 1


async def test_what_is_no_redis_is_no_store(limits: Limits, door: Door) -> None:
    door.mode = "garble"
    with pytest.raises(Unavailable):
        await limits.hit(ACCOUNT, "a")


async def test_whoever_is_called_off_harms_nobody(limits: Limits) -> None:
    """The answer to a cancelled hit is not taken for the next one's."""
    await limits.hit(FIVE, "warm")
    tasks = [asyncio.create_task(limits.hit(FIVE, f"key {n}")) for n in range(10)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    done = await asyncio.gather(*tasks[1::2])
    assert [decision.remaining for decision in done] == [2] * 5
    assert [(await limits.hit(FIVE, "warm")).remaining for _ in range(2)] == [1, 0]


async def test_a_wrong_password_is_said_without_it(valkey_url: str, caplog: pytest.LogCaptureFixture) -> None:
    wrong = Redis(RedisSettings(url=f"redis://:hunter22@127.0.0.1:{urlsplit(valkey_url).port}/0", timeout=5))
    with pytest.raises(RedisRefused, match="WRONGPASS"):
        await wrong.ping()
    await wrong.stop()
    assert "WRONGPASS" in caplog.text
    assert "hunter22" not in caplog.text


async def test_a_user_who_may_do_no_more_than_the_docs_say(kit: Corekit, valkey_url: str, raw: Redis) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/limits.md").read_text("utf-8")
    said = page[page.index("the user needs") :].partition("corekit:limits:*")[0]
    commands = [f"+{word.lower()}" for word in re.findall(r"`([A-Z]+)`", said)]
    await raw.call("ACL", "SETUSER", "counter", "reset", "on", ">p@ss/word", "~corekit:limits:*", *commands)
    redis = Redis(RedisSettings(url=f"redis://counter:p%40ss%2Fword@127.0.0.1:{urlsplit(valkey_url).port}", timeout=5))
    limits = RedisLimits(kit, redis)
    await redis.ping()
    assert (await limits.hit(ACCOUNT, "by a user", 3)).allowed
    await limits.refund(ACCOUNT, "by a user")
    assert (await limits.hit(ACCOUNT, "by a user")).allowed
    await limits.reset(ACCOUNT, "by a user")
    assert (await limits.hit(ACCOUNT, "by a user")).remaining == 2
    with pytest.raises(RedisRefused, match="NOPERM"):
        await redis.call("GET", "test:other")
    await redis.stop()
    await raw.call("ACL", "DELUSER", "counter")


async def test_a_database_of_its_own(valkey_url: str, raw: Redis) -> None:
    other = Redis(RedisSettings(url=valkey_url.removesuffix("/0") + "/3", timeout=5))
    await other.call("SET", "test:three", "3", "PX", 60_000)
    assert [await other.call("GET", "test:three"), await raw.call("GET", "test:three")] == [b"3", None]
    await other.stop()


def test_auto_takes_redis_where_there_is_one(kit: Corekit, limits: Limits) -> None:
    assert isinstance(limits, RedisLimits)
    with pytest.raises(ConfigError, match=r"\[limits\] store = \"redis\" needs \[redis\] url"):
        make_limits(kit, LimitSettings(store="redis"))


@pytest.mark.parametrize(
    "url",
    [
        "http://:hunter22@a",
        "redis://",
        "redis://:hunter22@a:x",
        "redis://:hunter22@a:0",
        "redis://:hunter22@a/b",
        "redis://a/0?db=1",
        "a:6379",
        "redis://a..b",
    ],
)
def test_a_wrong_url_is_refused_at_the_start(url: str, tmp_path: Path) -> None:
    config = Config.load(environ={"COREKIT_REDIS__URL": url})
    with pytest.raises(ConfigError, match=r"\[redis\] url is like redis://") as refused:
        Corekit([], config=config, data_dir=tmp_path)
    assert "hunter22" not in str(refused.value)


@pytest.mark.parametrize("timeout", ["0", "-1", "11", "nan"])
def test_a_timeout_has_bounds(timeout: str) -> None:
    config = Config.load(environ={"COREKIT_REDIS__URL": "redis://a", "COREKIT_REDIS__TIMEOUT": timeout})
    with pytest.raises(ConfigError, match=r"\[redis\] timeout is above 0 and at most 10 seconds"):
        Redis.of(config)


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corekit.data.redis.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r'pip install "corekit\[redis\]"'):
        Redis(RedisSettings(url="redis://a"))


def test_the_password_is_not_explained() -> None:
    config = Config.load(environ={"COREKIT_REDIS__URL": "redis://:hunter22@a:6379/0"})
    assert config.explain("redis", RedisSettings)[0][1] == '"redis://:***@a:6379/0"'
