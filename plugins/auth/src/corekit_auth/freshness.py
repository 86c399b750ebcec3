"""Statement 11: what one signs in with is changed only after a sign-in that is strong and fresh enough."""

from sqlalchemy import exists, select

from corekit.context import Context
from corekit_auth.errors import Aal2Needed, AuthProblem, InsufficientAal, ReauthenticationNeeded, StaleSignIn
from corekit_auth.models import FactorRow
from corekit_auth.sessions import Account
from corekit_auth.settings import AuthSettings


class Freshness:
    """Asks for aal2 where the person has a second factor, and for a sign-in of the last quarter of an hour."""

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings

    async def has_factor(self, ctx: Context, account: Account) -> bool:
        """Tell whether a second factor is verified."""
        verified = exists(
            select(FactorRow.id).where(FactorRow.user_id == account.user.id, FactorRow.status == "verified")
        )
        return bool(await ctx.session.scalar(select(verified)))

    async def demand_strong(self, ctx: Context, account: Account, *, user_route: bool = False) -> None:
        """Refuse aal1 where a second factor is there; PUT /user (`user_route`) answers so with 401.

        Raises:
            InsufficientAal, Aal2Needed: the session has to pass its second factor first.

        """
        if account.session.aal == 1 and await self.has_factor(ctx, account):
            raise Aal2Needed if user_route else InsufficientAal

    async def demand(self, ctx: Context, account: Account, *, user_route: bool = False, proved: bool = False) -> None:
        """Refuse a session too weak or too old; `user_route` answers as PUT /user does, `proved` asks for no fresh one.

        Raises:
            InsufficientAal, Aal2Needed: the session has to pass its second factor first.
            StaleSignIn, ReauthenticationNeeded: the last proof is too long ago.

        """
        await self.demand_strong(ctx, account, user_route=user_route)
        stale: type[AuthProblem] = ReauthenticationNeeded if user_route else StaleSignIn
        if not proved and not self.fresh(ctx, account):
            raise stale

    def fresh(self, ctx: Context, account: Account) -> bool:
        """Tell whether the last proof of this session is recent; `fresh_sign_in = 0` asks for none."""
        limit = self._settings.fresh_sign_in
        signed_in = max((step["timestamp"] for step in account.session.amr), default=0)
        return limit == 0 or ctx.now().timestamp() - signed_in <= limit
