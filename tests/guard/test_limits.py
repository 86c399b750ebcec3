"""Limits: the stores count alike, processes share one store, keys hold nothing personal."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from corekit import Actor, Corekit
from corekit.data import DatabaseSettings
from corekit.data.migrating import alone, transaction
from corekit.data.redis import Redis, RedisSettings
from corekit.errors import InsideContext, Unavailable
from corekit.guard import (
    PURPOSE,
    Limits,
    LimitSettings,
    MemoryLimits,
    Rule,
    SqlLimits,
    address_key,
    make_limits,
    prefix_key,
)
from corekit.testing import FakeClock, make_kit

FIVE = Rule("test.five", 5, 60, 3)
ACCOUNT = Rule("test.account", 5, 60, 3, "account")


@pytest.fixture
async def kit(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Corekit]:
    """Start a kit without plugins."""
    async with make_kit(database=database, tmp_path=tmp_path, clock=clock) as kit:
        yield kit


@pytest.fixture(params=["memory", "sql", "redis"])
async def limits(request: pytest.FixtureRequest, kit: Corekit) -> AsyncGenerator[Limits]:
    """Give each store in turn."""
    if request.param != "redis":
        yield make_limits(kit, LimitSettings(store=request.param))
        return
    if kit.database.dialect == "postgresql":
        pytest.skip("Redis counts without the database")
    redis = Redis(RedisSettings(url=request.getfixturevalue("valkey_url"), timeout=5))
    yield make_limits(kit, LimitSettings(store="redis"), redis)
    await redis.stop()


async def test_a_burst_passes_then_one_per_step(limits: Limits, clock: FakeClock) -> None:
    """5 per minute with a burst of 3: three at once, then one every 12 s, to the microsecond."""
    assert [(await limits.hit(FIVE, "a")).allowed for _ in range(4)] == [True, True, True, False]
    refused = await limits.hit(FIVE, "a")
    assert refused.retry_after == pytest.approx(12)
    clock.move(11.999999)
    assert not (await limits.hit(FIVE, "a")).allowed
    clock.move(0.000001)
    assert (await limits.hit(FIVE, "a")).allowed
    assert not (await limits.hit(FIVE, "a")).allowed


async def test_what_remains_is_told(limits: Limits, clock: FakeClock) -> None:
    assert [(await limits.hit(FIVE, "a")).remaining for _ in range(3)] == [2, 1, 0]
    clock.move(3600)
    assert (await limits.hit(FIVE, "a", 2)).remaining == 1


async def test_a_refused_hit_costs_nothing(limits: Limits, clock: FakeClock) -> None:
    for _ in range(50):
        await limits.hit(FIVE, "a")
    clock.move(12)
    assert (await limits.hit(FIVE, "a")).allowed


async def test_keys_and_rules_are_counted_apart(limits: Limits) -> None:
    await limits.hit(FIVE, "a", 3)
    assert (await limits.hit(FIVE, "b")).allowed
    assert (await limits.hit(ACCOUNT, "a")).allowed


async def test_a_refund_gives_back_one_charge(limits: Limits) -> None:
    await limits.hit(FIVE, "a", 3)
    await limits.refund(FIVE, "a")
    assert [(await limits.hit(FIVE, "a")).allowed for _ in range(2)] == [True, False]
    await limits.refund(FIVE, "never hit")


async def test_a_refund_gives_back_its_cost_once_the_key_is_used_up(limits: Limits, clock: FakeClock) -> None:
    """A refused hit has charged nothing, so what is given back is what another one charged."""
    await limits.hit(FIVE, "a", 3)
    assert (await limits.hit(FIVE, "a", 2)).retry_after == pytest.approx(24)
    await limits.refund(FIVE, "a", 2)
    assert (await limits.hit(FIVE, "a", 3)).retry_after == pytest.approx(12)
    clock.move(12)
    assert (await limits.hit(FIVE, "a", 3)).remaining == 0


async def test_only_account_rules_are_reset(limits: Limits) -> None:
    await limits.hit(ACCOUNT, "a", 3)
    await limits.reset(ACCOUNT, "a")
    await limits.reset(ACCOUNT, "never hit")
    assert (await limits.hit(ACCOUNT, "a", 3)).allowed
    with pytest.raises(ValueError, match="only account rules"):
        await limits.reset(FIVE, "a")


@pytest.mark.parametrize("cost", [0, -1, 4])
async def test_a_cost_that_could_never_pass_is_a_bug(limits: Limits, cost: int) -> None:
    with pytest.raises(ValueError, match="cost must be 1 to 3"):
        await limits.hit(FIVE, "a", cost)


async def test_parallel_hits_pass_no_more_than_the_burst(limits: Limits) -> None:
    answers = await asyncio.gather(*(limits.hit(FIVE, "a") for _ in range(20)))
    assert sum(answer.allowed for answer in answers) == 3


async def test_two_kits_on_one_database_share_a_limit(kit: Corekit, tmp_path: Path, clock: FakeClock) -> None:
    """What another worker let pass counts here."""
    database, settings = kit.database.settings, {"limits": {"store": "sql"}}
    async with make_kit(database=database, tmp_path=tmp_path, clock=clock, settings=settings) as other:
        stores = [SqlLimits(kit), other.get(Limits)]
        allowed = [(await stores[n % 2].hit(FIVE, "a")).allowed for n in range(6)]
    assert allowed == [True, True, True, False, False, False]


async def test_the_table_holds_no_address(kit: Corekit) -> None:
    await SqlLimits(kit).hit(FIVE, "192.0.2.7")
    async with kit.caller().system(PURPOSE).begin(readonly=True) as ctx:
        keys = (await ctx.session.execute(text("SELECT key FROM corekit_limits"))).scalars().all()
    assert len(keys) == 1
    assert len(keys[0]) == 32
    assert b"192.0.2" not in keys[0]


async def test_old_rows_are_dropped(kit: Corekit, clock: FakeClock) -> None:
    """Once in ten thousand hits."""
    limits = SqlLimits(kit)
    await limits.hit(FIVE, "old")
    clock.move(3600)
    limits._hits = 9_999
    await limits.hit(FIVE, "new")
    async with kit.caller().system(PURPOSE).begin(readonly=True) as ctx:
        assert (await ctx.session.execute(text("SELECT count(*) FROM corekit_limits"))).scalar() == 1


async def test_without_its_store_an_address_passes_and_an_account_does_not(kit: Corekit) -> None:
    def drop(connection: Connection) -> None:
        with transaction(connection):
            connection.execute(text("DROP TABLE corekit_limits"))

    async with alone(kit.database) as connection:
        await connection.run_sync(drop)
    limits = SqlLimits(kit)
    assert (await limits.hit(FIVE, "a")).allowed
    await limits.refund(FIVE, "a")
    for verb in (limits.hit, limits.reset):
        with pytest.raises(Unavailable):
            await verb(ACCOUNT, "a")


@pytest.mark.parametrize("limits", ["sql", "redis"], indirect=True)
async def test_nothing_is_counted_inside_a_context(kit: Corekit, limits: Limits) -> None:
    """A transaction would wait for the network, or for its own writer."""
    async with kit.context(Actor("alice")):
        for verb in (limits.hit, limits.refund, limits.reset):
            with pytest.raises(InsideContext):
                await verb(ACCOUNT, "a")
    assert (await limits.hit(ACCOUNT, "a")).remaining == 2


async def test_the_memory_store_is_bounded(clock: FakeClock) -> None:
    """The keys nearest to their end go first, so the one that is hit hardest stays."""
    limits = MemoryLimits(clock, keys=10)
    await limits.hit(FIVE, "hard", 3)
    for n in range(100):
        await limits.hit(FIVE, f"key {n}")
        assert len(limits._tat) <= 10
    assert not (await limits.hit(FIVE, "hard")).allowed


def test_auto_shares_where_several_processes_may_serve(kit: Corekit) -> None:
    expected = SqlLimits if kit.database.dialect == "postgresql" else MemoryLimits
    assert isinstance(make_limits(kit), expected)
    kit.alone = False
    assert isinstance(make_limits(kit), SqlLimits)


@pytest.mark.parametrize(
    ("address", "key", "prefix"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64", "fe80::/64"),
        ("testclient", "testclient", "testclient"),
    ],
)
def test_who_is_behind_an_address(address: str, key: str, prefix: str) -> None:
    assert (address_key(address), prefix_key(address)) == (key, prefix)


@given(st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=60))
def test_no_schedule_passes_more_than_the_rate(pauses: list[float]) -> None:
    """In any window, at most the burst and one per step pass."""

    async def run() -> None:
        clock = FakeClock()
        limits, passed, now = MemoryLimits(clock), [], 0.0
        for pause in pauses:
            clock.move(pause)
            now += pause
            if (await limits.hit(FIVE, "a")).allowed:
                passed.append(now)
        for first, start in enumerate(passed):
            for last in range(first, len(passed)):
                assert last - first + 1 <= 3 + (passed[last] - start) / 12 + 0.001

    asyncio.run(run())
