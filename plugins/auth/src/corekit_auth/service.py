"""The service behind the contract `Auth`, and the verbs of the sign-in protocol; each noun has a module."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from corekit.context import Actor, Caller, Context
from corekit.contracts.auth import Auth, Denied, EndReason, SessionInfo, TokenPair, User
from corekit_auth.accounts import Accounts, Changes
from corekit_auth.admin import Admin
from corekit_auth.admin_factors import AdminFactors
from corekit_auth.admission import Admission
from corekit_auth.anonymous import Anonymous
from corekit_auth.captcha import Captcha, SiteVerify
from corekit_auth.closing import Closing
from corekit_auth.errors import EmailNotConfirmed, UserNotFound, ValidationFailed
from corekit_auth.factors import Factors
from corekit_auth.flows import Pkce
from corekit_auth.gate import Gate, session_of
from corekit_auth.generating import Generating
from corekit_auth.key_ring import KeyRing
from corekit_auth.notices import Notices
from corekit_auth.objects import Grant, UserObject
from corekit_auth.one_time import OneTime
from corekit_auth.outside import Outside
from corekit_auth.own_events import OwnEvents
from corekit_auth.own_sessions import OwnSessions
from corekit_auth.parts import Parts
from corekit_auth.passkeys import Passkeys
from corekit_auth.phones import normal_phone
from corekit_auth.purposes import DIRECTORY
from corekit_auth.recovery import RecoveryCodes
from corekit_auth.refreshing import Refreshing
from corekit_auth.service_keys import ServiceKeys
from corekit_auth.sign_in import SignIn
from corekit_auth.sign_up import SignUp
from corekit_auth.social import Social
from corekit_auth.users import normal_email, shared

Scope = Literal["global", "local", "others"]


class AuthService(Auth):
    """Accounts, sessions and tokens, without HTTP."""

    def __init__(self, parts: Parts, service_keys: ServiceKeys) -> None:
        settings = parts.settings
        self.parts, self.settings, self.keys = parts, settings, parts.keys
        revocations = parts.revocations
        self._gate = Gate(parts.kit, settings, keys=self.keys, revocations=revocations, service_keys=service_keys)
        self.key_ring = KeyRing(settings)
        self.service_keys = service_keys
        self.admission = Admission(parts, self._gate)
        self._closing = Closing(parts)
        self.admin = Admin(parts, self._closing)
        self.admin_factors = AdminFactors()
        self.anonymous = Anonymous(parts)
        self.own_events = OwnEvents(parts)
        self.own_sessions = OwnSessions(parts)
        self._users, self._sessions, self._tokens = parts.users, parts.sessions, parts.tokens
        self._sign_up = SignUp(parts)
        self._sign_in = SignIn(parts)
        self._refreshing = Refreshing(parts)
        self._accounts = Accounts(parts)
        self.one_time = OneTime(parts)
        self.generating = Generating(parts, self.one_time.mails)
        self.notices = Notices(parts, self.one_time.mails)
        self.factors = Factors(parts)
        self.recovery_codes = RecoveryCodes(parts)
        self.social = Social(parts)
        self._outside = Outside(parts.kit.clock)
        self.captcha: Captcha = SiteVerify(settings, self._outside)
        self.passkeys = Passkeys(parts)

    async def close(self) -> None:
        """Close the connections to other people's servers."""
        await self.social.close()
        await self._outside.close()
        await self.parts.rules.close()

    async def sign_up(self, caller: Caller, *, email: str, password: str) -> TokenPair:
        """Make an account whose address is confirmed at once, and sign it in.

        Raises:
            EmailNotConfirmed: the account is made, and waits for the code that was mailed.

        """
        return _pair(await self.grant_by_sign_up(caller, email, password, {}))

    async def sign_in(self, caller: Caller, *, email: str, password: str) -> TokenPair:
        """Sign in with a password."""
        return _pair(await self.grant_by_password(caller, email, password))

    async def user(self, ctx: Context, user_id: UUID) -> User | None:
        """Return one account."""
        return (await self.users(ctx, [user_id])).get(user_id)

    async def users(self, ctx: Context, user_ids: Iterable[UUID]) -> dict[UUID, User]:
        """Return the accounts that exist, by id."""
        async with _directory(ctx) as elevated:
            return {row.id: shared(row) for row in await self._users.by_id(elevated, user_ids)}

    async def find(self, ctx: Context, *, email: str = "", phone: str = "") -> User | None:
        """Return the account with this address, or with this number."""
        if bool(email) == bool(phone):
            raise ValidationFailed("email, phone: exactly one of them")
        async with _directory(ctx) as elevated:
            if email:
                row = await self._users.by_email(elevated, normal_email(email))
            else:
                row = await self._users.by_phone(elevated, normal_phone(phone))
        return shared(row) if row else None

    async def ban(self, ctx: Context, user_id: UUID, until: datetime | None) -> None:
        """Ban an account until then, which ends its sessions; None lifts the ban."""
        await self._closing.ban(ctx, user_id, until)

    async def delete(self, ctx: Context, user_id: UUID, *, soft: bool = False) -> None:
        """Delete an account and all that auth knows of it; `soft` keeps a row that says that it was there."""
        await self._closing.delete(ctx, user_id, soft=soft)

    async def sessions(self, ctx: Context, user_id: UUID) -> list[SessionInfo]:
        """Return the live sessions of a user, newest first."""
        return await self._sessions.infos(ctx, user_id)

    async def end_sessions(
        self, ctx: Context, user_id: UUID, *, except_: UUID | None = None, reason: EndReason = "admin"
    ) -> int:
        """End all sessions of a user but one; return how many ended. They are refused from the commit on."""
        return len(await self._sessions.end(ctx, user_id, reason, except_=except_))

    async def issue(self, ctx: Context, user_id: UUID, *, method: str = "password") -> TokenPair:
        """Begin a session without a proof: for tests and importers, under an elevated purpose.

        Raises:
            UserNotFound: there is no such account.

        """
        user = next(iter(await self._users.by_id(ctx, [user_id])), None)
        if user is None:
            raise UserNotFound
        session, key = await self._sessions.begin(ctx, user, method)
        return _pair(await self._tokens.grant(ctx, user, [], session, key))

    async def authenticate(self, token: str) -> Actor | Denied | None:
        """Tell who a token speaks for; None = not ours, Denied = ours and refused."""
        return await self._gate.authenticate(token)

    def bearer(self, token: str) -> Actor:
        """Tell who a token speaks for, for verbs that read the session themselves (NoAuthorization, BadJwt)."""
        return self._gate.bearer(token)

    def sign_up_open(self) -> bool:
        """Tell whether anybody can sign up."""
        return not self.settings.disable_signup

    async def grant_by_sign_up(self, caller: Caller, email: str, password: str, metadata: Mapping[str, Any]) -> Grant:
        """Make an account and begin its first session (EmailNotConfirmed where its address is to be confirmed)."""
        made = await self.sign_up_with_password(caller, email, password, metadata)
        if not isinstance(made, Grant):
            raise EmailNotConfirmed
        return made

    async def sign_up_with_password(
        self,
        caller: Caller,
        email: str,
        password: str,
        metadata: Mapping[str, Any],
        *,
        pkce: Pkce | None = None,
        redirect_to: str | None = None,
    ) -> Grant | UserObject:
        """Make an account: with its first session, or, where its address is to be confirmed, without one."""
        return await self._sign_up.with_password(caller, email, password, metadata, pkce=pkce, redirect_to=redirect_to)

    async def grant_by_password(self, caller: Caller, email: str, password: str) -> Grant:
        """Begin a session with a password."""
        return await self._sign_in.with_password(caller, email, password)

    async def grant_by_refresh(self, caller: Caller, refresh_token: str) -> Grant:
        """Go on with a session."""
        return await self._refreshing.refresh(caller, refresh_token)

    async def me(self, caller: Caller) -> UserObject:
        """Return the account of who asks."""
        return await self._accounts.me(caller)

    async def update_user(self, caller: Caller, changes: Changes) -> UserObject:
        """Change the account of who asks."""
        return await self._accounts.update(caller, changes)

    async def sign_out(self, ctx: Context, scope: Scope = "global") -> None:
        """End the session of who asks, all of theirs, or all others."""
        person = ctx.on_behalf_of or ctx.actor
        account = await self._sessions.live(ctx, person)
        mine = session_of(person)
        if scope == "global":
            await self._sessions.end(ctx, account.user.id, "global")
        elif scope == "local":
            await self._sessions.end(ctx, account.user.id, "logout", only=mine)
        else:
            await self._sessions.end(ctx, account.user.id, "others", except_=mine)


@asynccontextmanager
async def _directory(ctx: Context) -> AsyncGenerator[Context]:
    """Give a context that may read everybody's account: this one, or another beside it."""
    if ctx.actor.kind == "system":
        yield ctx
        return
    async with ctx.caller.system(DIRECTORY).begin(readonly=True) as elevated:
        yield elevated


def _pair(grant: Grant) -> TokenPair:
    return TokenPair(
        user_id=grant.session.user.id,
        access_token=grant.session.access_token,
        refresh_token=grant.session.refresh_token,
        expires_in=grant.session.expires_in,
        session_id=grant.session_id,
    )
