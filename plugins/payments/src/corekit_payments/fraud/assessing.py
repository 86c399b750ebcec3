"""An attempt before it is sent: every rule is asked about it, and what comes of that is part of its transaction."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, exists, or_, select

from corekit.context import Context
from corekit.contracts.audit import Audit, Target
from corekit.contracts.auth import Auth
from corekit.contracts.payments import Evidence, PaymentFacts, PaymentReviewRequested, assess_payment
from corekit.events import emit
from corekit.values import Money, typeid, uuid7
from corekit_payments.applying import apply
from corekit_payments.books import Books
from corekit_payments.fraud.counting import Counted, Counters
from corekit_payments.fraud.judging import (
    Finding,
    RuleBook,
    out_of_bounds,
    strictest,
    too_fast,
    too_much_for_its_age,
)
from corekit_payments.fraud.rows import FraudDecisionRow, FraudListRow
from corekit_payments.fraud.rulebook import rules_in_force
from corekit_payments.fraud.settings import FraudSettings, Scope
from corekit_payments.fraud.subjects import networks, subjects
from corekit_payments.models import AttemptRow, OperationRow, PaymentRow
from corekit_payments.telling import Via, common

_WHY_MAX = 200  # characters of a plugin's name for its rule
_UNDER_WAY = (
    "requires_action",
    "processing",
    "requires_capture",
    "partially_captured",
    "succeeded",
    "needs_review",
)
_ENTRY, _OTHER = FraudListRow, PaymentRow
_LISTED = (
    select(_ENTRY.kind)
    .where(
        _ENTRY.mac.in_(bindparam("macs", expanding=True)),
        _ENTRY.tenant.is_not_distinct_from(bindparam("tenant")),
        or_(_ENTRY.expires_at.is_(None), _ENTRY.expires_at > bindparam("now")),
    )
    .order_by(_ENTRY.kind)
    .limit(1)
)
_SAME = (
    select(_OTHER.id)
    .where(
        _OTHER.payer == bindparam("payer"),
        _OTHER.tenant.is_not_distinct_from(bindparam("tenant")),
        _OTHER.payee.is_not_distinct_from(bindparam("payee")),
        _OTHER.amount == bindparam("amount"),
        _OTHER.currency == bindparam("currency"),
        _OTHER.id != bindparam("id"),
        _OTHER.status.in_(_UNDER_WAY),
        exists().where(AttemptRow.payment_id == _OTHER.id, AttemptRow.created_at > bindparam("since")),
    )
    .limit(1)
)


class Fraud:
    """The rules, asked once for each attempt; its payer hears of no more than `blocked`."""

    def __init__(self, settings: FraudSettings) -> None:
        self._settings = settings

    async def assess(self, books: Books, attempt: AttemptRow, operation: OperationRow, via: Via) -> None:
        """Judge an attempt that was just recorded, and block it, hold it back or have its payer challenged.

        Raises:
            Problem: whatever an implementation of `assess_payment` raises; nothing is recorded then.

        """
        ctx = books.ctx
        book = await rules_in_force(ctx, self._settings)
        found = subjects(ctx, books.payment.payer, attempt)
        if "instrument" in found:
            attempt.instrument = found["instrument"]
        money = books.money(operation)
        counters = Counters(ctx, found, money)
        counted = await counters.add(book.counters(money.currency))
        facts = await _facts(books, attempt, counted, money)
        findings = await _ours(books, book, attempt, found, counted, facts)
        findings += await _theirs(ctx, facts)
        if not findings:
            return
        await ctx.session.flush()  # decisions refer to the operation
        ctx.session.add_all(_decision(books, operation, one, facts, found) for one in findings)
        outcome = strictest(findings)
        if outcome == "block":
            await counters.take_back()
        await _act(books, attempt, operation, findings, via)


async def _ours(
    books: Books,
    book: RuleBook,
    attempt: AttemptRow,
    found: Mapping[Scope, str],
    counted: Counted,
    facts: PaymentFacts,
) -> list[Finding]:
    """Ask the rules that are on or in shadow, in their order."""
    ctx, money, findings = books.ctx, facts.amount, list[Finding]()
    if book.asked("blocklist") and (kind := await _listed(ctx, found, attempt)) is not None:
        findings.append(book.find("blocklist", kind))
    if book.asked("amount") and (why := out_of_bounds(book.rules.amount, money)) is not None:
        findings.append(book.find("amount", why))
    if book.asked("velocity") and (over := list(too_fast(book.rules.velocity, counted, money.currency))):
        findings.append(book.find("velocity", "; ".join(over)))
    if (
        book.asked("duplicate")
        and not facts.allow_duplicate
        and await _paid_already(books, book.rules.duplicate.within)
    ):
        findings.append(book.find("duplicate", f"the same within {book.rules.duplicate.within} s"))
    if book.asked("new_account"):
        age = facts.account_age_s
        if (why := too_much_for_its_age(book.rules.new_account, counted, money.currency, age)) is not None:
            findings.append(book.find("new_account", why))
    return findings


async def _theirs(ctx: Context, facts: PaymentFacts) -> list[Finding]:
    """Ask the plugins."""
    return [
        Finding(one.rule[:_WHY_MAX], one.version, one.outcome, one.shadow)
        for one in await ctx.kit.hooks.each(assess_payment, facts, ctx)
        if one.outcome != "allow"
    ]


async def _act(books: Books, attempt: AttemptRow, op: OperationRow, findings: list[Finding], via: Via) -> None:
    """Let the strictest outcome come about; a challenge stays wanted where somebody has to look first."""
    ctx, outcome, before = books.ctx, strictest(findings), books.payment.status
    acting = [one for one in findings if not one.shadow]
    attempt.challenge = any(one.outcome == "challenge" for one in acting)
    if outcome == "allow":
        return
    if outcome == "block":
        blocked = Evidence(source="local", state="failed", occurred_at=ctx.now(), error_class="blocked")
        await apply(ctx, op.id, blocked, via=via)
    elif outcome == "review":
        op.review = "fraud"
        books.settle_columns()
        await ctx.session.flush()
        await emit(ctx, PaymentReviewRequested(**common(books), amount=books.money(op), operation=op.id))
    details: dict[str, Any] = {
        "operation": typeid("pop", op.id), "via": via, "outcome": outcome, "rules": [one.rule for one in acting][:20],
        "before": before, "after": books.payment.status,
    }  # fmt: skip
    target = Target("payment", books.payment.id)
    await ctx.get(Audit).record(ctx, "payments.fraud.decided", target=target, details=details, actor=op.initiator)


async def _facts(books: Books, attempt: AttemptRow, counted: Counted, money: Money) -> PaymentFacts:
    payment = books.payment
    return PaymentFacts(
        payment=typeid("pay", payment.id), attempt=attempt.n, payer=typeid("usr", payment.payer),
        payee="merchant" if payment.payee is None else typeid("usr", payment.payee), amount=money,
        method_type=attempt.method_type, instrument=attempt.instrument, address=attempt.address, agent=attempt.agent,
        device=attempt.device, account_age_s=await _age(books.ctx, payment.payer),
        allow_duplicate=payment.allow_duplicate, counters=counted.shown(),
    )  # fmt: skip


async def _age(ctx: Context, payer: UUID) -> int | None:
    """Return how old an account is, in seconds; None where nobody knows it."""
    auth = ctx.kit.find(Auth)
    user = await auth.user(ctx, payer) if auth is not None else None
    return None if user is None else max(0, int((ctx.now() - user.created_at).total_seconds()))


async def _listed(ctx: Context, found: Mapping[Scope, str], attempt: AttemptRow) -> str | None:
    """Name the kind of an entry of the list that fits."""
    own = [name for scope, name in found.items() if scope != "network"]
    given = {"macs": [*own, *networks(ctx, attempt.address)], "tenant": ctx.tenant, "now": ctx.now()}
    kind: str | None = await ctx.session.scalar(_LISTED, given)
    return kind


async def _paid_already(books: Books, within: int) -> bool:
    """Tell whether the payer has just tried to pay the same, and may still come to pay it."""
    mine, since = books.payment, books.ctx.now() - timedelta(seconds=within)
    given = {name: getattr(mine, name) for name in ("id", "payer", "tenant", "payee", "amount", "currency")}
    return await books.ctx.session.scalar(_SAME, given | {"since": since}) is not None


def _decision(
    books: Books, op: OperationRow, one: Finding, facts: PaymentFacts, found: Mapping[Scope, str]
) -> FraudDecisionRow:
    """Write what a rule said; of whom, only hashes are kept."""
    kept = {
        "why": one.why, "attempt": facts.attempt, "amount": msgspec.to_builtins(facts.amount),
        "method_type": facts.method_type, "account_age_s": facts.account_age_s,
        "allow_duplicate": facts.allow_duplicate, "subjects": dict(found),
        "counters": msgspec.to_builtins(facts.counters),
    }  # fmt: skip
    return FraudDecisionRow(
        id=uuid7(), tenant=books.payment.tenant, payment_id=books.payment.id, operation_id=op.id, rule=one.rule,
        version=one.version, outcome=one.outcome, shadow=one.shadow, facts=kept, created_at=books.ctx.now(),
    )  # fmt: skip
