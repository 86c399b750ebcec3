"""Who is connected to this node."""

from collections.abc import Iterable
from uuid import UUID

from corekit_realtime.connection import Connection


class Connections:
    """All connections, and those of each user in the order they came."""

    def __init__(self) -> None:
        self._all: dict[str, Connection] = {}
        self._users: dict[UUID, dict[str, Connection]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, connection: Connection) -> None:
        """Count a socket; nobody is behind it yet."""
        self._all[connection.client] = connection

    def sign_in(self, connection: Connection) -> None:
        """Note who is behind a socket."""
        self._users.setdefault(connection.user, {})[connection.client] = connection

    def remove(self, connection: Connection) -> None:
        """Forget a socket."""
        self._all.pop(connection.client, None)
        if found := self._users.get(connection.user):
            found.pop(connection.client, None)
            if not found:
                del self._users[connection.user]

    def find(self, client: str) -> Connection | None:
        """Return one connection."""
        return self._all.get(client)

    def of(self, user: UUID) -> list[Connection]:
        """Return a user's connections, the oldest first."""
        return list(self._users.get(user, {}).values())

    def all(self) -> Iterable[Connection]:
        """Return those of now."""
        return list(self._all.values())
