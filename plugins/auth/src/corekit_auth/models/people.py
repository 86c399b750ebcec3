"""People: their accounts, the ways in which they are known, their sign-ins."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from corekit.data import PII, Base, Encrypted, Policy, actor


class UserRow(Base):
    """An account. Numbers are under the system's key: reading an account must cost no query for a key of its own."""

    __tablename__ = "auth_users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    aud: Mapped[str]
    role: Mapped[str]
    email: Mapped[Annotated[str, PII("email", "id")] | None]
    phone: Mapped[Annotated[str, PII("phone", "id")] | None] = mapped_column(Encrypted())
    phone_index: Mapped[Annotated[bytes, PII("phone", "id")] | None]
    password_hash: Mapped[str | None]
    email_confirmed_at: Mapped[datetime | None]
    phone_confirmed_at: Mapped[datetime | None]
    invited_at: Mapped[datetime | None]
    confirmation_sent_at: Mapped[datetime | None]
    recovery_sent_at: Mapped[datetime | None]
    reauthentication_sent_at: Mapped[datetime | None]
    new_email: Mapped[Annotated[str, PII("email", "id")] | None]
    email_change_sent_at: Mapped[datetime | None]
    email_change_status: Mapped[int] = mapped_column(
        server_default="0", default=0
    )  # who has confirmed: 1 the present address, 2 the new one
    new_phone: Mapped[Annotated[str, PII("phone", "id")] | None] = mapped_column(Encrypted())
    phone_change_sent_at: Mapped[datetime | None]
    app_metadata: Mapped[dict[str, Any]]
    user_metadata: Mapped[Annotated[dict[str, Any], PII("free_text", "id")]]
    is_anonymous: Mapped[bool]
    is_sso: Mapped[bool] = mapped_column(server_default=false(), default=False)
    banned_until: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    last_sign_in_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("email"), Index("uq_auth_users_phone_index", "phone_index", unique=True))


Policy(UserRow, read=lambda u: u.id == actor())


class IdentityRow(Base):
    """One way in which a person is known: an address of ours, or an account elsewhere."""

    __tablename__ = "auth_identities"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("auth_users.id", ondelete="CASCADE"))
    provider: Mapped[str]
    # In clear, since each sign-in through a provider looks it up; for an address or number it is the account's id.
    provider_id: Mapped[Annotated[str, PII("id")]]
    identity_data: Mapped[Annotated[dict[str, Any], PII("free_text")]]
    email: Mapped[Annotated[str, PII("email")] | None]
    last_sign_in_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("provider", "provider_id"), Index(None, "user_id"))


Policy(IdentityRow, read=lambda i: i.user_id == actor())


class SessionRow(Base):
    """One sign-in; ending it deletes the row. `hmac_key` is sealed, so no refresh token can be made from a copy.

    It is under the system's key, not its person's: a refresh must cost no query for a key, and the row goes with them.
    """

    __tablename__ = "auth_sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("auth_users.id", ondelete="CASCADE"))
    hmac_key: Mapped[bytes] = mapped_column(Encrypted(bytes))
    counter: Mapped[int]
    counter_floor: Mapped[int]
    legacy_mac: Mapped[bytes | None]  # of an imported token of version 1, which stands for counter 0
    aal: Mapped[int]
    amr: Mapped[list[Any]]
    factor_id: Mapped[UUID | None]  # the second factor that raised it to aal2
    not_after: Mapped[datetime | None]
    refreshed_at: Mapped[datetime | None]
    user_agent: Mapped[Annotated[str, PII("device")] | None]
    ip: Mapped[Annotated[str, PII("ip")] | None]
    tag: Mapped[str | None]
    client_id: Mapped[str | None]
    scopes: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (Index(None, "user_id"), Index("uq_auth_sessions_legacy_mac", "legacy_mac", unique=True))


Policy(SessionRow, read=lambda s: s.user_id == actor())
