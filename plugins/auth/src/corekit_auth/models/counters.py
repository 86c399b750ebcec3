"""What is remembered about attempts, ended sessions and devices."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from corekit.data import PII, Base, Policy


class RevocationRow(Base):
    """A session that ended while access tokens of it may still be good."""

    __tablename__ = "auth_revocations"

    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]

    __table_args__ = (Index(None, "created_at"),)


Policy.closed(RevocationRow, "Every process reads which sessions ended, nobody for themselves.")


class FailureRow(Base):
    """A run of failures on one account, under an HMAC; times are microseconds, for the arithmetic is SQL's."""

    __tablename__ = "auth_failures"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    n: Mapped[int]
    blocked_until: Mapped[int]


Policy.closed(FailureRow, "Failures are counted before anybody is known.")


class KnownDeviceRow(Base):
    """A device on which somebody has signed in: an HMAC of its network and kind of browser."""

    __tablename__ = "auth_known_devices"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("auth_users.id", ondelete="CASCADE"))
    device_mac: Mapped[Annotated[bytes, PII("device")]]
    last_seen_at: Mapped[datetime]
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("user_id", "device_mac"),)


Policy.closed(KnownDeviceRow, "A device is compared before its owner is known.")
