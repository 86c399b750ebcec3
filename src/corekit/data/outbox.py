"""The one intake of deferred work: a row that commits or vanishes with the work that asked for it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from corekit.data.base import Base
from corekit.data.pii import PII
from corekit.data.policy import Policy, actor


@dataclass(frozen=True)
class Delivery:
    """What a listener or job is handed, besides its payload: its own name, a stable id, and which attempt this is.

    `id` is the same at each attempt and for each listener of one event; outside effects carry it as idempotency key.
    """

    listener: str
    id: UUID
    attempt: int


class OutboxRow(Base):
    """An event or a job on its way from the transaction that made it to the job engine; append-only."""

    __tablename__ = "corekit_outbox"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[Literal["event", "job"]]
    tag: Mapped[str]
    payload: Mapped[Annotated[bytes, PII("id", subject="actor")]]
    key: Mapped[str | None]
    priority: Mapped[int]
    run_after: Mapped[datetime | None]
    tenant: Mapped[UUID | None]
    actor: Mapped[Annotated[UUID | None, PII("id", subject="actor")]]
    trace: Mapped[str | None]
    created_at: Mapped[datetime]

    __table_args__ = (Index("ix_corekit_outbox_created_at", "created_at"),)


Policy(OutboxRow, insert=lambda o: o.actor.is_not_distinct_from(actor()))


class JobRow(Base):
    """One job of the engine `rows`: queued, leased by a worker, or buried; a finished one is deleted."""

    __tablename__ = "corekit_job"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tag: Mapped[str]
    listener: Mapped[str]
    payload: Mapped[Annotated[bytes, PII("id", subject="actor")]]
    key: Mapped[str | None]
    priority: Mapped[int]  # negated, so that an ascending index has the urgent first
    run_after: Mapped[datetime]
    state: Mapped[Literal["queued", "leased", "buried"]]
    attempts: Mapped[int]
    owner: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    last_error: Mapped[Annotated[str | None, PII("free_text", subject="actor")]]
    tenant: Mapped[UUID | None]
    actor: Mapped[Annotated[UUID | None, PII("id", subject="actor")]]
    trace: Mapped[str | None]
    created_at: Mapped[datetime]
    origin: Mapped[UUID | None]  # the outbox row that asked for it

    __table_args__ = (
        Index(
            "uq_corekit_job_key_open",
            "key",
            unique=True,
            sqlite_where=text("state != 'buried'"),
            postgresql_where=text("state != 'buried'"),
        ),
        Index(
            "ix_corekit_job_queued",
            "priority",
            "run_after",
            "id",
            sqlite_where=text("state = 'queued'"),
            postgresql_where=text("state = 'queued'"),
        ),
        Index(
            "ix_corekit_job_leased",
            "lease_until",
            sqlite_where=text("state = 'leased'"),
            postgresql_where=text("state = 'leased'"),
        ),
    )


Policy.closed(JobRow, "Payloads of everybody; the worker alone reads them.")


class ListenerRow(Base):
    """A listener that some process has, so that a process without it hands its events on all the same."""

    __tablename__ = "corekit_listener"

    tag: Mapped[str] = mapped_column(primary_key=True)
    listener: Mapped[str] = mapped_column(primary_key=True)
    plugin: Mapped[str]
    seen_at: Mapped[datetime]


Policy.closed(ListenerRow, "Processes tell each other here what they listen to.")


class OnceRow(Base):
    """An event that a listener has handled: its effects inside the database are there exactly once."""

    __tablename__ = "corekit_once"

    listener: Mapped[str] = mapped_column(primary_key=True)
    event: Mapped[UUID] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]

    __table_args__ = (Index("ix_corekit_once_created_at", "created_at"),)


Policy.closed(OnceRow, "Listeners note here what they have handled, with the worker's rights.")


class ScheduleRow(Base):
    """The last slot of a schedule that was enqueued."""

    __tablename__ = "corekit_schedule"

    tag: Mapped[str] = mapped_column(primary_key=True)
    slot: Mapped[datetime]


Policy.closed(ScheduleRow, "Workers decide here whose slot it is.")
