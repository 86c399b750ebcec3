"""An answer to the question for a second factor: one context, in which wrong answers count and hooks have a say."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec

from corekit.context import Actor, Caller, Context
from corekit.contracts.auth import Attempt, mfa_verification_attempt
from corekit_auth.errors import VerificationRejected
from corekit_auth.hook_time import in_time
from corekit_auth.objects import Grant
from corekit_auth.parts import Parts
from corekit_auth.purposes import SIGN_IN
from corekit_auth.sessions import Account


class Answers:
    """What every kind of second factor does alike."""

    def __init__(self, parts: Parts) -> None:
        self._hook_timeout = parts.settings.hook_timeout
        self._sessions = parts.sessions
        self._tokens = parts.tokens
        self._users = parts.users

    @asynccontextmanager
    async def context(self, caller: Caller) -> AsyncGenerator[Context]:
        """Open the context of an answer; where a hook wants the person signed out, that follows in one of its own."""
        try:
            async with caller.system(SIGN_IN).begin() as ctx:
                yield ctx
        except VerificationRejected as rejected:
            if rejected.end_sessions:
                async with caller.system(SIGN_IN).begin() as ctx:
                    await self._sessions.end(ctx, caller.actor.id, "mfa")
            raise

    async def account(self, ctx: Context, person: Actor) -> Account:
        """Read the account of who answers; what concerns its second factors goes one after the other."""
        await self._users.locked(ctx, person.id)
        return await self._sessions.live(ctx, person)

    async def judge(self, ctx: Context, attempt: Attempt) -> None:
        """Ask whoever watches.

        Raises:
            VerificationRejected: one of them said no.
            HookTimeout: one of them took too long.

        """
        no = await in_time(self._hook_timeout, ctx.kit.hooks.first(mfa_verification_attempt, attempt, ctx))
        if no is not None:
            raise VerificationRejected(no.message, end_sessions=no.end_sessions)

    async def grant(self, ctx: Context, account: Account) -> Grant:
        """Hand out the session that was lifted."""
        factors = await self._users.factors(ctx, account.user.id)
        session = account.session
        grant = await self._tokens.grant(
            ctx,
            account.user,
            account.identities,
            session,
            session.hmac_key,
            factors=factors,
            counter=session.counter,
        )
        return msgspec.structs.replace(grant, rotated=True)
