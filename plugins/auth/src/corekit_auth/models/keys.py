"""Keys: those that sign access tokens, and those that services show."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from corekit.data import Base, Encrypted, Policy

KeyState = Literal["next", "signing", "verifying", "retired"]


class SigningKeyRow(Base):
    """A key that signs or has signed access tokens; the private half is sealed. `updated_at` is its last step."""

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


class ServiceKeyRow(Base):
    """A key that another service shows; only its HMAC is kept."""

    __tablename__ = "auth_service_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    mac: Mapped[bytes]
    role: Mapped[str]
    name: Mapped[str]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


Policy.closed(ServiceKeyRow, "Whoever holds a service key can be anybody.")
