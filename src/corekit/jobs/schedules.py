"""Schedules: times of the calendar at which a job is asked for, by one worker of all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from sqlalchemy import insert, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from corekit.context import Context
from corekit.data.base import table_of
from corekit.data.outbox import OutboxRow, ScheduleRow
from corekit.errors import PluginError
from corekit.values import uuid7

_FIELDS = 5  # a sixth would be seconds
_KEY = "slot"


@dataclass(frozen=True)
class Schedule:
    """When a job is asked for: a cron expression of five fields, read in a time zone."""

    tag: str
    cron: str
    zone: str = "UTC"

    def check(self) -> None:
        """Refuse what is no schedule (PluginError)."""
        try:
            if len(self.cron.split()) != _FIELDS:
                raise CronSimError("a schedule has five fields")
            self.after(datetime(2000, 1, 1, tzinfo=UTC))
        except (CronSimError, ZoneInfoNotFoundError, ValueError, StopIteration) as error:
            raise PluginError(f"schedule {self.tag!r}, {self.cron!r} in {self.zone!r}: {error}") from None

    def after(self, now: datetime) -> datetime:
        """Return the first slot after this time."""
        return next(CronSim(self.cron, now.astimezone(self._zone()))).astimezone(UTC)

    def until(self, now: datetime) -> datetime:
        """Return the last slot that is not after this time."""
        just_after = now.replace(microsecond=1)  # going back from here, the second itself comes first
        return next(CronSim(self.cron, just_after.astimezone(self._zone()), reverse=True)).astimezone(UTC)

    def _zone(self) -> tzinfo:
        return UTC if self.zone == "UTC" else ZoneInfo(self.zone)  # UTC needs no time-zone data


class Schedules:
    """Asks for what has become due; the database decides, so that of several workers one asks, once per slot."""

    def __init__(self, schedules: Sequence[Schedule]) -> None:
        self._next: dict[Schedule, datetime | None] = dict.fromkeys(schedules)

    def is_due(self, now: datetime) -> bool:
        """Tell whether a slot has come since the last look; at the first, one may have been missed."""
        return any(slot is None or slot <= now for slot in self._next.values())

    async def ask(self, ctx: Context) -> None:
        """Put what is due into the outbox; slots that nobody saw are one."""
        now = ctx.now()
        for schedule, slot in self._next.items():
            if (slot is None or slot <= now) and await self._wins(ctx, schedule, schedule.until(now)):
                await self._enqueue(ctx, schedule, now)

    def asked(self, now: datetime) -> None:
        """Look again at the next slots: what was due at this time has been asked for, and committed."""
        for schedule, slot in self._next.items():
            if slot is None or slot <= now:
                self._next[schedule] = schedule.after(now)

    @staticmethod
    async def _wins(ctx: Context, schedule: Schedule, slot: datetime) -> bool:
        """Move the row on; who comes second, or late, finds it there already. A new schedule begins with its next."""
        connection = await ctx.session.connection()
        table = table_of(ScheduleRow)
        dialect_insert = sqlite_insert if ctx.kit.database.dialect == "sqlite" else postgresql_insert
        new = dialect_insert(table).values(tag=schedule.tag, slot=slot).on_conflict_do_nothing()
        if (await connection.execute(new)).rowcount == 1:
            return False
        moved = update(table).where(table.c.tag == schedule.tag, table.c.slot < slot).values(slot=slot)
        return (await connection.execute(moved)).rowcount == 1

    @staticmethod
    async def _enqueue(ctx: Context, schedule: Schedule, now: datetime) -> None:
        row = {
            "id": uuid7(),
            "kind": "job",
            "tag": schedule.tag,
            "payload": b"null",
            "key": _KEY,  # while a run is open the next slot adds none: runs of one schedule never overlap
            "priority": 0,
            "created_at": now,
        }
        await (await ctx.session.connection()).execute(insert(table_of(OutboxRow)), row)
