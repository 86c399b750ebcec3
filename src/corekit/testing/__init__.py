"""For tests, yours and ours: a kit in one line, a clock that you move, a served kit, real servers and doors to shut."""

from corekit.testing.clock import FakeClock
from corekit.testing.door import Door
from corekit.testing.kits import act_as, make_kit, settle
from corekit.testing.served import free_port, serve
from corekit.testing.services import NatsServer, PostgresServer, ValkeyServer

__all__ = [
    "Door",
    "FakeClock",
    "NatsServer",
    "PostgresServer",
    "ValkeyServer",
    "act_as",
    "free_port",
    "make_kit",
    "serve",
    "settle",
]
