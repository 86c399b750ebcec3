"""Tables with encrypted columns, beside the real ones, and a kit that has them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, MetaData, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from corekit import Context, Corekit, Plugin
from corekit.data import PII, Base, DatabaseSettings, Encrypted
from corekit.data.crypto.columns import protect
from corekit.data.migrating import alone, transaction
from corekit.testing import make_kit

ANN = UUID(int=1)


class Own(DeclarativeBase):
    """A base beside the real one, so that these tables are in nobody's schema."""

    metadata = MetaData(naming_convention=Base.metadata.naming_convention)
    type_annotation_map = Base.type_annotation_map

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        protect(cls)


class CardRow(Own):
    """A row with a secret of the system, one of its person, and one that is bytes."""

    __tablename__ = "test_card"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID | None]
    label: Mapped[str]
    secret: Mapped[str | None] = mapped_column(Encrypted())
    phone: Mapped[Annotated[str, PII("phone")] | None] = mapped_column(Encrypted(subject="user_id"))
    seed: Mapped[bytes | None] = mapped_column(Encrypted(bytes))
    phone_index: Mapped[bytes | None] = mapped_column(unique=True)


class SlotRow(Own):
    """A row of a composite key, whose attribute is not called as its column."""

    __tablename__ = "test_slot"

    shelf: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    inside: Mapped[str] = mapped_column("content", Encrypted())


class VaultPlugin(Plugin):  # type: ignore[type-arg]  # no settings
    """Declares what the tests elevate for."""

    name = "vault"


def make(connection: Connection) -> None:
    """Make the tables as their owner, for every role."""
    with transaction(connection):
        Own.metadata.create_all(connection)
        if connection.dialect.name == "postgresql":
            for table in Own.metadata.tables:
                connection.execute(text(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO PUBLIC"))


@asynccontextmanager
async def vault(database: DatabaseSettings, folder: Path) -> AsyncGenerator[Corekit]:
    """Start a kit beside the tables."""
    async with make_kit(
        [VaultPlugin()], database=database, tmp_path=folder, settings={"jobs": {"worker": False}}
    ) as kit:
        async with alone(kit.database) as connection:
            await connection.run_sync(make)
        yield kit


@asynccontextmanager
async def work(kit: Corekit, *, readonly: bool = False) -> AsyncGenerator[Context]:
    """Open a context that may read and write the tables."""
    async with kit.caller().system("vault").begin(readonly=readonly) as ctx:
        yield ctx


async def put(kit: Corekit, **values: Any) -> UUID:
    """Add a card; return its id."""
    row = CardRow(**({"id": uuid4(), "user_id": ANN, "label": "card", "secret": "hunter2"} | values))
    async with work(kit) as ctx:
        ctx.session.add(row)
    return row.id


async def got(kit: Corekit, card: UUID) -> CardRow:
    """Read a card, whose session is over then."""
    async with work(kit, readonly=True) as ctx:
        row = await ctx.session.get(CardRow, card)
    assert row is not None
    return row


async def raw(kit: Corekit) -> list[Any]:
    """Read what is stored."""
    async with kit.database.engine("service").connect() as connection:
        return list(await connection.execute(text("SELECT secret, phone, seed FROM test_card")))
