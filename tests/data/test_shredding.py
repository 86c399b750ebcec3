"""People's keys: deleting one shreds what is theirs, here and, as far as that goes, in copies."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from crypto_rows import ANN, CardRow, Own, got, put, vault, work  # beside this file
from sqlalchemy import delete, event, insert, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from corekit import Actor, Corekit
from corekit.cli.keyring import rotating
from corekit.data import DatabaseSettings
from corekit.data.crypto import keyfile
from corekit.data.crypto.columns import KEYS, SYSTEM
from corekit.data.people import DataKeys, DekRow, prefetch, shred
from corekit.errors import DecryptFailed, Forbidden, ReadonlyContext

BOB = UUID(int=2)
PHONE = "+91 98765 43210"


async def test_a_shredded_person_is_unreadable_and_nobody_else(cards: Corekit) -> None:
    ann, bob = await put(cards, phone=PHONE), await put(cards, phone=PHONE, user_id=BOB)
    async with work(cards) as ctx:
        assert await shred(ctx, ANN)
        assert not await shred(ctx, uuid4())
    row = await got(cards, ann)
    with pytest.raises(DecryptFailed, match="the key that it was sealed with is deleted"):
        _ = row.phone
    assert row.secret == "hunter2", "what is the system's stays"
    assert (await got(cards, bob)).phone == PHONE
    again = await put(cards, phone="new")
    assert (await got(cards, again)).phone == "new"
    with pytest.raises(DecryptFailed):
        _ = (await got(cards, ann)).phone


async def test_a_shredding_that_is_rolled_back_was_none(cards: Corekit) -> None:
    card = await put(cards, phone=PHONE)
    with pytest.raises(RuntimeError, match="no"):
        async with work(cards) as ctx:
            await shred(ctx, ANN)
            raise RuntimeError("no")
    assert (await got(cards, card)).phone == PHONE


async def test_only_a_system_purpose_shreds(cards: Corekit) -> None:
    await put(cards, phone=PHONE)
    async with cards.context(Actor(ANN)) as ctx:
        with pytest.raises(Forbidden):
            await shred(ctx, ANN)
    async with work(cards) as ctx:
        with pytest.raises(Forbidden):
            await shred(ctx, SYSTEM)
    async with work(cards, readonly=True) as ctx:
        with pytest.raises(ReadonlyContext):
            await shred(ctx, ANN)


async def test_first_values_of_one_person_at_once_share_a_key(cards: Corekit) -> None:
    made = await asyncio.gather(*(put(cards, phone=f"{n}") for n in range(8)))
    assert [(await got(cards, card)).phone for card in made] == [f"{n}" for n in range(8)]


async def test_keys_are_kept_but_only_so_many_and_so_long(cards: Corekit) -> None:
    people = [uuid4() for _ in range(5)]
    for person in people:
        await put(cards, user_id=person, phone=PHONE)
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    # PostgreSQL's readonly engines are views of the writing ones.
    readonly = cards.database.dialect == "sqlite"
    event.listen(cards.database._engines["service", readonly].sync_engine, "before_cursor_execute", note)

    async def queries(keys: DataKeys, *, ahead: bool = False) -> int:
        cards.database.carried[KEYS] = keys
        seen.clear()
        async with work(cards, readonly=True) as ctx:
            if ahead:
                await prefetch(ctx.session, people)
            assert {row.phone for row in await ctx.session.scalars(select(CardRow))} == {PHONE}
        return sum("FROM corekit_dek" in statement for statement in seen)

    kept, small, short = (
        DataKeys(cards.keyring, cards.clock.now, size=size, seconds=seconds)
        for size, seconds in ((9, 60), (2, 60), (9, 0))
    )
    assert [await queries(kept), await queries(kept)] == [6, 0]  # five people and the system
    assert len(small._kept) <= 2
    assert [await queries(small), await queries(small)] == [6, 5]
    assert [await queries(short), await queries(short)] == [6, 5]  # the system's never runs out
    assert await queries(DataKeys(cards.keyring, cards.clock.now), ahead=True) <= 2


@asynccontextmanager
async def copied(database: DatabaseSettings, administrator: str, folder: Path) -> AsyncGenerator[DatabaseSettings]:
    """Copy a whole database that nobody uses, keys of people included."""
    url = make_url(administrator)
    if url.get_backend_name() == "sqlite":
        copy = folder / "copy.db"
        shutil.copy(str(url.database), copy)
        yield DatabaseSettings(url=f"sqlite:///{copy}")
        return
    import asyncpg  # noqa: PLC0415  # only where PostgreSQL is used

    name = f"copy_{uuid4().hex}"

    def there(role: str | None) -> str:
        return make_url(str(role)).set(database=name).render_as_string(hide_password=False)

    server = await asyncpg.connect(url.set(database="postgres").render_as_string(hide_password=False))
    try:
        await server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{url.database}"')
        yield DatabaseSettings(
            url=there(database.url), owner_url=there(database.owner_url), service_url=there(database.service_url)
        )
        await server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await server.close()


async def phones(kit: Corekit) -> dict[UUID | None, Any]:
    """Read what opens, by person; None where it does not."""
    async with work(kit, readonly=True) as ctx:
        rows = (await ctx.session.scalars(select(CardRow))).all()
    found: dict[UUID | None, Any] = {}
    for row in rows:
        try:
            found[row.user_id] = row.phone
        except DecryptFailed:
            found[row.user_id] = None
    return found


async def test_what_a_backup_gives_away(database: DatabaseSettings, database_url: str, tmp_path: Path) -> None:
    """A backup has the wrapped keys too: it is closed by the rotation that ends with the old key dropped.

    Whoever restores it takes today's `corekit_dek` with it, and everybody is readable but those who were shredded.
    """
    async with vault(database, tmp_path) as kit:
        await put(kit, phone="ann")
        await put(kit, phone="bob", user_id=BOB)
    async with copied(database, database_url, tmp_path) as backup:
        async with vault(database, tmp_path) as kit:
            async with work(kit) as ctx:
                await shred(ctx, ANN)
            assert await phones(kit) == {ANN: None, BOB: "bob"}
        async with vault(backup, tmp_path) as kit:
            assert await phones(kit) == {ANN: "ann", BOB: "bob"}, "until the rotation, the backup can be read"
        async with vault(database, tmp_path) as kit:
            keyfile.add(tmp_path / "keyring")
            assert await rotating(kit, str, Own.registry) == 0
            keyfile.drop(tmp_path / "keyring", "dev")
            assert await phones(kit) == {ANN: None, BOB: "bob"}
            async with work(kit, readonly=True) as ctx:
                keys = [dict(row._mapping) for row in await ctx.session.execute(select(DekRow.__table__))]  # type: ignore[call-overload]
        async with vault(backup, tmp_path) as kit:
            assert await phones(kit) == {ANN: None, BOB: None}
            async with work(kit) as ctx:
                await ctx.session.execute(delete(DekRow))
                await ctx.session.execute(insert(DekRow.__table__), keys)  # type: ignore[arg-type]
            assert await phones(kit) == {ANN: None, BOB: "bob"}


async def test_a_person_finds_keys_and_makes_them_but_changes_none(cards: Corekit) -> None:
    """Policies let them, or nobody could open what a policy of another table shows them."""
    keys = DataKeys(cards.keyring, cards.clock.now)
    card = await put(cards, phone=PHONE)
    async with cards.context(Actor(BOB)) as ctx:
        made = await ctx.session.run_sync(keys.make, BOB)
        found = await ctx.session.run_sync(keys.make, ANN)
    async with cards.context(Actor(BOB), readonly=True) as ctx:
        keys = DataKeys(cards.keyring, cards.clock.now)
        assert (await ctx.session.run_sync(keys.find, made.id, "here")).open(made.seal(b"x", "here"), "here") == b"x"
        assert (await ctx.session.run_sync(keys.find, found.id, "here")).open(found.seal(b"x", "here"), "here") == b"x"
    for statement in (delete(DekRow), update(DekRow).values(wrapped="v1.dev.x.y")):
        with suppress(DBAPIError):  # refused, or without effect
            async with cards.context(Actor(BOB)) as ctx:
                await ctx.session.execute(statement)
    cards.database.carried[KEYS] = DataKeys(cards.keyring, cards.clock.now)
    assert (await got(cards, card)).phone == PHONE
