"""Real services for tests and for development, from wheels; nothing has to be installed on the machine."""

from corekit.testing.services.nats import NatsServer
from corekit.testing.services.postgres import PostgresServer
from corekit.testing.services.server import Server
from corekit.testing.services.valkey import ValkeyServer

__all__ = ["NatsServer", "PostgresServer", "Server", "ValkeyServer"]
