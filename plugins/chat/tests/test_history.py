"""Reading: pages that stay stable while messages arrive."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from corekit.context import Actor
from corekit.data.migrating import alone
from corekit.errors import Invalid, TooMany
from corekit.values import Page, encode_cursor, parse_id


async def read(world: Any, conv: str, **fields: Any) -> Page[Any]:
    async with world.caller("alice").begin(readonly=True) as ctx:
        page: Page[Any] = await world.chat.history(ctx, conv, **fields)
        return page


async def test_pages_are_stable_under_inserts(world: Any) -> None:
    conv = (await world.create("alice")).id
    for number in range(25):
        await world.send("alice", conv, f"key-{number}", f"body {number}")
        if number % 7 == 0:
            await world.invite("alice", conv, f"user{number}")  # takes a seq, is no message
    seen, cursor = [], None
    while True:
        page = await read(world, conv, limit=6, cursor=cursor)
        seen += [message.no for message in page.items]
        if (cursor := page.next) is None:
            break
        await world.send("alice", conv, f"late-{cursor}".replace("=", "")[:64])
    assert seen == list(range(25, 0, -1))


async def test_before_and_after(world: Any) -> None:
    conv = (await world.create("alice")).id
    for number in range(1, 11):
        await world.send("alice", conv, f"key-{number}")

    async def seqs(**fields: Any) -> list[int]:
        return [message.seq for message in (await read(world, conv, **fields)).items]

    assert await seqs() == list(range(10, 0, -1))
    assert await seqs(before=5) == [4, 3, 2, 1]
    assert await seqs(after=7) == [8, 9, 10]
    assert await seqs(after=10) == []
    first = await read(world, conv, after=2, limit=3)
    assert [message.seq for message in first.items] == [3, 4, 5]
    assert await seqs(cursor=first.next, limit=3) == [6, 7, 8]
    assert (await read(world, conv, limit=10)).next is None
    assert (await read(world, conv, limit=9)).next is not None


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"limit": 0}, "/limit"),
        ({"limit": 301}, "/limit"),
        ({"cursor": "nonsense"}, "/cursor"),
        ({"cursor": encode_cursor("sideways", 3)}, "/cursor"),
        ({"cursor": encode_cursor(3)}, "/cursor"),
        ({"before": 3, "after": 3}, "/cursor"),
        ({"before": 3, "cursor": encode_cursor("before", 3)}, "/cursor"),
    ],
)
async def test_what_does_not_fit_is_named(world: Any, fields: dict[str, Any], pointer: str) -> None:
    conv = (await world.create("alice")).id
    with pytest.raises(Invalid) as caught:
        await read(world, conv, **fields)
    assert caught.value.extensions["pointer"] == pointer


async def test_reading_is_limited(make_world: Any) -> None:
    async with make_world(limits=True, history_rate=(10, 1.0, 2)) as world:
        conv = (await world.create("alice")).id
        for _ in range(2):
            await read(world, conv)
        with pytest.raises(TooMany):
            await read(world, conv)


async def test_the_log_in_parts(world: Any) -> None:
    conv = (await world.create("alice")).id
    for number in range(6):
        await world.send("alice", conv, f"key-{number}")
        await world.invite("alice", conv, f"user{number}")
    every = await world.replay(conv)
    assert [entry.offset for entry in every] == list(range(1, 13))
    assert [msgspec.json.decode(entry.data)["seq"] for entry in every] == list(range(1, 13))
    assert await world.replay(conv, 5, 3) == every[5:8]
    assert await world.replay(conv, 12, 3) == []
    assert await world.replay(conv, 99, 3) == []
    assert (await world.position(conv))[1] == 12


async def test_a_page_reads_its_own_rows_and_no_others(world: Any) -> None:
    """Where the planner expects that the policy lets nothing pass, it reads and sorts a whole conversation.

    Write the tenant's rule in `corekit.data.policy` with IS NOT DISTINCT FROM and all 300 rows are read.
    """
    if world.kit.database.dialect != "postgresql":
        pytest.skip("SQLite has no statistics of values unless somebody says ANALYZE")
    conv = parse_id("cnv", (await world.create("alice")).id)
    filled = text(
        "INSERT INTO chat_message (conversation, seq, id, no, sender, client_id, body_hash, kind, rev, created_at)"
        " SELECT :conv, n, gen_random_uuid(), n, :alice, n, '', 'text', 1, now() FROM generate_series(2, 300) n"
    )
    async with alone(world.kit.database) as connection:
        await connection.execute(filled, {"conv": conv, "alice": Actor("alice").id})
        await connection.exec_driver_sql("ANALYZE")
        await connection.commit()
    newest = "SELECT * FROM chat_message WHERE conversation = :conv ORDER BY seq DESC LIMIT 50"
    page = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {newest}")
    async with world.caller("alice").begin(readonly=True) as ctx:
        [explained] = (await ctx.session.execute(page, {"conv": conv})).scalar_one()
    node = explained["Plan"]
    while node.get("Relation Name") != "chat_message":
        node = node["Plans"][-1]
    assert (node["Actual Rows"], node.get("Rows Removed by Filter", 0)) == (50, 0)
