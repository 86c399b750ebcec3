"""The tables of the fraud rules: what they name of a person, they name by a keyed hash."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from corekit.contracts.payments import AssessmentOutcome
from corekit.data import PII, Base, Encrypted, Json, Policy, has_permission
from corekit_payments.fraud.settings import Mode, RuleName, Scope

MANAGE = "payments:fraud:manage"


class FraudCounterRow(Base):
    """How many attempts somebody has made in a window, or what these came to in one currency.

    `scope` is kind, length in seconds, currency (`*` for the number of attempts) and the hash of who or what it is.
    """

    __tablename__ = "payments_fraud_counter"

    scope: Mapped[str] = mapped_column(primary_key=True)
    window_start: Mapped[datetime] = mapped_column(primary_key=True)
    tenant: Mapped[UUID | None]
    n: Mapped[int]
    sum: Mapped[int]

    __table_args__ = (Index("ix_payments_fraud_counter_window_start", "window_start"),)


class FraudDecisionRow(Base):
    """What one rule said of an attempt that it did not simply allow; of a rule in shadow nothing came.

    `version` is the rule's at that time: 0 for the settings. `facts` is what it went by, identifiers hashed.
    """

    __tablename__ = "payments_fraud_decision"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant: Mapped[UUID | None]
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments_payment.id"))
    operation_id: Mapped[UUID] = mapped_column(ForeignKey("payments_operation.id"))
    rule: Mapped[str]
    version: Mapped[int]
    outcome: Mapped[AssessmentOutcome]
    shadow: Mapped[bool]
    facts: Mapped[Any] = mapped_column(Json())
    created_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_payments_fraud_decision_payment_id", "payment_id"),
        Index("ix_payments_fraud_decision_created_at", "created_at"),
    )


class FraudListRow(Base):
    """Somebody or something that does not pay here: `mac` finds it, `value` is for those who keep the list."""

    __tablename__ = "payments_fraud_list"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant: Mapped[UUID | None]
    kind: Mapped[Scope]
    mac: Mapped[str] = mapped_column(unique=True)
    value: Mapped[str] = mapped_column(Encrypted())
    reason: Mapped[Annotated[str, PII("free_text", subject="author")]]
    author: Mapped[Annotated[UUID, PII("id", subject="author")]]
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class FraudRuleRow(Base):
    """A rule as somebody has set it: it stands instead of the settings'."""

    __tablename__ = "payments_fraud_rule"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant: Mapped[UUID | None]
    rule: Mapped[RuleName]
    mode: Mapped[Mode]
    parameters: Mapped[Any] = mapped_column(Json())
    version: Mapped[int]
    reason: Mapped[Annotated[str, PII("free_text", subject="author")]]
    author: Mapped[Annotated[UUID, PII("id", subject="author")]]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


Policy(FraudCounterRow, read=lambda _: has_permission(MANAGE))
Policy(FraudDecisionRow, read=lambda _: has_permission(MANAGE))
Policy(FraudListRow, read=lambda _: has_permission(MANAGE))
Policy(FraudRuleRow, read=lambda _: has_permission(MANAGE))
