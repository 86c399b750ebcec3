"""Limits by address and prefix, charged before any context opens and before anything is verified."""

from corekit.context import Caller
from corekit.guard import Limits, address_key, prefix_key
from corekit_auth.errors import OverRequestRate
from corekit_auth.settings import AuthSettings


class Throttle:
    """The classes of `[auth]`; a caller without a network address (an embedder's) is not limited here."""

    def __init__(self, settings: AuthSettings) -> None:
        self._rules = settings.rules

    async def sign_in(self, caller: Caller) -> None:
        """Charge an attempt to sign in, to its address and to its neighbourhood (sprays).

        Raises:
            OverRequestRate: telling when to come again.

        """
        await self._hit(caller, "token", address_key(caller.client.address))
        await self._hit(caller, "prefix_failure", prefix_key(caller.client.address))

    async def signed_in(self, caller: Caller) -> None:
        """Give back what the successful attempt was charged, and no more."""
        if address := caller.client.address:
            limits = caller.kit.get(Limits)
            await limits.refund(self._rules["token"], address_key(address))
            await limits.refund(self._rules["prefix_failure"], prefix_key(address))

    async def otp(self, caller: Caller) -> None:
        """Charge a sign-up or a change of the own account.

        Raises:
            OverRequestRate: telling when to come again.

        """
        await self._hit(caller, "otp", address_key(caller.client.address))

    async def passkey(self, caller: Caller) -> None:
        """Charge the question for a passkey, or an answer to it.

        Raises:
            OverRequestRate: telling when to come again.

        """
        await self._hit(caller, "passkey", address_key(caller.client.address))

    async def forged(self, caller: Caller) -> None:
        """Charge a refresh token that failed its MAC; genuine ones are never charged to an address.

        Raises:
            OverRequestRate: telling when to come again.

        """
        await self._hit(caller, "refresh", address_key(caller.client.address))

    async def may_rotate(self, caller: Caller, session_id: str) -> bool:
        """Charge a rotation to its session; over the limit the session keeps its token."""
        decision = await caller.kit.get(Limits).hit(self._rules["session_refresh"], session_id)
        return decision.allowed

    async def _hit(self, caller: Caller, name: str, key: str) -> None:
        if not caller.client.address:
            return
        decision = await caller.kit.get(Limits).hit(self._rules[name], key)
        if not decision.allowed:
            raise OverRequestRate(retry_after=decision.retry_after)
