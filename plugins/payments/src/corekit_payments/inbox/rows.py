"""The table of notices."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from corekit.data import Base, Encrypted, Policy

NoticeState = Literal["received", "parked", "applied", "unmatched", "ignored"]


class WebhookInboxRow(Base):
    """One notice of a provider's, by the id that it gave: what did not verify is not here, what came twice is once.

    `event` is what its adapter read in it, `raw` the body as it came, `headers` the few that are kept. `tenant` is that
    of the payment that it was about, once that is known; `error` is the last reason why it could not be worked on.
    """

    __tablename__ = "payments_webhook_inbox"

    provider: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[UUID | None]
    received_at: Mapped[datetime]
    raw: Mapped[bytes | None] = mapped_column(Encrypted(bytes))
    headers: Mapped[dict[str, Any]]
    event: Mapped[dict[str, Any]]
    state: Mapped[NoticeState]
    tries: Mapped[int]
    error: Mapped[str | None]

    __table_args__ = (
        Index(
            "ix_payments_webhook_inbox_raw",
            "received_at",
            sqlite_where=text("raw IS NOT NULL"),
            postgresql_where=text("raw IS NOT NULL"),
        ),
        Index(
            "ix_payments_webhook_inbox_received",
            "received_at",
            sqlite_where=text("state = 'received'"),
            postgresql_where=text("state = 'received'"),
        ),
    )


Policy.closed(WebhookInboxRow, "What providers tell names payments of everybody; the plugin alone reads it.")
