"""Second factors, recovery codes, passkeys, and the challenges that they answer."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from corekit.data import PII, Base, Encrypted, Policy, actor

FactorType = Literal["totp", "phone", "webauthn"]
FactorStatus = Literal["unverified", "verified"]


class FactorRow(Base):
    """A second factor. `last_step` is the newest accepted step of TOTP, so that no code passes twice."""

    __tablename__ = "auth_factors"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("auth_users.id", ondelete="CASCADE"))
    type: Mapped[FactorType] = mapped_column(Text)
    status: Mapped[FactorStatus] = mapped_column(Text)
    friendly_name: Mapped[Annotated[str, PII("free_text")] | None]
    secret: Mapped[Annotated[str, PII("id")] | None] = mapped_column(Encrypted(subject="user_id"))
    phone: Mapped[Annotated[str, PII("phone")] | None] = mapped_column(Encrypted(subject="user_id"))
    credential: Mapped[dict[str, Any] | None]  # of a webauthn factor: id, public key, counter
    last_step: Mapped[int | None]
    failures: Mapped[int] = mapped_column(default=0)
    disabled_at: Mapped[datetime | None]
    last_challenged_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (
        Index(
            "uq_auth_factors_user_id_friendly_name",
            "user_id",
            "friendly_name",
            unique=True,
            sqlite_where=text("friendly_name <> ''"),
            postgresql_where=text("friendly_name <> ''"),
        ),
        Index(None, "user_id"),
    )


Policy(FactorRow, read=lambda f: f.user_id == actor())


class ChallengeRow(Base):
    """A question put to one factor, for one session; answered once."""

    __tablename__ = "auth_challenges"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    factor_id: Mapped[UUID] = mapped_column(ForeignKey("auth_factors.id", ondelete="CASCADE"))
    session_id: Mapped[UUID] = mapped_column(ForeignKey("auth_sessions.id", ondelete="CASCADE"))
    tries: Mapped[int]
    otp_mac: Mapped[bytes | None]
    webauthn: Mapped[dict[str, Any] | None]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (Index(None, "factor_id"), Index(None, "session_id"), Index(None, "expires_at"))


Policy.closed(ChallengeRow, "A challenge is answered through its session alone.")


class RecoveryCodeRow(Base):
    """One of ten codes for the day when the phone is gone; only its HMAC is kept."""

    __tablename__ = "auth_recovery_codes"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[Annotated[UUID, PII("id")]] = mapped_column(ForeignKey("auth_users.id", ondelete="CASCADE"))
    mac: Mapped[bytes]
    used_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("user_id", "mac"),)


Policy.closed(RecoveryCodeRow, "A recovery code is shown once, when it is made.")


class PasskeyRow(Base):
    """A credential of Web Authentication that signs its owner in."""

    __tablename__ = "auth_passkeys"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("auth_users.id", ondelete="CASCADE"))
    credential_id: Mapped[bytes] = mapped_column(unique=True)
    public_key: Mapped[bytes]
    sign_count: Mapped[int]
    aaguid: Mapped[str]
    transports: Mapped[list[Any]]
    backup_eligible: Mapped[bool]
    backed_up: Mapped[bool]
    friendly_name: Mapped[Annotated[str, PII("free_text")] | None]
    last_used_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (Index(None, "user_id"),)


Policy(PasskeyRow, read=lambda p: p.user_id == actor())


class PasskeyChallengeRow(Base):
    """A challenge of a registration or a sign-in with a passkey; answered once."""

    __tablename__ = "auth_passkey_challenges"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    challenge: Mapped[bytes]
    kind: Mapped[Literal["registration", "authentication"]] = mapped_column(Text)
    user_id: Mapped[Annotated[UUID, PII("id")] | None] = mapped_column(ForeignKey("auth_users.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime]

    __table_args__ = (Index(None, "user_id"), Index(None, "expires_at"))


Policy.closed(PasskeyChallengeRow, "A sign-in is challenged before anybody is known.")
