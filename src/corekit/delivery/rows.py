"""The table of the development sink."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from corekit.data import PII, Base, Encrypted, Policy


class SentRow(Base):
    """One mail or SMS that would have been sent. Codes, addresses and numbers are nowhere in clear, not even here."""

    __tablename__ = "corekit_sent"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    medium: Mapped[str]
    recipient: Mapped[Annotated[str, PII("address", "recipient")]] = mapped_column(Encrypted())
    subject: Mapped[Annotated[str, PII("content", "recipient")]] = mapped_column(Encrypted())
    text: Mapped[Annotated[str, PII("content", "recipient")]] = mapped_column(Encrypted())
    html: Mapped[Annotated[str, PII("content", "recipient")]] = mapped_column(Encrypted())
    kind: Mapped[str]
    locale: Mapped[str]
    created_at: Mapped[datetime]


Policy.closed(SentRow, "What is sent to somebody is theirs; developers read it through the core.")
