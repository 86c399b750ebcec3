"""The challenges of passkeys: put once, answered once."""

import os
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import delete

from corekit.context import Context
from corekit.values import uuid7
from corekit_auth.errors import PasskeyChallengeExpired, PasskeyChallengeNotFound
from corekit_auth.models import PasskeyChallengeRow

CHALLENGE_BYTES = 32
Kind = Literal["registration", "authentication"]


class Put(msgspec.Struct, frozen=True):
    """A challenge that waits for its answer."""

    id: UUID
    challenge: bytes
    expires_at: datetime


class Spent(msgspec.Struct, frozen=True):
    """A challenge that was taken away, or that there was none."""

    challenge: bytes | None
    expires_at: datetime | None

    def open(self, now: datetime) -> bytes:
        """Return the challenge.

        Raises:
            PasskeyChallengeNotFound, PasskeyChallengeExpired: it was answered before, or too late.

        """
        if self.challenge is None or self.expires_at is None:
            raise PasskeyChallengeNotFound
        if self.expires_at <= now:
            raise PasskeyChallengeExpired
        return self.challenge


class PasskeyChallenges:
    """Puts and spends challenges; `life` is in seconds."""

    def __init__(self, life: float) -> None:
        self._life = timedelta(seconds=life)

    def put(self, ctx: Context, kind: Kind, user_id: UUID | None) -> Put:
        """Make a challenge, for one person or for whoever answers."""
        row = PasskeyChallengeRow(
            id=uuid7(),
            challenge=os.urandom(CHALLENGE_BYTES),
            kind=kind,
            user_id=user_id,
            expires_at=ctx.now() + self._life,
            created_at=ctx.now(),
        )
        ctx.session.add(row)
        return Put(row.id, row.challenge, row.expires_at)

    async def spend(self, ctx: Context, kind: Kind, challenge_id: UUID, user_id: UUID | None) -> Spent:
        """Take a challenge away, in one statement: of several answers one comes first, and the others find none."""
        row = PasskeyChallengeRow
        taken = (
            delete(row)
            .where(row.id == challenge_id, row.kind == kind, row.user_id.is_not_distinct_from(user_id))
            .returning(row.challenge, row.expires_at)
            .execution_options(synchronize_session=False)
        )
        found = (await ctx.session.execute(taken)).one_or_none()
        return Spent(None, None) if found is None else Spent(found[0], found[1])
