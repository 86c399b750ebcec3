"""The pools: how many connections, and what each is told when it is opened and when a transaction begins."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import URL, Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from corekit.data import one_hop, policy_postgresql, policy_sqlite
from corekit.data.options import DatabaseSettings, database_url, pragmas, server_settings
from corekit.data.policy import Policy


def sqlite(
    url: URL, settings: DatabaseSettings, policies: Sequence[Policy], *, policed: bool, readonly: bool
) -> AsyncEngine:
    """Make a pool on SQLite: several readers for people, otherwise one connection."""
    engine = create_async_engine(
        url,
        pool_size=settings.sqlite.readers if readonly and policed else 1,
        max_overflow=0,
        pool_timeout=30,
        hide_parameters=True,
        connect_args={"factory": one_hop.RollingBack, "async_creator_fn": one_hop.connect},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: Any, _: object) -> None:
        connection.isolation_level = None  # corekit says BEGIN itself
        for statement in pragmas(settings.sqlite, readonly=readonly and not policed):
            cursor = connection.cursor()
            cursor.execute(statement)
            cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        work = connection.get_execution_options().get("corekit_work")
        if work is not None and not readonly:
            work.take_slot()
        driver: Any = connection.connection.driver_connection
        driver.begin("BEGIN" if readonly else "BEGIN IMMEDIATE")

    if policed:
        policy_sqlite.police(engine.sync_engine, policies, readonly=readonly)
    return engine


def postgresql(url: URL, settings: DatabaseSettings, *, policed: bool) -> AsyncEngine:
    """Make a pool on PostgreSQL, for people or, under the service's role, for what is elevated."""
    engine = create_async_engine(
        database_url(settings.service_url) if settings.service_url and not policed else url,
        isolation_level="AUTOCOMMIT" if policed else None,  # corekit says BEGIN itself
        pool_size=settings.pool if policed else 4,
        max_overflow=0,
        pool_timeout=5,
        hide_parameters=True,  # an error's text reaches logs and `last_error`; parameters are people's data
        connect_args={"server_settings": server_settings(settings)},
        json_serializer=lambda value: msgspec.json.encode(value).decode(),  # as on SQLite
        json_deserializer=msgspec.json.decode,
    )
    if policed:
        policy_postgresql.police(engine.sync_engine)
    return engine
