"""Signing in and confirming by mail or SMS: asking for codes and links, and using them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from corekit.context import Caller, Context
from corekit_auth.addresses import normal_address
from corekit_auth.codes import Used
from corekit_auth.confirming import Confirming, kinds_of, method_of
from corekit_auth.errors import (
    BannedAtSignIn,
    FlowStateNotFound,
    OtpDisabled,
    UnconfirmedAddress,
    ValidationFailed,
)
from corekit_auth.flows import Pkce
from corekit_auth.letters import Letters
from corekit_auth.mails import Mails
from corekit_auth.objects import Grant, with_provider_tokens
from corekit_auth.parts import Parts
from corekit_auth.phones import is_phone
from corekit_auth.purposes import SIGN_IN
from corekit_auth.sending import MAIL, Purpose, Sending

_RESENT: Mapping[tuple[str, bool], Purpose] = MappingProxyType(
    {
        ("signup", False): "confirmation",
        ("email_change", False): "resend_email_change",
        ("sms", True): "confirmation",
        ("phone_change", True): "resend_phone_change",
    }
)
HALF = "Confirmation link accepted. Please proceed to confirm link sent to the other email"
_PREFIX = "pkce_"
_TOKEN_MAX = 128


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """Where a link leads: a session, an auth code for the client that asked, or neither yet."""

    redirect_to: str
    type: str
    grant: Grant | None = None
    auth_code: str = ""


class OneTime:
    """The verbs of codes and links. What they answer, and when, is the same for known and unknown addresses."""

    def __init__(self, parts: Parts) -> None:
        self.mails = Mails(parts.settings)
        self.sending = Sending(parts)
        self._codes = parts.codes
        self._confirming = Confirming(parts)
        self._flows = parts.flows
        self._letters = Letters(parts, self.mails)
        self._redirects = parts.redirects
        self._sessions = parts.sessions
        self._settings = parts.settings
        self._throttle = parts.throttle
        self._users = parts.users

    async def otp(
        self,
        caller: Caller,
        address: str,
        *,
        create_user: bool = True,
        data: Mapping[str, Any] | None = None,
        pkce: Pkce | None = None,
        redirect_to: str | None = None,
        route: str = "otp",
    ) -> UUID:
        """Send a code (by mail with a link) with which one signs in; return what names the message.

        An unknown address becomes an account where that is wanted.
        """
        address = await self._admit(caller, address, route)
        pkce = None if is_phone(address) else pkce  # no link leads back to the client
        more = {"create_user": create_user, "data": self._users.checked_metadata(data or {})}
        await self.sending.charge(caller, address)
        async with caller.system(SIGN_IN).begin() as ctx:
            takes_new = create_user and not self._settings.disable_signup
            if not (self._settings.hide_unknown or takes_new) and await self._users.at(ctx, address) is None:
                raise OtpDisabled
            return await self.sending.write(ctx, "otp", address, pkce=pkce, redirect_to=redirect_to, more=more)

    async def recover(
        self, caller: Caller, email: str, *, pkce: Pkce | None = None, redirect_to: str | None = None
    ) -> None:
        """Send a code and link that begin a session in which a new password may be set."""
        email = await self._admit(caller, email, "recover")
        if is_phone(email):
            raise ValidationFailed("email: a password is set anew by mail alone")
        await self.sending.ask(caller, "recovery", email, pkce=pkce, redirect_to=redirect_to)

    async def resend(self, caller: Caller, type_: str, address: str, *, redirect_to: str | None = None) -> UUID:
        """Send the confirmation of a sign-up, or of a change of address, once more; return what names the message.

        Raises:
            ValidationFailed: there is no such type, or it is not for this kind of address.

        """
        address = await self._admit(caller, address, "resend")
        purpose = _RESENT.get((type_, is_phone(address)))
        if purpose is None:
            raise ValidationFailed("type: one of signup, email_change with email, or sms, phone_change with phone")
        return await self.sending.ask(caller, purpose, address, redirect_to=redirect_to)

    async def reauthenticate(self, caller: Caller) -> tuple[str, UUID]:
        """Send the person who is signed in a code that stands for a fresh sign-in in PUT /user.

        Returns the address or number, and what names the message.

        Raises:
            ValidationFailed: there is no address to send it to.
            UnconfirmedAddress: whose it is, nobody knows.

        """
        caller.demand_free("reauthenticate")
        await self._throttle.otp(caller, "reauthenticate")
        async with caller.begin(readonly=True) as ctx:
            user = (await self._sessions.live(ctx, caller.actor)).user
        address = user.email or user.phone
        if not address:
            raise ValidationFailed("email: Reauthentication requires the user to have an email or a phone number")
        if (user.email_confirmed_at if user.email else user.phone_confirmed_at) is None:
            raise UnconfirmedAddress
        return address, await self.sending.ask(caller, "reauthentication", address, user_id=user.id)

    async def verify(
        self, caller: Caller, type_: str, *, address: str = "", token: str = "", token_hash: str = ""
    ) -> Grant | None:
        """Use a code, by its digits and address or by what its link carries; None: a second one is still to come.

        Raises:
            OtpExpired: wrong, used, too old or tried too often.

        """
        caller.demand_free("verify")
        await self._throttle.verify(caller)
        kinds = kinds_of(type_)
        address = normal_address(address, self._settings) if token else ""
        async with caller.system(SIGN_IN).begin() as ctx:
            if token:
                used = await self._codes.use(ctx, kinds, address, token.strip()[:_TOKEN_MAX])
            else:
                used = await self._codes.use_hash(ctx, kinds, _bare(token_hash))
            confirmed = await self._confirming.confirm(ctx, used)
            if confirmed is None:
                return None
            method = method_of(used, by_link=not token)
            return await self._confirming.begin(ctx, *confirmed, method)

    async def follow(self, caller: Caller, type_: str, token: str, redirect_to: str | None) -> Followed:
        """Use a link; one that a client with a verifier asked for yields an auth code and no session.

        Raises:
            OtpExpired: wrong, used, too old, or its digits were tried too often.

        """
        caller.demand_free("verify")
        await self._throttle.verify(caller)
        where = self._redirects.allowed(redirect_to)
        async with caller.system(SIGN_IN).begin() as ctx:
            used = await self._codes.use_hash(ctx, kinds_of(type_), _bare(token))
            confirmed = await self._confirming.confirm(ctx, used)
            if confirmed is None:
                return Followed(redirect_to=where, type=type_)
            method = method_of(used, by_link=True)
            code = await self._auth_code(ctx, used, method)
            if code:
                return Followed(redirect_to=where, type=type_, auth_code=code)
            return Followed(redirect_to=where, type=type_, grant=await self._confirming.begin(ctx, *confirmed, method))

    async def _auth_code(self, ctx: Context, used: Used, method: str) -> str:
        """Issue the code of a flow that began with a challenge; nobody gets around it by changing the link."""
        change = used.kind in {"email_change_current", "email_change_new"}
        flow = await self._flows.spend(ctx, MAIL, f"email_change.{used.user_id.hex}" if change else used.token_hash)
        if flow is None or flow.pkce is None:
            return ""
        return await self._flows.issue(ctx, flow.id, used.user_id, payload={"method": method})

    async def exchange(self, caller: Caller, auth_code: str, verifier: str) -> Grant:
        """Begin the session of a flow, for the client that began it.

        Raises:
            FlowStateNotFound, FlowStateExpired, BadCodeVerifier: the code, or the client, is another.
            BannedAtSignIn: the account may not do anything now.

        """
        caller.demand_free("exchange")
        await self._throttle.sign_in(caller)
        async with caller.system(SIGN_IN).begin() as ctx:
            flow = await self._flows.exchange(ctx, auth_code, verifier)
            user = await self._users.locked(ctx, flow.user_id) if flow.user_id else None
            if user is None:
                raise FlowStateNotFound
            if user.banned_until is not None and user.banned_until > ctx.now():
                raise BannedAtSignIn
            identities = await self._users.identities(ctx, user.id)
            method = str(flow.payload.get("method", "otp"))
            grant = await self._confirming.begin(ctx, user, identities, method, flow.provider)
        await self._throttle.signed_in(caller)
        return with_provider_tokens(grant, flow.payload)

    async def send(self, caller: Caller, flow_id: UUID) -> None:
        """Do the job that was asked for."""
        await self._letters.send(caller, flow_id)

    async def _admit(self, caller: Caller, address: str, route: str) -> str:
        caller.demand_free(route)
        await self._throttle.otp(caller, route)
        return normal_address(address, self._settings)


def _bare(token_hash: str) -> str:
    return token_hash.strip()[:_TOKEN_MAX].removeprefix(_PREFIX)
