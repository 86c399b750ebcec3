"""What each rule says of an attempt: no table, no clock, no call."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

from corekit.contracts.payments import AssessmentOutcome
from corekit.values import Money
from corekit_payments.fraud.counting import DAY, HOUR, MINUTE, Counted, Key
from corekit_payments.fraud.settings import AmountRule, FraudSettings, NewAccountRule, RuleName, VelocityRule

_STRICTNESS: Mapping[AssessmentOutcome, int] = {one: rank for rank, one in enumerate(get_args(AssessmentOutcome))}


@dataclass(frozen=True)
class Finding:
    """What a rule, ours or a plugin's, says of an attempt; `why` is for whoever reads the decision."""

    rule: str
    version: int
    outcome: AssessmentOutcome
    shadow: bool
    why: str = ""


@dataclass(frozen=True)
class RuleBook:
    """The rules in force, and their versions: 0 where nobody has changed the settings."""

    rules: FraudSettings
    versions: Mapping[RuleName, int]

    def asked(self, name: RuleName) -> bool:
        """Tell whether a rule is on or in shadow."""
        return self.rules.mode(name) != "off"

    def find(self, name: RuleName, why: str) -> Finding:
        """Write that a rule objects."""
        outcome = getattr(self.rules, name).outcome
        return Finding(name, self.versions.get(name, 0), outcome, self.rules.mode(name) == "shadow", why)

    def counters(self, currency: str) -> set[Key]:
        """Name what is to be counted.

        The payer's day is counted for the duplicate too: two that pay at once wait for each other there, so that the
        second one sees the first.
        """
        keys: set[Key] = set()
        if self.asked("velocity"):
            rule = self.rules.velocity
            keys |= {Key(scope, window) for scope in rule.scopes for window, most in limits(rule) if most is not None}
            keys |= {Key(scope, DAY, currency) for scope in rule.scopes if currency in rule.day_sum}
        if self.asked("duplicate"):
            keys.add(Key("principal", DAY))
        if self.asked("new_account") and currency in self.rules.new_account.day_sum:
            keys.add(Key("principal", DAY, currency))
        return keys


def limits(rule: VelocityRule) -> tuple[tuple[int, int | None], ...]:
    """Return the windows, in seconds, with the most attempts in each."""
    return ((MINUTE, rule.minute), (HOUR, rule.hour), (DAY, rule.day))


def out_of_bounds(rule: AmountRule, amount: Money) -> str | None:
    """Say which bound an amount is beyond."""
    bounds = rule.bounds.get(amount.currency)
    if bounds is None:
        return None
    if bounds.minimum is not None and amount.minor < bounds.minimum:
        return "below the minimum"
    return "above the maximum" if bounds.maximum is not None and amount.minor > bounds.maximum else None


def too_fast(rule: VelocityRule, counted: Counted, currency: str) -> Iterator[str]:
    """Say which limits an attempt is over."""
    most_of_a_day = rule.day_sum.get(currency)
    for scope in rule.scopes:
        for window, most in limits(rule):
            if most is not None and counted.n(scope, window) > most:
                yield f"{scope}: more than {most} in {window} s"
        if most_of_a_day is not None and counted.sum(scope, DAY) > most_of_a_day:
            yield f"{scope}: more than {most_of_a_day} {currency} in {DAY} s"


def too_much_for_its_age(rule: NewAccountRule, counted: Counted, currency: str, age: float | None) -> str | None:
    """Say whether a new account pays more than it may; an account of unknown age is no new one."""
    most = rule.day_sum.get(currency)
    if most is None or age is None or age >= rule.younger_than:
        return None
    return f"more than {most} {currency} in {DAY} s" if counted.sum("principal", DAY) > most else None


def strictest(findings: list[Finding]) -> AssessmentOutcome:
    """Return what comes of all of them; those in shadow act on nothing."""
    acting: list[AssessmentOutcome] = [one.outcome for one in findings if not one.shadow]
    return max(acting, key=_STRICTNESS.__getitem__, default="allow")
