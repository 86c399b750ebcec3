"""The service behind the contract `Auth`, and the verbs of the sign-in protocol; each noun has a module."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal
from uuid import UUID

from corekit.context import Actor, Caller, Context, Kit
from corekit.contracts.auth import Auth, Denied, EndReason, SessionInfo, TokenPair, User
from corekit_auth.accounts import Accounts, Changes
from corekit_auth.errors import UserNotFound
from corekit_auth.gate import Gate, session_of
from corekit_auth.hashing import Hasher
from corekit_auth.keys import Keys
from corekit_auth.objects import Grant, UserObject
from corekit_auth.parts import Parts
from corekit_auth.passkeys import Passkeys
from corekit_auth.purposes import DIRECTORY
from corekit_auth.refreshing import Refreshing
from corekit_auth.revocations import Revocations
from corekit_auth.settings import AuthSettings
from corekit_auth.sign_in import SignIn
from corekit_auth.sign_up import SignUp
from corekit_auth.users import normal_email, shared

Scope = Literal["global", "local", "others"]


class AuthService(Auth):
    """Accounts, sessions and tokens, without HTTP."""

    def __init__(
        self, kit: Kit, settings: AuthSettings, *, keys: Keys, hasher: Hasher, revocations: Revocations
    ) -> None:
        verifier = keys.verifier(settings, now=lambda: kit.clock.now().timestamp())
        self.settings = settings
        self.keys = keys
        self.parts = parts = Parts.of(kit, settings, keys=keys, hasher=hasher, revocations=revocations)
        self._gate = Gate(kit, settings, verifier, revocations)
        self._users, self._sessions, self._tokens = parts.users, parts.sessions, parts.tokens
        self._sign_up = SignUp(parts)
        self._sign_in = SignIn(parts)
        self._refreshing = Refreshing(parts)
        self._accounts = Accounts(parts)
        self.passkeys = Passkeys(parts)

    async def sign_up(self, caller: Caller, *, email: str, password: str) -> TokenPair:
        """Make an account whose address is confirmed at once, and sign it in."""
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

    async def find(self, ctx: Context, *, email: str) -> User | None:
        """Return the account with this address."""
        async with _directory(ctx) as elevated:
            row = await self._users.by_email(elevated, normal_email(email))
        return shared(row) if row else None

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
        return _pair(self._tokens.grant(user, [], session, key, ctx.now()))

    async def authenticate(self, token: str) -> Actor | Denied | None:
        """Tell who a token speaks for; None = not ours, Denied = ours and refused."""
        return await self._gate.authenticate(token)

    def bearer(self, token: str) -> Actor:
        """Tell who a token speaks for, for verbs that read the session themselves (NoAuthorization, BadJwt)."""
        return self._gate.bearer(token)

    def sign_up_open(self, env: str) -> bool:
        """Tell whether anybody can sign up."""
        return self._sign_up.open(env)

    async def grant_by_sign_up(self, caller: Caller, email: str, password: str, metadata: Mapping[str, Any]) -> Grant:
        """Make an account and begin its first session."""
        return await self._sign_up.with_password(caller, email, password, metadata)

    async def grant_by_password(self, caller: Caller, email: str, password: str) -> Grant:
        """Begin a session with a password."""
        return await self._sign_in.with_password(caller, email, password)

    async def grant_by_refresh(self, caller: Caller, refresh_token: str) -> Grant:
        """Go on with a session."""
        return await self._refreshing.refresh(caller, refresh_token)

    async def me(self, ctx: Context) -> UserObject:
        """Return the account of who asks."""
        return await self._accounts.me(ctx)

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
