"""Asking for a message: counted, written as one sealed flow, and left to a job, whoever has the address or nobody."""

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from corekit.context import Caller, Context
from corekit.contracts.auth import send_sms
from corekit.contracts.delivery import SmsSender
from corekit.jobs import enqueue
from corekit_auth.errors import SmsSendFailed
from corekit_auth.flows import Pkce
from corekit_auth.parts import Parts
from corekit_auth.phones import is_phone
from corekit_auth.purposes import SIGN_IN

MAIL = "mail"  # the kind of flow, SMS too
_WAIT = 3600  # seconds for which the job may try; the code that it makes has its own time
Purpose = Literal[
    "signup",
    "confirmation",
    "otp",
    "recovery",
    "invite",
    "email_change",
    "resend_email_change",
    "reauthentication",
    "email_changed",
    "phone_change",
    "resend_phone_change",
    "mfa",
]


class Sending:
    """Writes what the job reads; the outbox holds the flow's id alone."""

    def __init__(self, parts: Parts) -> None:
        self._flows = parts.flows
        self._redirects = parts.redirects
        self._send_code = parts.send_code
        self._throttle = parts.throttle

    async def ask(
        self,
        caller: Caller,
        purpose: Purpose,
        address: str,
        *,
        pkce: Pkce | None = None,
        redirect_to: str | None = None,
        user_id: UUID | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> UUID:
        """Count a message to an address or number and ask for it; return what names it."""
        await self.charge(caller, address)
        async with caller.system(SIGN_IN).begin() as ctx:
            return await self.write(
                ctx, purpose, address, pkce=pkce, redirect_to=redirect_to, user_id=user_id, more=more or {}
            )

    async def charge(self, caller: Caller, *addresses: str) -> None:
        """Count a message to each.

        Raises:
            SmsSendFailed: a number, and nothing sends SMS.
            OverEmailRate, OverSmsRate: telling when to come again.

        """
        kit = caller.kit
        if any(map(is_phone, addresses)) and kit.find(SmsSender) is None and not kit.hooks.implementors(send_sms):
            raise SmsSendFailed
        await self._throttle.message_to(caller, *addresses)

    async def write(
        self,
        ctx: Context,
        purpose: Purpose,
        address: str,
        *,
        pkce: Pkce | None = None,
        redirect_to: str | None = None,
        user_id: UUID | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> UUID:
        """Ask for a message in this transaction; whoever calls has counted it."""
        payload = {"purpose": purpose, "address": address, "locale": ctx.caller.locale, **(more or {})}
        flow_id, _ = await self._flows.create(
            ctx,
            MAIL,
            payload=payload,
            pkce=pkce,
            redirect_to=self._redirects.allowed(redirect_to),
            user_id=user_id,
            ttl=_WAIT,
        )
        await enqueue(ctx, self._send_code, flow_id)
        return flow_id
