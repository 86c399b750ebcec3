"""The column type: plain to those who hold the object, sealed in the database, refused past the ORM."""

from uuid import UUID, uuid4

import pytest
from crypto_rows import ANN, CardRow, Own, SlotRow, got, put, raw, work  # beside this file
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, load_only, mapped_column

from corekit import Corekit
from corekit.data import Encrypted
from corekit.data.crypto import seal
from corekit.errors import DecryptFailed, PluginError

BOB = UUID(int=2)
PHONE = "+91 98765 43210"


async def test_it_is_plain_in_the_object_and_sealed_in_the_database(cards: Corekit) -> None:
    card = await put(cards, phone=PHONE, seed=b"\0\xff")
    row = await got(cards, card)
    assert (row.secret, row.phone, row.seed) == ("hunter2", PHONE, b"\0\xff")  # after its session is over, too
    ((secret, phone, seed),) = await raw(cards)
    assert secret.startswith("v1.@system.")
    assert phone.startswith("v1.@")
    assert not phone.startswith("v1.@system.")
    assert all(part not in secret + phone + seed for part in ("hunter2", "98765"))


async def test_null_stays_null(cards: Corekit) -> None:
    card = await put(cards, secret=None)
    assert (await got(cards, card)).secret is None
    async with work(cards) as ctx:
        assert await ctx.session.scalar(select(CardRow.id).where(CardRow.secret.is_(None))) == card


async def test_a_change_is_sealed_anew_and_the_rest_is_left(cards: Corekit) -> None:
    card = await put(cards, phone=PHONE)
    ((before, phone, _),) = await raw(cards)
    async with work(cards) as ctx:
        row = await ctx.session.get_one(CardRow, card)
        row.secret = "changed"
        await ctx.session.flush()
        assert row.secret == "changed"
        row.label = "other"
    ((after, same, _),) = await raw(cards)
    assert after != before
    assert same == phone
    assert (await got(cards, card)).secret == "changed"


async def test_an_object_goes_on_after_flush_refresh_expiry_and_partial_loads(cards: Corekit) -> None:
    async with work(cards) as ctx:
        row = CardRow(id=uuid4(), user_id=ANN, label="card", secret="one", phone=PHONE)
        ctx.session.add(row)
        await ctx.session.flush()
        assert (row.secret, row.phone) == ("one", PHONE)
        await ctx.session.refresh(row)
        assert (row.secret, row.phone) == ("one", PHONE)
        ctx.session.expire(row)
        await ctx.session.refresh(row, ["secret"])
        assert row.secret == "one"
        row.secret = None
        await ctx.session.flush()
        row.secret = "two"
    async with work(cards, readonly=True) as ctx:
        (again,) = await ctx.session.scalars(select(CardRow).options(load_only(CardRow.phone)))
        assert again.phone == PHONE
        (again,) = await ctx.session.scalars(select(CardRow))
        assert (again.secret, again.phone) == ("two", PHONE)


@pytest.mark.parametrize("field", ["secret", "phone"])
async def test_who_changes_the_key_or_the_person_seals_anew(cards: Corekit, field: str) -> None:
    card, other = await put(cards, phone=PHONE), uuid4()
    async with work(cards) as ctx:
        row = await ctx.session.get_one(CardRow, card)
        row.id, row.user_id = other, BOB
    row = await got(cards, other)
    assert getattr(row, field) == {"secret": "hunter2", "phone": PHONE}[field]


async def test_a_composite_key_names_the_place(cards: Corekit) -> None:
    async with work(cards) as ctx:
        ctx.session.add_all(
            SlotRow(shelf=shelf, number=number, inside=f"{shelf}/{number}") for shelf in "ab" for number in (1, 2)
        )
    async with work(cards, readonly=True) as ctx:
        rows = (await ctx.session.scalars(select(SlotRow))).all()
    assert {row.inside for row in rows} == {"a/1", "a/2", "b/1", "b/2"}


async def test_what_was_moved_to_another_row_or_column_does_not_open(cards: Corekit) -> None:
    one, two = await put(cards, secret="one"), await put(cards, secret="two", seed=b"two")
    async with cards.database.engine("service").begin() as connection:
        stolen = await connection.scalar(select(CardRow.__table__.c.secret).where(CardRow.id == one))
        values = {"secret": stolen, "seed": stolen}
        await connection.execute(update(CardRow.__table__).where(CardRow.id == two).values(values))  # type: ignore[arg-type]
    row = await got(cards, two)
    for field in ("secret", "seed"):
        with pytest.raises(DecryptFailed, match=f"test_card.{field}.{two} does not open"):
            getattr(row, field)
    assert (await got(cards, one)).secret == "one"


async def test_one_value_that_does_not_open_harms_only_who_reads_it(cards: Corekit) -> None:
    await put(cards, secret="fine")
    bad = await put(cards, label="bad")
    async with cards.database.engine("service").begin() as connection:
        await connection.execute(text("UPDATE test_card SET secret = 'v1.@system.x.y' WHERE label = 'bad'"))
    async with work(cards) as ctx:
        rows = (await ctx.session.scalars(select(CardRow))).all()
        assert [row.secret for row in rows if row.id != bad] == ["fine"]
        (broken,) = [row for row in rows if row.id == bad]
        with pytest.raises(DecryptFailed) as caught:
            _ = broken.secret
        assert "x.y" not in str(caught.value)
        broken.secret = "mended"
    assert (await got(cards, bad)).secret == "mended"


async def test_an_object_follows_a_statement_of_its_session(cards: Corekit) -> None:
    card = await put(cards)
    async with work(cards) as ctx:
        row = await ctx.session.get_one(CardRow, card)
        assert row.secret == "hunter2"
        sealed = await seal(ctx.session, CardRow.secret, card, "other")
        await ctx.session.execute(update(CardRow).where(CardRow.id == card).values(secret=sealed))
        assert row.secret == "other"


async def test_a_person_is_needed_where_it_is_theirs(cards: Corekit) -> None:
    for person in (None, UUID(int=0)):
        with pytest.raises(ValueError, match="set user_id before the flush"):
            await put(cards, user_id=person, phone=PHONE)
    with pytest.raises(TypeError, match="holds str, not bytes"):
        await put(cards, secret=b"hunter2")


async def test_a_failed_flush_leaves_the_object_plain_for_the_next(cards: Corekit) -> None:
    """Also its person's key, which was made in what was rolled back, is made again."""
    await put(cards, phone_index=b"taken")
    async with work(cards) as ctx:
        row = CardRow(id=uuid4(), user_id=BOB, label="x", secret="s", phone=PHONE, phone_index=b"taken")
        with pytest.raises(IntegrityError):
            async with ctx.session.begin_nested():
                ctx.session.add(row)
        row.phone_index, row.id = b"free", uuid4()
        ctx.session.add(row)
    again = await got(cards, row.id)
    assert (again.secret, again.phone) == ("s", PHONE)


async def test_a_rolled_back_key_is_not_used_again(cards: Corekit) -> None:
    with pytest.raises(RuntimeError, match="no"):
        async with work(cards) as ctx:
            ctx.session.add(CardRow(id=uuid4(), user_id=BOB, label="x", phone=PHONE))
            await ctx.session.flush()
            await ctx.session.refresh(await ctx.session.scalar(select(CardRow)))
            raise RuntimeError("no")
    card = await put(cards, user_id=BOB, phone=PHONE)
    assert (await got(cards, card)).phone == PHONE


async def test_a_session_without_keys_neither_seals_nor_opens(cards: Corekit) -> None:
    card = await put(cards)
    async with AsyncSession(cards.database.engine("service")) as session:
        row = await session.get_one(CardRow, card)
        with pytest.raises(PluginError, match="carries no keys"):
            _ = row.secret
        row.secret = "x"
        with pytest.raises(PluginError, match="carries no keys"):
            await session.flush()


def test_a_person_must_be_a_column() -> None:
    with pytest.raises(PluginError, match="names no column of its table"):

        class WrongRow(Own):
            __tablename__ = "test_wrong"
            id: Mapped[UUID] = mapped_column(primary_key=True)
            phone: Mapped[str] = mapped_column(Encrypted(subject="nobody"))


@hypothesis(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=st.text().filter(lambda text: "\0" not in text), seed=st.binary(max_size=99), person=st.uuids())
async def test_whatever_goes_in_comes_out(cards: Corekit, secret: str, seed: bytes, person: UUID) -> None:
    row = await got(cards, await put(cards, secret=secret, seed=seed, phone=secret, user_id=person))
    assert (row.secret, row.seed, row.phone) == (secret, seed, secret)
