"""Auth's tables. An account belongs to the kit, not to a tenant, so none of them is tenant-scoped."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from corekit.data import PII, Base, Encrypted, Policy, actor

KeyState = Literal["next", "signing", "verifying", "retired"]


class UserRow(Base):
    """An account."""

    __tablename__ = "auth_users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    aud: Mapped[str]
    role: Mapped[str]
    email: Mapped[Annotated[str, PII("email", "id")] | None]
    password_hash: Mapped[str | None]
    email_confirmed_at: Mapped[datetime | None]
    app_metadata: Mapped[dict[str, Any]]
    user_metadata: Mapped[Annotated[dict[str, Any], PII("free_text", "id")]]
    is_anonymous: Mapped[bool]
    banned_until: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    last_sign_in_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("email"),)


Policy(UserRow, read=lambda u: u.id == actor())


class IdentityRow(Base):
    """One way in which a person is known: an address of ours, or an account elsewhere."""

    __tablename__ = "auth_identities"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("auth_users.id", ondelete="CASCADE"))
    provider: Mapped[str]
    provider_id: Mapped[str]
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
    aal: Mapped[int]
    amr: Mapped[list[Any]]
    not_after: Mapped[datetime | None]
    refreshed_at: Mapped[datetime | None]
    user_agent: Mapped[Annotated[str, PII("device")] | None]
    ip: Mapped[Annotated[str, PII("ip")] | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (Index(None, "user_id"),)


Policy(SessionRow, read=lambda s: s.user_id == actor())


class SigningKeyRow(Base):
    """A key that signs or has signed access tokens; the private half is sealed."""

    __tablename__ = "auth_signing_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kid: Mapped[str] = mapped_column(unique=True)
    alg: Mapped[str]
    state: Mapped[KeyState] = mapped_column(Text)
    private: Mapped[str] = mapped_column(Encrypted())
    public: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (
        Index(
            "uq_auth_signing_keys_signing",
            "state",
            unique=True,
            sqlite_where=text("state = 'signing'"),
            postgresql_where=text("state = 'signing'"),
        ),
    )


Policy.closed(SigningKeyRow, "Who signs tokens can be anybody.")


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
