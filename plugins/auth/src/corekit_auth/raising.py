"""What a second factor does to the session that passed it, and what takes that away again."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select

from corekit.context import Context
from corekit_auth.errors import SessionNotFound
from corekit_auth.models import SessionRow
from corekit_auth.records import Record
from corekit_auth.sessions import Account, Sessions, step
from corekit_auth.settings import AuthSettings

Steps = list[dict[str, Any]]
_SECOND = frozenset(("totp", "mfa/phone", "mfa/webauthn", "recovery_code"))


class Raising:
    """Lifts a session to aal2, and drops it."""

    def __init__(self, settings: AuthSettings, sessions: Sessions) -> None:
        self._settings = settings
        self._sessions = sessions

    async def lift(self, ctx: Context, account: Account, method: str, factor_id: UUID | None = None) -> Account:
        """Make a session aal2 and end the user's others at aal1.

        Its refresh tokens of before stay below the floor: none of them is ever answered with one of an aal2 session.
        """
        mine = select(SessionRow).where(SessionRow.id == account.session.id).with_for_update()
        session = await ctx.session.scalar(mine.execution_options(populate_existing=True))
        if session is None:
            raise SessionNotFound
        now = ctx.now()
        session.counter += 2
        session.counter_floor = session.counter
        session.aal, session.factor_id = 2, factor_id
        session.amr = [step(method, now), *session.amr]
        session.refreshed_at = session.updated_at = now
        await ctx.session.flush()
        await self._sessions.end(ctx, account.user.id, "mfa", except_=session.id, aal=1)
        return msgspec.structs.replace(account, session=session)

    async def drop(self, ctx: Context, user_id: UUID, factor_id: UUID) -> None:
        """Take back what a factor that is removed has lifted."""
        lifted = select(SessionRow).where(SessionRow.user_id == user_id, SessionRow.factor_id == factor_id)
        for session in await ctx.session.scalars(lifted.with_for_update()):
            session.amr = without_second(session.amr)
            session.aal, session.factor_id = self.aal_of(session.amr), None
            session.updated_at = ctx.now()
        await ctx.session.flush()

    def aal_of(self, amr: Iterable[dict[str, Any]]) -> int:
        """Tell what the steps of a sign-in come to."""
        methods = {one["method"] for one in amr}
        return max(2 if methods & _SECOND else 1, self._settings.passkey_aal if "passkey" in methods else 1)

    def worn(self, account: Record, now: datetime) -> dict[str, Any]:
        """Return what a refresh writes where an administrator passed their second factor too long ago (statement 14).

        The session, as it was read, is at aal1 at once.
        """
        session, life = account.session, self._settings.admin_aal2_life
        if life == 0 or session.aal == 1 or account.user.role not in self._settings.admin_roles:
            return {}
        passed = max((one["timestamp"] for one in session.amr if self.aal_of([one]) > 1), default=0)
        if now.timestamp() - passed < life:
            return {}
        session.aal, session.factor_id, session.amr = 1, None, without_second(session.amr)
        return {"aal": 1, "factor_id": None, "amr": session.amr}


def without_second(amr: Iterable[dict[str, Any]]) -> Steps:
    """Leave out the steps of second factors."""
    return [one for one in amr if one["method"] not in _SECOND]
