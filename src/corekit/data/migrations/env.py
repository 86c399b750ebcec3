"""Alembic's environment: runs on the connection that `corekit.data.schema` hands over."""

from alembic import context

from corekit.data.base import Base
from corekit.data.schema import VERSION_TABLE

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=connection.dialect.name == "sqlite",
)
context.run_migrations()
