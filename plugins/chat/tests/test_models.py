"""The tables: the migration makes what the models say, and goes away again."""

from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect
from sqlalchemy.orm import class_mapper

from corekit.data import Base
from corekit.data.pii import marked
from corekit_chat import models

PERSONS = {"direct_key", "title", "created_by", "usr", "sender", "body", "body_hash", "actor", "data"}


async def test_the_migration_makes_the_models(world: Any) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"include_name": ours, "compare_type": True})
        return [found for found in compare_metadata(context, Base.metadata) if "chat_" in str(found)]

    def ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or str(name).startswith("chat_")

    async with world.kit.database.engine().connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_down_and_up_again(world: Any) -> None:
    async def tables() -> set[str]:
        async with world.kit.database.engine().connect() as connection:
            names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        return {name for name in names if name.startswith("chat_")}

    before = await tables()
    assert before == {"chat_conversation", "chat_member", "chat_message", "chat_event"}
    await world.kit.schema.down("chat@base")
    assert await tables() == set()
    await world.kit.schema.up()
    assert await tables() == before
    assert (await world.create("alice")).last_seq == 0


def test_every_column_about_a_person_is_marked() -> None:
    marks = [(table, column) for table, column, _ in marked(Base.registry) if table.startswith("chat_")]
    assert {column for _, column in marks} == PERSONS
    for table in (models.ConversationRow, models.MemberRow, models.MessageRow, models.EventRow):
        columns = {column.key for column in class_mapper(table).columns}
        for _, column, mark in (found for found in marked(Base.registry) if found[0] == table.__tablename__):
            assert mark.subject in columns, column
    assert Path(models.__file__).parent.joinpath("migrations", "chat_0001.py").is_file()
