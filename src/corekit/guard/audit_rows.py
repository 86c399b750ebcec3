"""The table of the audit log."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from sqlalchemy import Index, and_, or_
from sqlalchemy.orm import Mapped, mapped_column

from corekit.contracts.audit import READ
from corekit.data import PII, Base, Policy, actor, has_permission


class AuditRow(Base):
    """Who did what to what; append-only, and deleted only when its time is over."""

    __tablename__ = "corekit_audit"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant: Mapped[UUID | None]
    actor: Mapped[Annotated[UUID | None, PII("id", subject="actor")]]
    kind: Mapped[Literal["user", "service", "system", "nobody"]]
    purpose: Mapped[str]
    on_behalf_of: Mapped[Annotated[UUID | None, PII("id", subject="on_behalf_of")]]
    action: Mapped[str]
    target_kind: Mapped[str | None]
    target_id: Mapped[Annotated[str | None, PII("id", subject="actor")]]
    details: Mapped[Annotated[dict[str, Any], PII("id", subject="actor")]]
    request_id: Mapped[str]
    address: Mapped[Annotated[str, PII("ip", subject="actor")]]
    user_agent: Mapped[Annotated[str, PII("device", subject="actor")]]
    created_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_corekit_audit_created_at", "created_at", "id"),
        Index("ix_corekit_audit_actor", "actor", "created_at", "id"),
        Index("ix_corekit_audit_target", "target_kind", "target_id", "created_at", "id"),
    )


# No rule for update and delete. A person's transaction writes in its own name alone, and never as a system purpose.
Policy(
    AuditRow,
    read=lambda a: or_(a.actor == actor(), has_permission(READ)),
    insert=lambda a: and_(a.actor.is_not_distinct_from(actor()), a.kind != "system"),
)
