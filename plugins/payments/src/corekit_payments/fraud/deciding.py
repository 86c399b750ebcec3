"""What the rules have said of attempts, for those who set them: also of rules in shadow, to see what these would do."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from sqlalchemy import select

from corekit.context import Context
from corekit.contracts.payments import AssessmentOutcome
from corekit.data.pages import newest
from corekit.values import Page, parse_id, typeid
from corekit_payments.fraud.rows import FraudDecisionRow


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule said of one attempt, and what it went by; whom that was, by hashes."""

    payment: str
    operation: str
    rule: str
    version: int
    outcome: AssessmentOutcome
    shadow: bool
    facts: dict[str, Any]
    created_at: datetime


class DecisionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which decisions, the newest first; what is not given does not restrict."""

    payment: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    rule: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    shadow: bool | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, msgspec.Meta(max_length=200)] | None = None


async def decisions(ctx: Context, query: DecisionQuery) -> Page[Decision]:
    """List them."""
    row = FraudDecisionRow
    chosen = select(row).where(row.tenant.is_not_distinct_from(ctx.tenant))
    if query.payment is not None:
        chosen = chosen.where(row.payment_id == parse_id("pay", query.payment, pointer="/payment"))
    if query.rule is not None:
        chosen = chosen.where(row.rule == query.rule)
    if query.shadow is not None:
        chosen = chosen.where(row.shadow.is_(query.shadow))
    found, more = await newest(ctx.session, chosen, row.created_at, row.id, limit=query.limit, cursor=query.cursor)
    return Page([_shown(one) for (one,) in found], more)


def _shown(row: FraudDecisionRow) -> Decision:
    return Decision(
        payment=typeid("pay", row.payment_id), operation=typeid("pop", row.operation_id), rule=row.rule,
        version=row.version, outcome=row.outcome, shadow=row.shadow, facts=row.facts, created_at=row.created_at,
    )  # fmt: skip
