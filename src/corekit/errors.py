"""What can go wrong, as data: one class per problem, one shape on every wire (RFC 9457)."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

PREFIX = "urn:corekit:problem:"


class Problem(Exception):
    """A refusal or fault that a caller can read: problem+json over HTTP, an error code on a socket.

    A subclass names `slug` (its type URI and its page in the docs), `status` (HTTP), `code` (realtime, see
    `contracts/realtime.py`) and `title`. Keyword arguments become extension members of the body (RFC 9457 §3.2).
    Raised inside a context it rolls the work back.
    """

    slug: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    code: ClassVar[int] = 100
    temporary: ClassVar[bool] = False
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(
        self,
        detail: str = "",
        *,
        pointer: str | None = None,
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.headers = dict(headers or {})
        self.extensions = extensions if pointer is None else {"pointer": pointer, **extensions}
        if retry_after := extensions.get("retry_after"):
            self.headers.setdefault("Retry-After", str(max(1, math.ceil(retry_after))))

    def body(self) -> dict[str, Any]:
        """Return the members of the problem document (RFC 9457 §3)."""
        members = {"type": PREFIX + self.slug, "title": self.title, "status": self.status, "code": self.code}
        return members | ({"detail": self.detail} if self.detail else {}) | self.extensions


class Refused(Problem):
    """The one problem whose work is committed first: what it counted or audited stays, then it is raised again.

    Raise it only before anything but counters and audit was written.
    """

    slug, status, code, title = "refused", 403, 103, "Refused"


class Invalid(Problem):
    """Input that does not fit; `pointer` names the field (a JSON Pointer, RFC 6901)."""

    slug, status, code, title = "invalid", 422, 107, "The input does not fit"


class Unauthenticated(Problem):
    """No valid proof of who is asking."""

    slug, status, code, title = "unauthenticated", 401, 101, "Sign in first"

    def __init__(self, detail: str = "", *, challenge: str = "Bearer", **extensions: Any) -> None:
        super().__init__(detail, **extensions)
        self.headers.setdefault("WWW-Authenticate", challenge)


class Forbidden(Problem):
    """Known, but not allowed."""

    slug, status, code, title = "forbidden", 403, 103, "Not allowed"


class NotFound(Problem):
    """It does not exist, or the caller may not know that it does."""

    slug, status, code, title = "not-found", 404, 102, "Not found"


class Conflict(Problem):
    """It contradicts what is there."""

    slug, status, code, title = "conflict", 409, 107, "Conflict"


class TooLarge(Problem):
    """More bytes or items than this place takes."""

    slug, status, code, title = "too-large", 413, 107, "Too large"


class TooMany(Problem):
    """A rate limit; `retry_after` is in seconds."""

    slug, status, code, temporary, title = "too-many-requests", 429, 111, True, "Too many requests"

    def __init__(self, detail: str = "", *, retry_after: float = 1.0, **extensions: Any) -> None:
        super().__init__(detail, retry_after=retry_after, **extensions)


class Unavailable(Problem):
    """Overloaded, draining or without its database; trying again later may work."""

    slug, status, code, temporary, title = "unavailable", 503, 100, True, "Not available now"

    def __init__(self, detail: str = "", *, retry_after: float = 1.0, **extensions: Any) -> None:
        super().__init__(detail, retry_after=retry_after, **extensions)


class InsideContext(RuntimeError):
    """A context, a lane or a caller verb was opened while this task already holds a context: a bug in the caller."""


class ReadonlyContext(RuntimeError):
    """Something was written in a readonly context, where it would never be stored: a bug in the caller."""


class DecryptFailed(RuntimeError):
    """A stored secret cannot be read: its key is unknown or its tag is wrong. Never carries the ciphertext."""


class PluginError(Exception):
    """The plugins do not fit together: a requirement missing, double or circular, a hook misused."""


class ConfigError(Exception):
    """The configuration cannot be used; the command line exits with 2."""


class SchemaError(Exception):
    """The database's schema does not fit this code; the command line exits with 3."""


class WorkersFailed(Exception):
    """No process of `corekit serve --workers` stays up; the command line exits with 4."""
