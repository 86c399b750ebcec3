"""Codes and flows: what somebody was sent, and where a sign-in stands that takes several requests."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from corekit.data import PII, Base, Encrypted, Policy

TokenKind = Literal[
    "confirmation",
    "invite",
    "recovery",
    "magiclink",
    "email_change_current",
    "email_change_new",
    "sms",
    "phone_change",
    "reauthentication",
]


class OneTimeTokenRow(Base):
    """A code that was sent: `mac` is the HMAC of what the link carries, which is itself an HMAC of address and code."""

    __tablename__ = "auth_one_time_tokens"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("auth_users.id", ondelete="CASCADE"))
    kind: Mapped[TokenKind] = mapped_column(Text)
    address_index: Mapped[Annotated[bytes, PII("email")]]
    mac: Mapped[bytes]
    tries: Mapped[int]
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("user_id", "kind"),
        Index(None, "mac"),
        Index(None, "address_index"),
        Index(None, "expires_at"),
    )


Policy.closed(OneTimeTokenRow, "A code is checked before its owner is known.")


class FlowStateRow(Base):
    """A sign-in under way: a code to be sent, an `auth_code` to be exchanged, a visit to another provider.

    `payload` is sealed: address, metadata, tokens of the provider. It lives minutes, so it is under the system's key.
    """

    __tablename__ = "auth_flow_states"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    provider: Mapped[str | None]
    code_challenge: Mapped[str | None]
    code_challenge_method: Mapped[str | None]
    state_mac: Mapped[bytes | None]
    auth_code_mac: Mapped[bytes | None]
    redirect_to: Mapped[str | None]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("auth_users.id", ondelete="CASCADE"))
    payload: Mapped[Annotated[str, PII("free_text")] | None] = mapped_column(Encrypted())
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (
        Index("uq_auth_flow_states_state_mac", "state_mac", unique=True),
        Index("uq_auth_flow_states_auth_code_mac", "auth_code_mac", unique=True),
        Index(None, "user_id"),
        Index(None, "expires_at"),
    )


Policy.closed(FlowStateRow, "A flow begins before anybody is known.")
