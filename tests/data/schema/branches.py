"""Branches that a test writes: revisions of plugins that do not exist otherwise."""

import textwrap
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import inspect, text

from corekit import Corekit, Plugin, Settings
from corekit.data import Base, Database, DatabaseSettings
from corekit.data.migrating import alone
from corekit.data.policy import policies
from corekit.data.schema import Schema
from corekit.settings import Config

KEYS = {"active": "k", "keys": {"k": "A" * 43}, "index": "A" * 43}


@dataclass(frozen=True)
class Step:
    """One revision: the bodies of its functions, and its mark."""

    up: str
    down: str = "pass"
    phase: str = ""


MAKE = Step(
    """
    op.create_table(
        "{name}_item",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_{name}_item"),
    )
    """,
    'op.drop_table("{name}_item")',
)
WIDEN = Step(
    """
    op.add_column("{name}_item", sa.Column("stars", sa.BigInteger(), server_default="3", nullable=False))
    op.add_column("{name}_item", sa.Column("title", sa.Text()))
    """,
    """
    with op.batch_alter_table("{name}_item") as batch:
        batch.drop_column("title")
        batch.drop_column("stars")
    """,
    "expand",
)


def write(folder: Path, name: str, *steps: Step, depends_on: str = "core_0001") -> Path:
    """Write a branch; the folder it is in."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, step in enumerate(steps, 1):
        below = f"{name}_{number - 1:04}" if number > 1 else None
        up, down = (
            textwrap.indent(textwrap.dedent(body).strip(), "    ").replace("{name}", name)
            for body in (step.up, step.down)
        )
        lines = [
            "import sqlalchemy as sa",
            "from alembic import op",
            f"revision, down_revision = {f'{name}_{number:04}'!r}, {below!r}",
            f"branch_labels, depends_on = {None if below else (name,)!r}, {None if below else depends_on!r}",
            f"phase = {step.phase!r}",
            f"def upgrade():\n{up}",
            f"def downgrade():\n{down}",
        ]
        (folder / f"{name}_{number:04}.py").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


@asynccontextmanager
async def opened(settings: DatabaseSettings, tmp_path: Path) -> AsyncGenerator[Database]:
    """Open a database without a kit."""
    database = Database(settings, tmp_path)
    database.policies = policies(Base.metadata, ["corekit_"])
    async with database:
        yield database


def schema(database: Database, *, installed: dict[str, Path] | None = None, **enabled: Path) -> Schema:
    """Make the schema of these plugins; `installed` are there too, but not enabled."""
    return Schema(database, enabled, versions=lambda: {"notes": "2.0.0"}, elsewhere=(installed or {}).get)


def production(settings: DatabaseSettings, tmp_path: Path, **enabled: Path) -> Corekit:
    """Make a kit of such plugins that must not migrate."""
    config = Config.load(environ={}, env="prod", overrides={"keyring": KEYS, "jobs": {"worker": False}})
    return Corekit(
        [_plugin(name, folder) for name, folder in enabled.items()], database=settings, config=config, data_dir=tmp_path
    )


def _plugin(called: str, folder: Path) -> Plugin[Any]:
    class Written(Plugin[Settings]):
        name = called
        migrations = folder  # type: ignore[assignment]

    return Written()


async def execute(database: Database, statement: str) -> list[tuple[Any, ...]]:
    """Run SQL as the one who migrates."""
    async with alone(database) as connection:
        result = await connection.execute(text(statement))
        rows = [tuple(row) for row in result.all()] if result.returns_rows else []
        if database.dialect == "postgresql":
            await connection.commit()
        return rows


async def tables(database: Database) -> set[str]:
    """Name the tables."""
    async with alone(database) as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
