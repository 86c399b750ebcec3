"""Runs of failures on one account: ten are free, then each wait is twice the last, up to an hour, never for ever."""

from functools import cache

from sqlalchemy import BigInteger, LargeBinary, TextClause, bindparam, delete, select, text

from corekit.context import Context
from corekit.data.base import to_micros
from corekit_auth.errors import OverRequestRate
from corekit_auth.models import FailureRow
from corekit_auth.settings import AuthSettings

_SECOND = 1_000_000
STALE = 24 * 3600

# One statement, so that parallel guesses are counted one after the other; no row returned = blocked.
_CHARGE = """
INSERT INTO auth_failures (key, n, blocked_until) VALUES (:key, 1, :now)
ON CONFLICT (key) DO UPDATE SET
  n = CASE WHEN auth_failures.blocked_until < :stale THEN 1 ELSE auth_failures.n + 1 END,
  blocked_until = CASE
    WHEN auth_failures.blocked_until < :stale OR auth_failures.n + 1 < :free THEN :now
    ELSE :now + least(:base << CAST(least(auth_failures.n + 1 - :free, 7) AS integer), :max) END
WHERE auth_failures.blocked_until <= :now RETURNING n
"""
_NUMBERS = ("now", "stale", "free", "base", "max")
_FORGET = delete(FailureRow).where(FailureRow.key == bindparam("key")).execution_options(synchronize_session=False)


class Failures:
    """Always in the database, so that neither a restart nor another worker forgets them."""

    def __init__(self, settings: AuthSettings) -> None:
        self._fixed = {
            "free": settings.failures_free,
            "base": round(settings.failures_base * _SECOND),
            "max": round(settings.failures_max * _SECOND),
        }

    async def charge(self, ctx: Context, purpose: str, subject: str) -> bool:
        """Count an attempt before it is checked; unknown subjects count alike, so a refusal tells nothing.

        Return whether it is the first after which the account waits, if it fails.

        Raises:
            OverRequestRate: the account waits; `retry_after` says how long.

        """
        now = to_micros(ctx.now())
        key = self._key(ctx, purpose, subject)
        row = {"key": key, "now": now, "stale": now - STALE * _SECOND, **self._fixed}
        count = (await ctx.session.execute(_charge(ctx.kit.database.dialect), row)).scalar()
        if count is None:
            until = await ctx.session.scalar(select(FailureRow.blocked_until).where(FailureRow.key == key))
            raise OverRequestRate(retry_after=max((until or now) - now, 1) / _SECOND)
        return bool(count == self._fixed["free"])

    async def forget(self, ctx: Context, purpose: str, subject: str) -> None:
        """End the run of one bucket: its owner has shown who they are."""
        await ctx.session.execute(_FORGET, {"key": self._key(ctx, purpose, subject)})

    def _key(self, ctx: Context, purpose: str, subject: str) -> bytes:
        return ctx.kit.keyring.mac(f"auth_failures.{purpose}", subject)


@cache
def _charge(dialect: str) -> TextClause:
    sql = _CHARGE if dialect == "postgresql" else _CHARGE.replace("least", "min")
    numbers = [bindparam(name, type_=BigInteger) for name in _NUMBERS]
    return text(sql).bindparams(bindparam("key", type_=LargeBinary), *numbers)
