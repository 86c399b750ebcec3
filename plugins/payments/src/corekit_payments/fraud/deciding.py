"""What the rules have said of attempts, for those who set them: also of rules in shadow, to see what these would do."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from sqlalchemy import and_, or_, select

from corekit.context import Context
from corekit.contracts.payments import AssessmentOutcome
from corekit.data.base import from_micros, to_micros
from corekit.values import Page, decode_cursor, encode_cursor, parse_id, typeid
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
    if query.cursor is not None:
        micros, last = decode_cursor(query.cursor, tuple[int, UUID], pointer="/cursor")
        then = from_micros(micros)
        chosen = chosen.where(or_(row.created_at < then, and_(row.created_at == then, row.id < last)))
    ordered = chosen.order_by(row.created_at.desc(), row.id.desc()).limit(query.limit + 1)
    found = list((await ctx.session.scalars(ordered)).all())
    shown = found[: query.limit]
    more = len(found) > query.limit
    after = encode_cursor(to_micros(shown[-1].created_at), str(shown[-1].id)) if more else None
    return Page([_shown(one) for one in shown], after)


def _shown(row: FraudDecisionRow) -> Decision:
    return Decision(
        payment=typeid("pay", row.payment_id), operation=typeid("pop", row.operation_id), rule=row.rule,
        version=row.version, outcome=row.outcome, shadow=row.shadow, facts=row.facts, created_at=row.created_at,
    )  # fmt: skip
