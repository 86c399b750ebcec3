"""Rates: how often a person, or a conversation, may do what."""

from typing import Literal
from uuid import UUID

from corekit.errors import TooMany
from corekit.guard import MemoryLimits
from corekit.values import Clock
from corekit_chat.settings import ChatSettings

What = Literal["send", "conversation", "history", "create", "invite"]


class Rates:
    """The rules of `[chat]`, counted in this process: a shared count would cost every send a write of its own."""

    def __init__(self, settings: ChatSettings, clock: Clock) -> None:
        self._on = settings.limits
        self._limits = MemoryLimits(clock)
        self._rules = {what: settings.rule(what) for what in ("send", "conversation", "history", "create", "invite")}

    async def charge(self, what: What, key: UUID) -> None:
        """Charge once.

        Raises:
            TooMany: telling when to come again.

        """
        if not self._on:
            return
        decision = await self._limits.hit(self._rules[what], key.hex)
        if not decision.allowed:
            raise TooMany(f"the rate of {what} is limited", retry_after=decision.retry_after)

    async def refund(self, what: What, key: UUID) -> None:
        """Give one charge back."""
        if self._on:
            await self._limits.refund(self._rules[what], key.hex)
