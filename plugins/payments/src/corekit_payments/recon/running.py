"""Who reconciles one instance, and how far they have come: one leased runner for each stream, in a row of its own."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, select, update
from sqlalchemy.dialects import postgresql, sqlite

from corekit.context import Caller, Context
from corekit.contracts.payments import NotAttempted, OutcomeUnknown
from corekit.watch import get_logger
from corekit_payments.recon.rows import ReconciliationRunRow, Stream

_LEASE = timedelta(minutes=5)  # renewed with each page
_STALE: Mapping[Stream, timedelta] = {  # after which a run that did not end begins anew
    "listing": timedelta(hours=24),
    "settlement": timedelta(days=7),
}
_EVERY: Mapping[Stream, timedelta] = {  # after the last that ended
    "listing": timedelta(0),
    "settlement": timedelta(hours=20),
}
_OVERLAP, _LONGEST = timedelta(days=1), timedelta(days=31)
_REST, _REST_MAX = timedelta(minutes=1), timedelta(hours=6)
_SHOWN = 200  # characters of a reason
_ROW = ReconciliationRunRow


class LeaseLost(Exception):
    """Another runner has taken over: nothing more is written by this one."""


@dataclass
class Run:
    """A run that is going on: `cursor` is where a former one was left, `counts` go on from there.

    With this one runs have seen all that there was from `covered` on.
    """

    stream: Stream
    provider: str
    token: int
    since: datetime
    covered: datetime
    cursor: str
    counts: Counter[str] = field(default_factory=Counter)


def counted(run: Run) -> str:
    """Write what became of its rows."""
    return ", ".join(f"{name} {count}" for name, count in sorted(run.counts.items())) or "nothing to compare"


class Runs:
    """Claims, keeps and ends runs, each in a transaction of its own."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def claim(self, stream: Stream, provider: str, window: timedelta, *, now: bool = False) -> Run | None:
        """Begin a run over the last `window`, or since the last whole one, or go on with one that did not end.

        None where somebody else runs it, it rests after a failure, or the last one ended a short time ago; `now` waits
        for neither.
        """
        async with self._caller.begin() as ctx:
            at = ctx.now()
            row = await _locked(ctx, stream, provider, at - window)
            rests = not now and (_is_done(row, at) or await _rests(ctx, row))
            if rests or (row.lease_until is not None and row.lease_until > at):
                return None
            if row.state == "ended" or row.began_at + _STALE[stream] <= at:
                begun = _since(row, at, window)
                if row.covered_since is None or begun > _last(row):
                    row.covered_since = begun
                row.since, row.cursor, row.counts, row.began_at = begun, "", {}, at
            row.state, row.lease_until = "running", at + _LEASE
            row.lock_token += 1
            covered = row.covered_since or row.since
            return Run(stream, provider, row.lock_token, row.since, covered, row.cursor, Counter(row.counts))

    async def advance(self, run: Run, cursor: str) -> None:
        """Keep how far it has come, and the lease (LeaseLost)."""
        run.cursor = cursor
        await self._write(run, lease=_LEASE, cursor=cursor, counts=dict(run.counts))

    async def release(self, run: Run) -> None:
        """Let another go on from here at once: this process stops (LeaseLost)."""
        await self._write(run)

    async def end(self, run: Run) -> None:
        """Say that it has seen everything (LeaseLost)."""
        at = self._caller.kit.clock.now()
        over: dict[str, Any] = {"state": "ended", "cursor": "", "failures": 0, "failure": None, "next_at": None}
        await self._write(run, **over, counts=dict(run.counts), ended_at=at)

    async def fail(self, run: Run, why: NotAttempted | OutcomeUnknown) -> None:
        """Leave it where it is and say when to go on: after 1 minute … 6 hours, drawn anew with each failure.

        Where the provider takes us for nobody (401, 403) all streams of the instance rest for the longest, until a
        person has looked.
        """
        refused = isinstance(why, NotAttempted) and why.refused
        asked = why.retry_after if isinstance(why, NotAttempted) else None
        async with self._caller.begin() as ctx:
            row = await _locked(ctx, run.stream, run.provider, run.since)
            if row.lock_token != run.token:  # another runner goes on, and says itself how that ends
                return
            row.failures += 1
            rest = _REST_MAX if refused else max(rest_after(row.failures), asked or _REST)
            row.state, row.failure = ("refused" if refused else "failed"), why.reason[:_SHOWN]
            row.counts, row.lease_until, row.next_at = dict(run.counts), None, ctx.now() + rest
        log, event = get_logger("corekit.payments"), "payments_circuit_open" if refused else "payments_reconcile_failed"
        (log.error if refused else log.warning)(event, reason=f"{run.provider}: {why.reason}"[:_SHOWN])

    async def _write(self, run: Run, *, lease: timedelta | None = None, **values: Any) -> None:
        async with self._caller.begin() as ctx:
            values["lease_until"] = None if lease is None else ctx.now() + lease
            mine = (_ROW.stream == run.stream) & (_ROW.provider == run.provider) & (_ROW.lock_token == run.token)
            kept = update(_ROW).where(mine).values(**values).returning(_ROW.stream)
            done = await ctx.session.execute(kept, execution_options={"synchronize_session": False})
            if done.scalar_one_or_none() is None:
                raise LeaseLost


def rest_after(failures: int) -> timedelta:
    """Draw how long to wait: full jitter below a limit that doubles, from 1 minute to 6 hours."""
    limit: timedelta = min(_REST * 2.0 ** min(failures, 10), _REST_MAX)
    return max(_REST, limit * random.random())  # noqa: S311  # no secret


def _is_done(row: ReconciliationRunRow, now: datetime) -> bool:
    return row.state == "ended" and row.ended_at is not None and row.ended_at + _EVERY[row.stream] > now


def _since(row: ReconciliationRunRow, now: datetime, window: timedelta) -> datetime:
    """Begin a window ago, or where the last whole run ended if that is longer ago: a month at most.

    Where none has ended yet, what the first one was to see stays to be seen.
    """
    return max(min(now - window, _last(row)), now - _LONGEST)


def _last(row: ReconciliationRunRow) -> datetime:
    return row.since if row.ended_at is None else row.ended_at - _OVERLAP


async def _locked(ctx: Context, stream: Stream, provider: str, since: datetime) -> ReconciliationRunRow:
    insert = postgresql.insert if ctx.kit.database.dialect == "postgresql" else sqlite.insert
    new: dict[str, Any] = {"stream": stream, "provider": provider, "state": "ended", "since": since, "cursor": ""}
    new |= {"counts": {}, "failures": 0, "lock_token": 0, "began_at": ctx.now()}
    await ctx.session.execute(insert(_ROW).values(new).on_conflict_do_nothing())
    mine = (_ROW.stream == stream) & (_ROW.provider == provider)
    found = await ctx.session.execute(select(_ROW).where(mine).with_for_update())
    return found.scalar_one()


async def _rests(ctx: Context, row: ReconciliationRunRow) -> bool:
    if row.next_at is not None and row.next_at > ctx.now():
        return True
    refused = (_ROW.provider == row.provider) & (_ROW.state == "refused") & (_ROW.next_at > ctx.now())
    return bool(await ctx.session.scalar(select(exists().where(refused))))
