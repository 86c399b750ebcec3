"""Fraud rules: what is blocked was never sent, its payer hears no more than that, and shadow acts on nothing."""

import re
import tomllib
from ipaddress import ip_network
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from fraud_rules import only, raced, rows
from hypothesis import given
from hypothesis import strategies as st

from corekit.context import Actor
from corekit.contracts.payments import AssessmentOutcome
from corekit.errors import ConfigError
from corekit.guard.audit_rows import AuditRow
from corekit_payments.fraud.judging import Finding, strictest
from corekit_payments.fraud.rows import FraudCounterRow, FraudDecisionRow
from corekit_payments.fraud.settings import AmountRule, Bounds, FraudSettings, VelocityRule
from corekit_payments.fraud.subjects import network
from corekit_payments.models import OperationRow

N, RACING = 5, 50


async def test_an_amount_beyond_its_bounds_is_blocked_and_never_sent(open_counter: Any) -> None:
    """Red when a blocked operation is left `created`, or the decision rolls back with the refusal."""
    bounds = {"INR": Bounds(minimum=500, maximum=2000)}
    counter = await open_counter(fraud=only(amount=AmountRule(bounds=bounds)))
    too_much = await counter.pay(amount={"amount": 2001, "currency": "INR"})
    assert too_much.status_code == 402
    body = too_much.json()
    assert (body["reason"], body["payment_status"]) == ("blocked", "failed")
    assert "amount" not in msgspec.json.encode(body).decode()
    assert (await counter.pay(amount={"amount": 499, "currency": "INR"})).status_code == 402
    assert (await counter.pay(amount={"amount": 2000, "currency": "INR"})).status_code == 201
    assert (await counter.pay(amount={"amount": 5000, "currency": "USD"})).status_code == 201
    assert counter.effects() == [(kind, n) for n in (2000, 5000) for kind in ("authorize", "capture")]
    decisions = await rows(counter.kit, FraudDecisionRow)
    assert sorted((one.rule, one.version, one.outcome, one.shadow, one.facts["why"]) for one in decisions) == [
        ("amount", 0, "block", False, "above the maximum"),
        ("amount", 0, "block", False, "below the minimum"),
    ]
    (blocked, *_) = [one for one in await rows(counter.kit, OperationRow) if one.id == decisions[0].operation_id]
    assert (blocked.state, blocked.error_class, blocked.sends) == ("failed", "blocked", 0)
    entries = [one for one in await rows(counter.kit, AuditRow) if one.action == "payments.fraud.decided"]
    assert [(one.actor, one.details["outcome"], one.details["rules"]) for one in entries] == [
        (Actor("alice").id, "block", ["amount"])
    ] * 2


async def test_a_blocked_payment_is_answered_alike_under_its_key_and_stays_ended(open_counter: Any) -> None:
    bounds = {"INR": Bounds(maximum=10)}
    counter = await open_counter(fraud=only(amount=AmountRule(bounds=bounds)))
    first = await counter.pay(key="once")
    again = await counter.pay(key="once")
    assert (first.status_code, again.content) == (402, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    method = {"method": {"type": "token", "token": "tok_ok"}}
    assert (await counter.post(f"/{first.json()['payment']}/confirm", method)).status_code == 409
    assert len(await rows(counter.kit, OperationRow)) == 1


async def test_a_blocked_try_is_told_as_such_while_an_older_one_waits_for_its_payer(open_counter: Any) -> None:
    """Red when the answer goes by the payment, which still waits, and not by what was just tried."""
    rule = VelocityRule(scopes=("principal",), minute=1, hour=None, day=None, day_sum={})
    counter = await open_counter(fraud=only(velocity=rule))
    waits = (await counter.pay("tok_3ds")).json()
    again = await counter.post(f"/{waits['id']}/confirm", {"method": {"type": "token", "token": "tok_ok"}})
    assert (again.status_code, again.json()["reason"], again.json()["payment_status"]) == (
        402, "blocked", "requires_action",
    )  # fmt: skip
    assert counter.effects() == []


async def test_of_fifty_at_once_exactly_as_many_as_allowed_go_through(open_counter: Any) -> None:
    """Red when the counter is read before it is raised: then more than N see room."""
    rule = VelocityRule(scopes=("principal",), minute=N, hour=None, day=None, day_sum={})
    counter = await open_counter(fraud=only(velocity=rule), request_timeout=60.0)
    answers = await raced(counter.pay() for _ in range(RACING))
    assert sorted(one.status_code for one in answers) == [201] * N + [402] * (RACING - N)
    assert counter.effects().count(("capture", 1000)) == N
    assert [one.n for one in await rows(counter.kit, FraudCounterRow)] == [RACING]


async def test_another_window_has_room_again(open_counter: Any, clock: Any) -> None:
    rule = VelocityRule(scopes=("principal",), minute=1, hour=None, day=None, day_sum={})
    counter = await open_counter(fraud=only(velocity=rule))
    assert [(await counter.pay()).status_code for _ in range(2)] == [201, 402]
    assert (await counter.pay(who="bob")).status_code == 201
    clock.move(60)
    assert (await counter.pay()).status_code == 201


async def test_a_rule_in_shadow_is_asked_and_acts_on_nothing(open_counter: Any) -> None:
    """Red when `strictest` counts findings in shadow."""
    rule = AmountRule(bounds={"INR": Bounds(maximum=10)})
    off = ("blocklist", "velocity", "duplicate", "new_account")
    counter = await open_counter(fraud=FraudSettings(shadow=("amount",), off=off, amount=rule))  # type: ignore[arg-type]
    assert (await counter.pay()).status_code == 201
    (decision,) = await rows(counter.kit, FraudDecisionRow)
    assert (decision.rule, decision.outcome, decision.shadow) == ("amount", "block", True)
    assert not [one for one in await rows(counter.kit, AuditRow) if one.action == "payments.fraud.decided"]


def test_the_settings_of_the_documentation_are_settings() -> None:
    page = (Path(__file__).parents[3] / "docs/how-to/payments-fraud.md").read_text("utf-8")
    (shown,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    read = msgspec.convert(tomllib.loads(shown)["payments"]["fraud"], FraudSettings)
    assert (read.mode("duplicate"), read.mode("new_account"), read.mode("velocity")) == ("shadow", "off", "on")
    with pytest.raises(ConfigError, match="duplicate"):
        FraudSettings(shadow=("duplicate",), off=("duplicate",))


ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


@given(ADDRESSES, st.data())
def test_two_addresses_have_a_network_in_common_exactly_where_it_holds_both(one: Any, data: st.DataObject) -> None:
    bits = data.draw(st.integers(0, one.max_prefixlen))
    flipped = data.draw(st.integers(0, one.max_prefixlen - 1))
    other = type(one)(int(one) ^ (1 << flipped))
    assert (network(one, bits) == network(other, bits)) == (other in ip_network((one, bits), strict=False))


@given(st.lists(st.tuples(st.sampled_from(get_args(AssessmentOutcome)), st.booleans())))
def test_the_strictest_of_those_that_act_wins_in_any_order(said: list[tuple[AssessmentOutcome, bool]]) -> None:
    findings = [Finding("rule", 1, outcome, shadow) for outcome, shadow in said]
    acting = {outcome for outcome, shadow in said if not shadow}
    wanted = next((one for one in ("block", "review", "challenge") if one in acting), "allow")
    assert strictest(findings) == strictest(findings[::-1]) == wanted
