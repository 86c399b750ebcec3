"""People without an address: an account that lives on one device, until it is given one."""

from collections.abc import Mapping
from typing import Any

from corekit.context import Caller, Context
from corekit.contracts.auth import UserDraft
from corekit.values import uuid7
from corekit_auth.errors import AnonymousDisabled, SignupDisabled
from corekit_auth.models import UserRow
from corekit_auth.objects import Grant
from corekit_auth.parts import Parts
from corekit_auth.purposes import SIGN_IN

METHOD = "anonymous"


class Anonymous:
    """Takes in whoever names no address, where `anonymous` is on."""

    def __init__(self, parts: Parts) -> None:
        self._settings = parts.settings
        self._sessions = parts.sessions
        self._throttle = parts.throttle
        self._tokens = parts.tokens
        self._users = parts.users

    async def sign_up(self, caller: Caller, metadata: Mapping[str, Any]) -> Grant:
        """Make an account without an address and sign it in; whoever loses its tokens loses it.

        Raises:
            OverRequestRate: too many from this address.
            AnonymousDisabled, SignupDisabled: it is off, or nobody new is taken.

        """
        caller.demand_free("sign_up")
        await self._throttle.anonymous(caller)
        if not self._settings.anonymous:
            raise AnonymousDisabled
        if self._settings.disable_signup:
            raise SignupDisabled
        metadata = self._users.checked_metadata(metadata)
        async with caller.system(SIGN_IN).begin() as ctx:
            draft = UserDraft(
                id=uuid7(), provider=METHOD, role=self._settings.role, app_metadata={}, user_metadata=metadata
            )
            user = self._row(ctx, await self._users.asked(ctx, draft))
            ctx.session.add(user)
            await ctx.session.flush()
            await self._users.made(ctx, user)
            session, key = await self._sessions.begin(ctx, user, METHOD)
            return await self._tokens.grant(ctx, user, [], session, key)

    def _row(self, ctx: Context, draft: UserDraft) -> UserRow:
        return UserRow(
            id=draft.id,
            aud=self._settings.aud,
            role=draft.role,
            app_metadata=draft.app_metadata,
            user_metadata=draft.user_metadata,
            is_anonymous=True,
            created_at=ctx.now(),
            updated_at=ctx.now(),
        )
