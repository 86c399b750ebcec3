"""What the store speaks of: a claim, and a reply."""

from typing import Literal
from uuid import UUID

import msgspec

State = Literal["running", "settled", "done"]


class Claim(msgspec.Struct, frozen=True):
    """A hold on a key for the time of a lease.

    Without a `resource` nothing has been made under the key: do it. With one it is there already, from an attempt that
    sent no reply: go on with it, or, where the state is `settled`, only say how it ended. `token` fences out who held
    the key before.
    """

    id: UUID
    principal: UUID
    token: int
    state: State = "running"
    resource: str | None = None


class Reply(msgspec.Struct, frozen=True):
    """What was answered: HTTP's status, the headers that are kept, the body to the byte."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
