"""The table of idempotency keys."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from sqlalchemy import Index, and_
from sqlalchemy.orm import Mapped, mapped_column

from corekit.data import PII, Base, Encrypted, Policy, actor
from corekit.guard.idempotency.values import State


class IdempotencyRow(Base):
    """A key of one principal in one tenant: who works under it until when, on what, and what was answered."""

    __tablename__ = "corekit_idempotency"

    id: Mapped[UUID] = mapped_column(primary_key=True)  # made of tenant, principal and key
    tenant: Mapped[UUID | None]
    principal: Mapped[Annotated[UUID, PII("id", subject="principal")]]
    key: Mapped[Annotated[str, PII("id", subject="principal")]]
    fingerprint: Mapped[Annotated[bytes, PII("content", subject="principal")]]
    state: Mapped[State]
    lock_token: Mapped[int]
    lease_until: Mapped[datetime]
    resource: Mapped[Annotated[str | None, PII("id", subject="principal")]]
    status: Mapped[int | None]
    headers: Mapped[Annotated[bytes | None, PII("content", subject="principal")]] = mapped_column(
        Encrypted(bytes, subject="principal")
    )
    body: Mapped[Annotated[bytes | None, PII("content", subject="principal")]] = mapped_column(
        Encrypted(bytes, subject="principal")
    )
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_corekit_idempotency_resource", "resource"),
        Index("ix_corekit_idempotency_finished_at", "finished_at"),
    )


# A person's transaction claims and settles in its own name; what was answered, the purpose alone writes and deletes.
Policy(
    IdempotencyRow,
    read=lambda i: i.principal == actor(),
    insert=lambda i: and_(i.principal == actor(), i.state == "running"),
    update=lambda i: and_(i.principal == actor(), i.state != "done"),
)
