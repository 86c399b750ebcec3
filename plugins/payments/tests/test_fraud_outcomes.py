"""What comes of the rules: review, a challenge, a duplicate, a cap, and hashes where somebody is named."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from fraud_rules import only, raced, rows

from corekit.context import Actor, Client, Context, Kit
from corekit.contracts.auth import Auth, User
from corekit.contracts.payments import (
    CardMethod,
    NewPayment,
    Payments,
    Provider,
    ProviderSettings,
    payment_providers,
)
from corekit.hooks import implements
from corekit.kit import Corekit
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit.testing import FakeClock
from corekit.values import Money, typeid
from corekit_payments.fraud.rows import FraudCounterRow, FraudDecisionRow
from corekit_payments.fraud.settings import (
    AmountRule,
    Bounds,
    DuplicateRule,
    FraudSettings,
    NewAccountRule,
    VelocityRule,
)
from corekit_payments.models import PURPOSE
from corekit_payments.sandbox import CAPABILITIES, Journal, Sandbox

LOW = {"INR": Bounds(maximum=10)}
REASON = "the address fits the order"


class Register:
    """Knows since when there are which accounts, and nothing else of `Auth`."""

    def __init__(self, born: dict[str, datetime]) -> None:
        self._born = {Actor(who).id: when for who, when in born.items()}

    async def user(self, _: Context, user_id: UUID) -> User | None:
        when = self._born.get(user_id)
        return None if when is None else User(id=user_id, created_at=when)


class RegisterPlugin(Plugin[Settings]):
    """Provides the register."""

    name = "register"
    provides = (Auth,)

    def __init__(self, born: dict[str, datetime]) -> None:
        super().__init__()
        self._register = Register(born)

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
        kit.provide(Auth, self._register)  # type: ignore[arg-type]  # a part of it
        yield


class CardsPlugin(Plugin[Settings]):
    """A sandbox that takes cards."""

    name = "cards"

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        super().__init__()
        can = msgspec.structs.replace(CAPABILITIES, methods=frozenset({"card"}))
        self._provider = Sandbox("cards", Journal(folder / "cards.db"), clock, can)

    @implements(payment_providers)
    async def cards(self, settings: ProviderSettings) -> Sequence[Provider] | None:
        return [self._provider] if settings.kind == "cards" else None


async def drive(counter: Any, payment: str) -> Any:
    return await counter.kit.get(Payments).drive(counter.kit.caller(Actor("alice")), payment)


async def test_what_a_rule_holds_back_is_sent_after_accept_and_never_after_reject(
    open_counter: Any, clock: Any
) -> None:
    """Red when `review` leaves the operation sendable: the driver takes it at once."""
    counter = await open_counter(fraud=only(amount=AmountRule(outcome="review", bounds=LOW)))
    held = [(await counter.pay()).json() for _ in range(2)]
    assert [(one["status"], one["review"]) for one in held] == [("needs_review", "fraud")] * 2
    for one in held:
        clock.move(3600)
        assert (await drive(counter, one["id"])).status == "needs_review"
    assert counter.effects() == []
    verdicts = {held[0]["id"]: "accept", held[1]["id"]: "reject"}
    for id_, verdict in verdicts.items():
        answer = await counter.post(f"/{id_}/review", {"verdict": verdict, "reason": REASON}, "rita")
        assert answer.status_code == 200
        await drive(counter, id_)
        clock.move(86400)
        await drive(counter, id_)
    assert counter.effects() == [("authorize", 1000), ("capture", 1000)]
    shown = [(await counter.get(f"/{one['id']}")).json() for one in held]
    assert [(one["status"], one["decline"]) for one in shown] == [
        ("succeeded", None),
        ("failed", {"reason": "blocked"}),
    ]


async def test_a_challenge_makes_the_payer_act(open_counter: Any) -> None:
    counter = await open_counter(fraud=only(amount=AmountRule(outcome="challenge", bounds=LOW)))
    asked = (await counter.pay()).json()
    assert (asked["status"], asked["next_action"]["type"]) == ("requires_action", "redirect_url")
    assert counter.effects() == []
    assert (await counter.pay("tok_declined")).status_code == 402


async def test_the_same_again_is_blocked_unless_it_is_meant_or_the_first_did_not_pay(
    open_counter: Any, clock: Any
) -> None:
    """Also where both come at once: the second waits for the first at the payer's counter, and sees it."""
    counter = await open_counter(fraud=only(duplicate=DuplicateRule()), request_timeout=60.0)
    answers = await raced(counter.pay() for _ in range(8))
    assert sorted(one.status_code for one in answers) == [201] + [402] * 7
    assert (await counter.pay(allow_duplicate=True)).status_code == 201
    assert (await counter.pay(amount={"amount": 1001, "currency": "INR"})).status_code == 201
    assert (await counter.pay(who="bob")).status_code == 201
    clock.move(61)
    assert (await counter.pay("tok_declined")).status_code == 402
    assert (await counter.pay()).status_code == 201


async def test_a_duplicate_is_known_by_when_it_is_paid_and_not_by_when_it_was_made(
    open_counter: Any, clock: Any
) -> None:
    counter = await open_counter(fraud=only(duplicate=DuplicateRule()))
    made = [(await counter.post("", {"amount": {"amount": 700, "currency": "INR"}})).json()["id"] for _ in range(2)]
    clock.move(3600)
    method = {"method": {"type": "token", "token": "tok_ok"}}
    assert [(await counter.post(f"/{id_}/confirm", method)).status_code for id_ in made] == [200, 402]


async def test_a_new_account_pays_up_to_its_cap_until_it_is_old_enough(open_counter: Any, clock: Any) -> None:
    """Red when a blocked amount stays in the sum, or an account of unknown age is taken for a new one."""
    day = timedelta(days=1)
    register = RegisterPlugin({"alice": clock.now(), "bob": clock.now() - day})
    counter = await open_counter(register, fraud=only(new_account=NewAccountRule(day_sum={"INR": 1500})))
    assert [(await counter.pay()).status_code for _ in range(2)] == [201, 402]
    assert (await counter.pay(amount={"amount": 500, "currency": "INR"})).status_code == 201
    assert (await counter.pay(amount={"amount": 1, "currency": "INR"})).status_code == 402
    assert (await counter.pay(amount={"amount": 9000, "currency": "USD"})).status_code == 201
    for who in ("bob", "clara"):
        assert [(await counter.pay(who=who)).status_code for _ in range(2)] == [201, 201]
    clock.move(86400)
    assert [(await counter.pay()).status_code for _ in range(2)] == [201, 201]


async def test_the_start_says_where_nobody_knows_how_old_accounts_are(open_counter: Any, caplog: Any) -> None:
    with caplog.at_level("INFO", logger="corekit.payments"):
        await open_counter(RegisterPlugin({}), fraud=FraudSettings())
        assert "payments_account_ages_unknown" not in caplog.text
        await open_counter(fraud=only(amount=AmountRule()))
        assert "payments_account_ages_unknown" not in caplog.text
        await open_counter(fraud=FraudSettings())
        assert "payments_account_ages_unknown" in caplog.text


async def attempt(kit: Corekit, who: str, client: Client, token: str) -> str:
    """Try to pay by card, up to where it would be sent; return the status."""
    new = NewPayment(amount=Money(1000, "INR"), method=CardMethod(token=token), confirm=True)
    async with kit.caller(Actor(who), client=client).system(PURPOSE).begin() as ctx:
        return (await ctx.get(Payments).create(ctx, new)).status


ADDRESSES = ("203.0.113.1", "203.0.113.2", "::ffff:203.0.113.255")
PRIVATE = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
CARDS = {"cards": ProviderSettings(kind="cards")}


async def test_each_scope_counts_for_itself(open_counter: Any, tmp_path: Path, clock: Any) -> None:
    """Red when a network leaves its neighbours out, or an IPv4 address inside an IPv6 one counts as IPv6."""
    rule = VelocityRule(minute=2, hour=None, day=None, day_sum={})
    counter = await open_counter(CardsPlugin(tmp_path, clock), fraud=only(velocity=rule), providers=CARDS)
    people = iter(f"person-{n}" for n in range(100))
    shared: dict[str, list[tuple[str, Client, str]]] = {
        "principal": [("alice", Client(), f"pm_p{n}") for n in range(3)],
        "instrument": [(next(people), Client(), "pm_same") for _ in range(3)],
        "device": [(next(people), Client(device="d-41"), f"pm_d{n}") for n in range(3)],
        "IPv4": [(next(people), Client(address=n), f"pm_n{n[-1]}") for n in ADDRESSES],
        "IPv6": [(next(people), Client(address=f"2001:db8:7:{n}::1"), f"pm_s{n}") for n in (1, 2, 3)],
        "no network": [(next(people), Client(address=where), f"pm_l{where[-1]}") for where in PRIVATE],
        "nothing": [(next(people), Client(address=f"198.51.{n}.1", device=f"d-{n}"), f"pm_o{n}") for n in (1, 2, 3)],
    }
    for scope, tries in shared.items():
        found = [await attempt(counter.kit, *one) for one in tries]
        assert found == ["processing", "processing", "processing" if scope.startswith("no") else "failed"], scope
    names = {one.facts["why"].partition(":")[0] for one in await rows(counter.kit, FraudDecisionRow)}
    assert names == {"principal", "instrument", "device", "network"}


async def test_those_who_share_counters_wait_for_each_other_and_never_both(
    open_counter: Any, tmp_path: Path, clock: Any
) -> None:
    """Red on PostgreSQL when counters are raised in any other order than their keys': it ends one as a deadlock."""
    many = VelocityRule(minute=10**6, hour=10**6, day=10**6)
    counter = await open_counter(CardsPlugin(tmp_path, clock), fraud=only(velocity=many), providers=CARDS)
    tries = [
        (who, Client(address=f"203.0.{net}.1", device=f"d-{device}"), f"pm_{card}")
        for who in ("alice", "bob") for net in (1, 2) for device in (1, 2) for card in (1, 2)
    ]  # fmt: skip
    await raced(attempt(counter.kit, *one) for one in tries * 2)
    found = [one for one in await rows(counter.kit, FraudCounterRow) if ":60:*:" in one.scope]
    assert [one.n for one in found] == [len(tries)] * 8


async def test_tables_name_nobody_in_the_clear(open_counter: Any, tmp_path: Path, clock: Any, caplog: Any) -> None:
    """Red when facts or counters keep an address, a device, a token or a person."""
    rule = VelocityRule(minute=1, hour=None, day=None)
    shadowed = FraudSettings(off=("duplicate",), shadow=("amount",), velocity=rule, amount=AmountRule(bounds=LOW))
    counter = await open_counter(CardsPlugin(tmp_path, clock), fraud=shadowed, providers=CARDS)
    client = Client(address="203.0.113.77", device="my-own-phone", user_agent="Agent/7")
    with caplog.at_level("DEBUG", logger="corekit"):
        assert [await attempt(counter.kit, "alice", client, "pm_secret") for _ in range(2)] == ["processing", "failed"]
    kept = []
    async with counter.kit.caller().system(PURPOSE).begin(readonly=True) as ctx:
        for table in ("payments_fraud_counter", "payments_fraud_decision"):
            found = await (await ctx.session.connection()).exec_driver_sql(f"SELECT * FROM {table}")  # noqa: S608
            kept += [str(dict(row)) for row in found.mappings()]
    assert len(kept) > 4
    alice = Actor("alice").id
    for identifier in (
        "203.0.113",
        "my-own-phone",
        "Agent/7",
        "pm_secret",
        str(alice),
        alice.hex,
        typeid("usr", alice),
    ):
        assert identifier not in "".join(kept), identifier
        assert identifier not in caplog.text, identifier


async def test_the_past_is_forgotten(open_counter: Any, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red, in batches of one, when only the first batch goes."""
    monkeypatch.setattr("corekit_payments.fraud.jobs._BATCH", 1)
    rule = AmountRule(bounds=LOW)
    fraud = FraudSettings(off=("blocklist", "duplicate", "new_account"), amount=rule, keep_days=30)
    counter = await open_counter(fraud=fraud)
    assert (await counter.pay()).status_code == 402
    payments: Any = next(one for one in counter.kit.plugins if one.name == "payments")
    for days, counters, decisions in ((1, True, 1), (2, False, 1), (30, False, 0)):
        clock.move(days * 86400)
        await payments.prune_fraud_counters(counter.kit.caller().system(PURPOSE))
        assert bool(await rows(counter.kit, FraudCounterRow)) == counters
        assert len(await rows(counter.kit, FraudDecisionRow)) == decisions


async def test_the_defaults(open_counter: Any, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the design: what a server without any setting lets through, and what not."""
    register = RegisterPlugin({"alice": clock.now(), "bob": clock.now() - timedelta(days=2)})
    counter = await open_counter(register, fraud=FraudSettings())
    monkeypatch.setattr(counter.http._transport, "client", ("203.0.113.1", 123))

    async def paid(minor: int, who: str = "bob") -> int:
        status: int = (await counter.pay(who=who, amount={"amount": minor, "currency": "INR"})).status_code
        return status

    assert [await paid(minor) for minor in (99, 10_000_001, 100, 10_000_000)] == [402, 402, 201, 201]
    assert await paid(10_000_000) == 402  # the same again
    clock.move(61)
    assert [await paid(minor) for minor in (9_999_900, 1000, 1001)] == [201, 402, 402]  # 200,000.00 are a day's
    monkeypatch.setattr(counter.http._transport, "client", ("198.51.100.1", 123))
    assert [await paid(500_000, "alice"), await paid(100, "alice")] == [201, 402]
