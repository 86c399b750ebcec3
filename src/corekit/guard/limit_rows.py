"""The table behind limits that several processes share."""

from sqlalchemy.orm import Mapped, mapped_column

from corekit.data import Base, Policy


class LimitRow(Base):
    """One key of one rule: an HMAC, and its theoretical arrival time in microseconds. An old row says nothing."""

    __tablename__ = "corekit_limits"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    tat: Mapped[int]


Policy.closed(LimitRow, "Limits are counted before anybody is known.")
