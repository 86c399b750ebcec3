"""The table of runs."""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy.orm import Mapped, mapped_column

from corekit.data import Base, Policy

Stream = Literal["listing", "settlement"]
RunState = Literal["running", "ended", "failed", "refused"]


class ReconciliationRunRow(Base):
    """The last run of a stream over one instance, and where it stands.

    `cursor` is what it has done so far; a run that did not end goes on from there. `next_at` is when it may be tried
    again after it `failed`, or after the provider `refused` our key; `ended_at` is when a run last saw everything,
    `counts` are rows by what became of them. From `covered_since` on runs have left out nothing.
    """

    __tablename__ = "payments_recon_run"

    stream: Mapped[Stream] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[RunState]
    since: Mapped[datetime]
    cursor: Mapped[str]
    counts: Mapped[dict[str, Any]]
    failures: Mapped[int]
    failure: Mapped[str | None]
    lock_token: Mapped[int]
    lease_until: Mapped[datetime | None]
    next_at: Mapped[datetime | None]
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    covered_since: Mapped[datetime | None]


Policy.closed(ReconciliationRunRow, "How far reconciliation has come with a provider is nobody's; the plugin reads it.")
