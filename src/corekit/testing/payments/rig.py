"""What a provider's suite works on: the provider, and a stand-in of its service that can be troubled."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from corekit.contracts.payments import Method, Provider

Trouble = Literal[
    "unreachable",  # nobody listens
    "unauthorized",  # 401
    "forbidden",  # 403
    "throttled",  # 429
    "timeout",  # the call arrives, and no answer comes in time
    "dropped",  # the connection ends in the middle
    "fault",  # 5xx
    "unreadable",  # 200 and something that is no answer
    "too_long",  # an answer without end
    "redirect",  # 302 to somewhere else
    "in_progress",  # the same key is being worked on
    "mismatch",  # the key is known with another call
    "invalid",  # a validation error
    "declined",
    "unmapped",  # a refusal, or state, that no adapter can know
]
Verb = Literal["create", "refund"]
Row = tuple[Trouble, Verb] | Literal["notices"]
NOT_ATTEMPTED: Mapping[Trouble, bool] = {
    "unreachable": False, "throttled": False, "unauthorized": True, "forbidden": True
}  # fmt: skip
UNKNOWN: Mapping[Trouble, bool] = {
    "timeout": False, "dropped": False, "fault": False, "unreadable": False, "too_long": False, "redirect": False,
    "in_progress": False, "unmapped": False, "mismatch": True,
}  # fmt: skip


class ProviderRig(Protocol):
    """A provider of yours before a stand-in of its service, which the suite can trouble and look into."""

    provider: Provider
    currency: str
    method: Method
    addresses: frozenset[tuple[str, int]]  # of its stand-in; none where it needs no network
    secrets: tuple[str, ...]  # what no evidence may hold
    unjudged: Mapping[Row, str]  # the rows of the suite that its stand-in cannot judge, and why

    def trouble(self, kind: Trouble, verb: Verb) -> AbstractAsyncContextManager[Method]:
        """Let calls of a verb meet this inside the block, `create` by the method that it yields.

        It is not asked for what is `unjudged`.
        """
        ...

    async def approve(self, ref: str) -> None:
        """Be the payer of an authorisation that waits for one."""
        ...

    def effects(self) -> list[tuple[str, int]]:
        """List what the service itself says has moved, in minor units: `authorize`, `capture`, `void`, `refund`."""
        ...

    def notices(self) -> list[tuple[dict[str, str], bytes]]:
        """Return notices that the service has signed of what happened, headers and body.

        It is not asked where they are `unjudged`.
        """
        ...
