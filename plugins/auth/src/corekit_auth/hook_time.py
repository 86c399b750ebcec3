"""How long others' hooks may take: a sign-in does not wait for them for ever."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from corekit_auth.errors import AuthProblem, HookTimeout

T = TypeVar("T")


async def in_time(seconds: float, call: Awaitable[T], late: type[AuthProblem] = HookTimeout) -> T:
    """Await a hook, and raise `late` where it takes longer; what it began is rolled back with the rest."""
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            return await call
    except TimeoutError:
        if not deadline.expired():
            raise
        raise late from None
