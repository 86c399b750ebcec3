"""What may be wrong with a key, and the answer that is there already."""

from typing import Any

from corekit.errors import Problem
from corekit.guard.idempotency.values import Reply


class IdempotencyKeyMissing(Problem):
    """The request needs a header `Idempotency-Key` and has none."""

    slug, status, code, title = "idempotency-key-missing", 400, 107, "An Idempotency-Key is required"


class IdempotencyKeyInvalid(Problem):
    """The key is not 1 to 255 visible ASCII characters, or there are several."""

    slug, status, code, title = "idempotency-key-invalid", 400, 107, "The Idempotency-Key is malformed"


class IdempotencyKeyReused(Problem):
    """The key belongs to another request: another method, path or body came under it first."""

    slug, status, code, title = "idempotency-key-reused", 422, 107, "The Idempotency-Key belongs to another request"


class IdempotencyInProgress(Problem):
    """The first request under this key is still being worked on; `retry_after` is in seconds."""

    slug, status, code, temporary = "idempotency-in-progress", 409, 100, True
    title = "The first request under this Idempotency-Key is in progress"

    def __init__(self, detail: str = "", *, retry_after: float = 1.0, **extensions: Any) -> None:
        super().__init__(detail, retry_after=retry_after, **extensions)


class Replay(Exception):
    """The request was answered already: its reply. Over HTTP the guard of the route sends it again."""

    def __init__(self, reply: Reply) -> None:
        super().__init__("answered already")
        self.reply = reply


class Unsettled(RuntimeError):
    """A final reply to what is not settled, which another attempt might answer otherwise: a bug in the route."""
