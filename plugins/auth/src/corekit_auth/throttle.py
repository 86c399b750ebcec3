"""Limits by address and prefix, charged before any context opens and before anything is verified."""

from corekit.context import Caller
from corekit.guard import Limits, address_key, prefix_key
from corekit_auth.errors import OverEmailRate, Overloaded, OverRequestRate, OverSmsRate, ValidationFailed
from corekit_auth.phones import is_phone
from corekit_auth.settings import AuthSettings


class Throttle:
    """The classes of `[auth]`; a caller without a network address (an embedder's) is not limited here."""

    def __init__(self, settings: AuthSettings) -> None:
        self._rules = settings.rules
        self._prefixes = tuple(settings.sms_prefixes)

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

    async def otp(self, caller: Caller, route: str = "") -> None:
        """Charge what may send a code, or hashes a password; each route counts for itself.

        Raises:
            OverRequestRate: telling when to come again.

        """
        await self._hit(caller, "otp", f"{route}:{address_key(caller.client.address)}")

    async def verify(self, caller: Caller) -> None:
        """Charge an attempt to use a code.

        Raises:
            OverRequestRate: telling when to come again.

        """
        await self._hit(caller, "verify", address_key(caller.client.address))

    async def message_to(self, caller: Caller, *addresses: str) -> None:
        """Charge a message to each address or number, before anybody looks who has it, and to the whole server.

        Raises:
            OverEmailRate, OverSmsRate: telling when to come again.
            ValidationFailed: numbers of that country get no SMS.

        """
        limits = caller.kit.get(Limits)
        for address in addresses:
            phone = is_phone(address)
            if phone and self._prefixes and not address.startswith(self._prefixes):
                raise ValidationFailed("phone: no SMS are sent to numbers of this country")
            every = "sms" if phone else "mail"
            for name, key in (("address_interval", address), ("address_hourly", address), (every, "all")):
                decision = await limits.hit(self._rules[name], key)
                if not decision.allowed:
                    raise (OverSmsRate if phone else OverEmailRate)(retry_after=decision.retry_after)

    async def anonymous(self, caller: Caller) -> None:
        """Charge a sign-up without an address.

        Raises:
            OverRequestRate: telling when to come again.

        """
        await self._hit(caller, "anonymous", address_key(caller.client.address))

    async def mfa(self, caller: Caller) -> None:
        """Charge a challenge of a second factor, or an answer to one.

        Raises:
            OverRequestRate: telling when to come again.

        """
        await self._hit(caller, "mfa", address_key(caller.client.address))

    async def social(self, caller: Caller) -> None:
        """Charge a departure to a provider.

        Raises:
            OverRequestRate: telling when to come again.

        """
        await self._hit(caller, "token", address_key(caller.client.address))

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

    async def legacy(self, caller: Caller) -> None:
        """Charge a refresh token of version 1 before it is looked for, for it is short enough to be guessed at.

        Raises:
            Overloaded: telling when to come again; anything else would end the session of who holds a good one.

        """
        if address := caller.client.address:
            decision = await caller.kit.get(Limits).hit(self._rules["refresh"], address_key(address))
            if not decision.allowed:
                raise Overloaded(retry_after=decision.retry_after)

    async def legacy_found(self, caller: Caller) -> None:
        """Give back what a good token of version 1 was charged."""
        if address := caller.client.address:
            await caller.kit.get(Limits).refund(self._rules["refresh"], address_key(address))

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
