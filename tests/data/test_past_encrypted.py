"""Past the objects: plain text is refused by every other way to write, and none reads what is sealed."""

from typing import Any
from uuid import uuid4

import pytest
from crypto_rows import ANN, CardRow, got, put, raw, work  # beside this file
from sqlalchemy import Text, bindparam, func, insert, literal, select, text, update
from sqlalchemy.exc import StatementError

from corekit import Corekit
from corekit.data import Sealed
from corekit.data.crypto import reveal, seal
from corekit.errors import DecryptFailed

PHONE = "+91 98765 43210"

PLAIN = {"id": uuid4(), "label": "x", "secret": "hunter2"}


@pytest.mark.parametrize(
    "statement",
    [
        insert(CardRow).values(PLAIN),
        insert(CardRow.__table__).values(PLAIN),  # type: ignore[arg-type]
        update(CardRow).values(secret="hunter2"),
        update(CardRow).values(secret=bindparam("given")),
        select(CardRow).where(CardRow.secret == "hunter2"),
    ],
    ids=["orm insert", "core insert", "update", "bound", "where"],
)
async def test_plain_text_is_refused_past_the_objects(cards: Corekit, statement: Any) -> None:
    await put(cards)
    before = await raw(cards)
    with pytest.raises(StatementError, match="takes plain text only through the ORM's flush") as caught:
        async with work(cards) as ctx:
            await ctx.session.execute(statement, {"given": "hunter2"} if "given" in str(statement) else None)
    assert "hunter2" not in str(caught.value)
    assert await raw(cards) == before


@pytest.mark.parametrize(
    "sql", [update(CardRow).values(secret=literal("hunter2", Text)), text("UPDATE test_card SET secret = 'hunter2'")]
)
async def test_what_such_sql_wrote_all_the_same_is_never_read_as_text(cards: Corekit, sql: Any) -> None:
    """A statement that brings its own type, or is no more than text, is beyond the column's reach."""
    card = await put(cards)
    async with work(cards) as ctx:
        await ctx.session.execute(sql)
    row = await got(cards, card)
    with pytest.raises(DecryptFailed, match="it is no sealed text") as caught:
        _ = row.secret
    assert "hunter2" not in str(caught.value)


async def test_bulk_methods_are_refused_too(cards: Corekit) -> None:
    for rows in ([PLAIN], [PLAIN, PLAIN | {"id": uuid4()}]):
        with pytest.raises(StatementError, match="takes plain text only"):
            async with work(cards) as ctx:
                await ctx.session.execute(insert(CardRow), rows)
        with pytest.raises(StatementError, match="takes plain text only"):
            async with work(cards) as ctx:
                await ctx.session.run_sync(lambda sync, rows=rows: sync.bulk_insert_mappings(CardRow, rows))  # type: ignore[misc]
    with pytest.raises(StatementError, match="takes plain text only"):
        async with work(cards) as ctx:
            await ctx.session.run_sync(lambda sync: sync.bulk_save_objects([CardRow(**PLAIN)]))
    assert await raw(cards) == []


async def test_what_is_read_past_the_objects_stays_sealed(cards: Corekit) -> None:
    card = await put(cards)
    async with work(cards, readonly=True) as ctx:
        read = await ctx.session.scalar(select(CardRow.secret))
        assert isinstance(read, Sealed)
        assert (str(read), repr([read])) == ("Sealed(…)", "[Sealed(…)]")
        assert await reveal(ctx.session, CardRow.secret, card, read) == "hunter2"
        with pytest.raises(DecryptFailed):
            await reveal(ctx.session, CardRow.secret, uuid4(), read)
        highest = await ctx.session.scalar(select(func.max(CardRow.__table__.c.secret)))
        assert isinstance(highest, Sealed | str)
        assert "hunter2" not in str(highest)


async def test_a_statement_takes_what_was_sealed_for_its_row(cards: Corekit) -> None:
    card = uuid4()
    async with work(cards) as ctx:
        values = {
            "id": card,
            "label": "core",
            "user_id": ANN,
            "secret": await seal(ctx.session, CardRow.secret, card, "hunter2"),
            "phone": await seal(ctx.session, CardRow.phone, card, PHONE, ANN),
        }
        await ctx.session.execute(insert(CardRow), [values])
        with pytest.raises(ValueError, match="set user_id"):
            await seal(ctx.session, CardRow.phone, card, PHONE)
    row = await got(cards, card)
    assert (row.secret, row.phone) == ("hunter2", PHONE)
