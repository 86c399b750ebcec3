"""A rule of a third party's: a plugin that knows nothing of ours but the hook, and is heard like our own rules."""

from typing import Any

import pytest
from fraud_rules import only, rows
from sqlalchemy import select

from corekit.context import Context
from corekit.contracts.payments import Assessment, AssessmentOutcome, PaymentFacts, assess_payment
from corekit.hooks import implements
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit_payments.fraud.rows import FraudDecisionRow
from corekit_payments.fraud.settings import AmountRule, Bounds, VelocityRule
from corekit_payments.models import AttemptRow


class OraclePlugin(Plugin[Settings]):
    """Says what it is told to say, and remembers what it was asked."""

    name = "oracle"

    def __init__(self, outcome: AssessmentOutcome, *, shadow: bool = False) -> None:
        super().__init__()
        self.answer = Assessment(outcome=outcome, rule="oracle.moon", version=7, shadow=shadow)
        self.asked: list[PaymentFacts] = []

    @implements(assess_payment)
    async def ask(self, facts: PaymentFacts, ctx: Context) -> Assessment | None:
        """Look at the moon, and at what the database says of the attempt."""
        assert await ctx.session.scalar(select(AttemptRow.n)) == facts.attempt
        self.asked.append(facts)
        return self.answer


@pytest.mark.parametrize(
    ("outcome", "status", "seen"),
    [("allow", 201, "succeeded"), ("block", 402, "failed"), ("review", 201, "needs_review")],
)
async def test_its_word_counts(
    open_counter: Any, monkeypatch: pytest.MonkeyPatch, outcome: AssessmentOutcome, status: int, seen: str
) -> None:
    oracle = OraclePlugin(outcome)
    rule = VelocityRule(scopes=("principal", "network"), minute=5, hour=None, day=None, day_sum={"INR": 10**6})
    counter = await open_counter(oracle, fraud=only(velocity=rule))
    monkeypatch.setattr(counter.http._transport, "client", ("203.0.113.7", 123))
    answer = await counter.pay()
    assert (answer.status_code, answer.json().get("payment_status", answer.json().get("status"))) == (status, seen)
    assert (counter.effects() == []) == (outcome != "allow")
    (facts,) = oracle.asked
    assert (facts.amount.minor, facts.method_type, facts.account_age_s, facts.address) == (
        1000, "token", None, "203.0.113.7",
    )  # fmt: skip
    assert [(one.scope, one.window_s, one.n, one.sum) for one in facts.counters] == [
        ("network", 60, 1, None), ("principal", 60, 1, None),
    ]  # fmt: skip
    found = [(one.rule, one.version, one.outcome) for one in await rows(counter.kit, FraudDecisionRow)]
    assert found == ([] if outcome == "allow" else [("oracle.moon", 7, outcome)])


async def test_the_strictest_word_wins(open_counter: Any) -> None:
    """Red when the last finding wins: a lenient plugin does not overrule a rule of ours."""
    rule = AmountRule(bounds={"INR": Bounds(maximum=10)})
    counter = await open_counter(OraclePlugin("review"), fraud=only(amount=rule))
    assert (await counter.pay()).status_code == 402
    assert sorted(one.outcome for one in await rows(counter.kit, FraudDecisionRow)) == ["block", "review"]


async def test_in_shadow_it_is_kept_and_acts_on_nothing(open_counter: Any) -> None:
    counter = await open_counter(OraclePlugin("block", shadow=True), fraud=only())
    assert (await counter.pay()).json()["status"] == "succeeded"
    assert [(one.outcome, one.shadow) for one in await rows(counter.kit, FraudDecisionRow)] == [("block", True)]
