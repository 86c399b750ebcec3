"""The keys of people: each encrypts what belongs to one person, and deleting it shreds all of that."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from corekit.data.base import Base
from corekit.data.pii import PII
from corekit.data.policy import Policy


class DekRow(Base):
    """A data encryption key of one person, sealed by the keyring's key `key_id`."""

    __tablename__ = "corekit_dek"

    subject: Mapped[Annotated[UUID, PII("id", subject="subject")]] = mapped_column(primary_key=True)
    wrapped: Mapped[str]
    key_id: Mapped[str]
    created_at: Mapped[datetime]

    __table_args__ = (Index("ix_corekit_dek_key_id", "key_id"),)


Policy.closed(DekRow, "Keys, though sealed; the keyring alone reads them.")
