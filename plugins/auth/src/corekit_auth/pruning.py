"""Deleting what has run out."""

from datetime import timedelta

from sqlalchemy import delete

from corekit.context import Context
from corekit.data.base import to_micros
from corekit_auth.factors import abandoned
from corekit_auth.failures import STALE
from corekit_auth.models import (
    ChallengeRow,
    FactorRow,
    FailureRow,
    FlowStateRow,
    OneTimeTokenRow,
    PasskeyChallengeRow,
    RevocationRow,
)
from corekit_auth.settings import AuthSettings

_MARGIN = timedelta(hours=1)


async def prune(ctx: Context, settings: AuthSettings) -> None:
    """Delete revocations of ended tokens, failures that count for nothing, codes, flows and factors of the past."""
    over = ctx.now() - timedelta(seconds=settings.access_ttl) - _MARGIN
    stale = to_micros(ctx.now() - timedelta(seconds=STALE))
    await ctx.session.execute(delete(RevocationRow).where(RevocationRow.created_at < over))
    for row in (OneTimeTokenRow, FlowStateRow):
        await ctx.session.execute(delete(row).where(row.expires_at < ctx.now() - _MARGIN))
    await ctx.session.execute(delete(FailureRow).where(FailureRow.blocked_until < stale))
    await ctx.session.execute(delete(FactorRow).where(abandoned(ctx)))
    await ctx.session.execute(delete(ChallengeRow).where(ChallengeRow.expires_at < ctx.now()))
    await ctx.session.execute(delete(PasskeyChallengeRow).where(PasskeyChallengeRow.expires_at < ctx.now()))
