"""Alembic's environment: runs on the connection that `corekit.data.schema` hands over."""

from contextlib import nullcontext
from typing import Any

from alembic import context

from corekit.data.base import Base
from corekit.data.revisions import VERSION_TABLE
from corekit.errors import SchemaError

connection = context.config.attributes["connection"]
sqlite = connection.dialect.name == "sqlite"


def applied(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:  # noqa: ARG001  # Alembic's signature
    """After each revision: refuse it if it may wait for ever for a table's lock, with everybody else behind it."""
    if not sqlite and connection.exec_driver_sql("SHOW lock_timeout").scalar() == "0":
        raise SchemaError(f"{step.up_revision_id} runs without a lock_timeout")
    context.config.attributes["applied"](heads)


context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=sqlite,
    transaction_per_migration=True,  # on SQLite the whole run is one transaction, which is the lock
    on_version_apply=applied,
)
if sqlite:  # an index is made outside of any transaction only where it can be
    vars(context.get_context())["autocommit_block"] = nullcontext
context.run_migrations()
