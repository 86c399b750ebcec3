"""A session of one's own on PostgreSQL, for LISTEN and NOTIFY: around a pooler, and in nobody's transaction.

A commit that notifies holds a lock of the whole database until it is done, so no business transaction does.
"""

import asyncpg

from corekit.data.engines import Database
from corekit.data.options import database_url, libpq_url, server_settings

ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


async def listening_connection(database: Database) -> "asyncpg.Connection[asyncpg.Record]":
    """Open it, with the rights of the service role.

    Raises:
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError: there is no connection now (`ERRORS`).

    """
    settings = database.settings
    url = settings.direct_url or settings.service_url
    url = libpq_url(database_url(url) if url else database.url)
    return await asyncpg.connect(url, server_settings=server_settings(settings))
