"""What a client can be told: errors that answer a command, and codes that close the connection.

Clients connect again after a close below 3500; from 3500 to 3999 they stay away. Messages are fixed texts.
"""

import msgspec

from corekit.data.faults import is_refused
from corekit.errors import Problem
from corekit_realtime.protocol import Error

INTERNAL = Error(100, "internal server error", temporary=True)
UNAUTHORIZED = Error(101, "unauthorized")
UNKNOWN_CHANNEL = Error(102, "unknown channel")
PERMISSION_DENIED = Error(103, "permission denied")
METHOD_NOT_FOUND = Error(104, "method not found")
ALREADY_SUBSCRIBED = Error(105, "already subscribed")
LIMIT_EXCEEDED = Error(106, "limit exceeded")
BAD_REQUEST = Error(107, "bad request")
NOT_AVAILABLE = Error(108, "not available")
TOKEN_EXPIRED = Error(109, "token expired")
EXPIRED = Error(110, "expired")
TOO_MANY_REQUESTS = Error(111, "too many requests", temporary=True)
UNRECOVERABLE_POSITION = Error(112, "unrecoverable position")

UNSUBSCRIBED = 2000  # for good
INSUFFICIENT_STATE = 2500  # come again, with recover
SUBSCRIPTION_EXPIRED = 2501  # come again
REAUTHORISE = 2502  # come again, to be asked again

UNSUBSCRIBE_REASONS = {
    UNSUBSCRIBED: "unsubscribed",
    INSUFFICIENT_STATE: "insufficient state",
    SUBSCRIPTION_EXPIRED: "subscription expired",
    REAUTHORISE: "authorisation changed",
}


class Close(msgspec.Struct, frozen=True):
    """How a connection ends."""

    code: int
    reason: str


SHUTDOWN = Close(3001, "shutdown")
SERVER_ERROR = Close(3004, "server error")
CONNECTION_EXPIRED = Close(3005, "expired")
SLOW = Close(3008, "slow")
FORCED_RECONNECT = Close(3011, "force reconnect")
NO_PONG = Close(3012, "no pong")
TOO_MANY = Close(3013, "too many requests")
INVALID_TOKEN = Close(3500, "invalid token")
MALFORMED = Close(3501, "bad request")
STALE = Close(3502, "stale")
FORCED = Close(3503, "force disconnect")
CONNECTION_LIMIT = Close(3504, "connection limit")
REFUSED = Close(3507, "permission denied")
FRAME_TOO_LARGE = Close(1009, "message too big")  # RFC 6455 §7.4.1

CLOSES = {close.code: close for close in (SHUTDOWN, FORCED_RECONNECT, INVALID_TOKEN, FORCED, CONNECTION_LIMIT)}


class Refusal(Exception):
    """A command is answered with an error."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.message)
        self.error = error


class Ending(Exception):
    """The connection is closed."""

    def __init__(self, close: Close) -> None:
        super().__init__(close.reason)
        self.close = close


def error_of(problem: Problem) -> Error:
    """Write a problem as an error; its details stay with its HTTP twin."""
    return Error(problem.code, problem.title, temporary=problem.temporary)


def fault_of(error: Exception) -> Error:
    """Say what a client may know of a fault; the log has the rest."""
    return PERMISSION_DENIED if is_refused(error) else INTERNAL


def close_of(code: int) -> Close:
    """Name a code that a plugin chose."""
    return CLOSES.get(code) or Close(code, "disconnected")
