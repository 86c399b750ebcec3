"""The verbs: what they record, for whom, and what they refuse. No provider is called in them."""

from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from generous import GENEROUS_TABLE
from sqlalchemy import update

from corekit.context import Actor, Context
from corekit.contracts.payments import (
    Capabilities,
    NewPayment,
    NotAttempted,
    Payment,
    PaymentQuery,
    Payments,
    Provider,
    ProviderSettings,
    RedirectUrl,
    TokenMethod,
    UpiQrMethod,
    payment_providers,
    price_payment,
)
from corekit.data import DatabaseSettings
from corekit.errors import ConfigError, Invalid, NotFound, PluginError, Problem, Refused, Unauthenticated
from corekit.hooks import implements
from corekit.kit import Corekit
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit.testing import FakeClock, make_kit
from corekit.values import Money, parse_id, typeid
from corekit_payments import PaymentsPlugin
from corekit_payments.errors import (
    AmountMismatch,
    AmountOutOfRange,
    AttemptUnresolved,
    CardNumberRefused,
    CurrencyNotSupported,
    MethodNotAvailable,
    OperationOpen,
    PayeeNotSupported,
    PaymentState,
)
from corekit_payments.models import AttemptRow, OperationRow, PaymentRow

CARD = TokenMethod(token="tok_ok")
RUPEES = Money(49900, "INR")
PAY = NewPayment(amount=RUPEES, merchant_reference="order-1007")


class Closed:
    """A provider whose shop is closed: nothing here calls it."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.name = settings.name
        self.capabilities = Capabilities(
            methods=frozenset({"token"}),
            currencies=frozenset({"INR"}),
            minimum=100,
            maximum=10_000_00,
            void=settings.kind != "stubborn",
            collects_for_users=settings.collects_for_users,
        )

    def __getattr__(self, name: str) -> Any:
        raise NotAttempted(name)


class ShopPlugin(Plugin[Settings]):
    """Brings the providers of these tests, and knows what an order costs."""

    name = "shop"

    @implements(payment_providers)
    async def closed(self, settings: ProviderSettings) -> Sequence[Provider] | None:
        return [Closed(settings)] if settings.kind in {"closed", "stubborn"} else None

    @implements(price_payment)
    async def price(self, new: NewPayment, ctx: Context) -> Money | None:
        return RUPEES if new.merchant_reference == "order-1007" else None


SETTINGS = {
    "jobs": {"worker": False},
    "access": {
        "roles": {"support": ["payments:payment:read"], "boss": ["payments:payment:capture"]},
        "grants": {str(Actor("sue").id): ["support"], str(Actor("ben").id): ["boss"]},
    },
    "payments": {
        "sweep": False,  # nothing is sent here
        "return_hosts": ["shop.example"],
        "max_attempts": 2,
        "fraud": GENEROUS_TABLE,
        "providers": {
            "shop": {"kind": "closed", "collects_for_users": True},
            "other": {"kind": "stubborn"},
            "off": {"kind": "nowhere", "enabled": False},
        },
    },
}


@pytest.fixture
async def kit(database: DatabaseSettings, tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Corekit]:
    plugins = [PaymentsPlugin(), ShopPlugin(Settings())]
    async with make_kit(plugins, database=database, tmp_path=tmp_path, clock=clock, settings=SETTINGS) as made:
        yield made


class Desk:
    """The verbs in the short form, each in a transaction of its own."""

    def __init__(self, kit: Corekit) -> None:
        self.kit = kit

    async def do(self, verb: str, *arguments: Any, who: str = "alice") -> Any:
        async with self.kit.caller(Actor(who)).system("payments").begin() as ctx:
            return await getattr(self.kit.get(Payments), verb)(ctx, *arguments)

    async def create(self, who: str = "alice", provider: str | None = None, **fields: Any) -> Payment:
        method = {"method": replace_provider(provider), "confirm": True} if provider else {}
        made: Payment = await self.do("create", NewPayment(**{"amount": RUPEES, **method, **fields}), who=who)
        return made

    async def see(self, id_: str, who: str = "alice") -> Payment:
        async with self.kit.caller(Actor(who)).begin(readonly=True) as ctx:
            return await self.kit.get(Payments).get(ctx, id_)

    async def rows(self, id_: str) -> list[Any]:
        async with self.kit.caller(Actor("alice")).begin(readonly=True) as ctx:
            return await self.kit.get(Payments).operations(ctx, id_)


def replace_provider(name: str) -> TokenMethod:
    return TokenMethod(token="tok_ok", provider=name)


@pytest.fixture
async def desk(kit: Corekit) -> Desk:
    return Desk(kit)


async def test_a_payment_is_recorded_for_the_person_it_is_for(desk: Desk, till: Any) -> None:
    made = await desk.create(merchant_reference="order-1007", description="a lamp", metadata={"shelf": "7"})
    assert (made.status, made.version, made.payer) == ("requires_payment_method", 1, typeid("usr", Actor("alice").id))
    assert (made.payee, made.provider, made.metadata, made.next_action) == ("merchant", None, {"shelf": "7"}, None)
    assert await desk.see(made.id) == made
    assert await till.events() == ["payment_created"]
    assert await till.audited() == ["payment.created"]


async def test_with_confirm_the_first_attempt_is_recorded_and_nothing_is_sent(desk: Desk) -> None:
    made = await desk.create(provider="shop")
    assert (made.status, made.provider) == ("processing", "shop")
    (operation,) = await desk.rows(made.id)
    assert (operation.kind, operation.state, operation.seq, operation.amount) == ("authorize", "created", 1, RUPEES)
    assert len(operation.reference) == 20
    assert operation.reference.isalnum()
    assert operation.initiator == made.payer


async def test_an_order_and_its_payment_commit_together_or_not_at_all(desk: Desk, till: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        async with desk.kit.caller(Actor("alice")).system("payments").begin() as ctx:
            await desk.kit.get(Payments).create(ctx, PAY)
            1 / 0  # noqa: B018
    assert await till.rows(PaymentRow) == []
    assert await till.events() == []


@pytest.mark.parametrize(
    ("problem", "fields"),
    [
        (AmountMismatch, {"amount": Money(1, "INR"), "merchant_reference": "order-1007"}),
        (AmountMismatch, {"amount": Money(49900, "USD"), "merchant_reference": "order-1007"}),
        (AmountOutOfRange, {"amount": Money(0, "INR")}),
        (AmountOutOfRange, {"amount": Money(-1, "INR")}),
        (AmountOutOfRange, {"amount": Money(99, "INR"), "provider": "shop"}),
        (AmountOutOfRange, {"amount": Money(10_000_01, "INR"), "provider": "shop"}),
        (CurrencyNotSupported, {"amount": Money(49900, "USD"), "provider": "shop"}),
        (MethodNotAvailable, {"method": CARD, "confirm": True}),
        (MethodNotAvailable, {"method": UpiQrMethod(), "confirm": True}),
        (MethodNotAvailable, {"provider": "nobody"}),
        (MethodNotAvailable, {"provider": "off"}),
        (PayeeNotSupported, {"payee": str(Actor("bob").id), "provider": "other"}),
        (PayeeNotSupported, {"payee": str(Actor("alice").id)}),
        (Invalid, {"payee": "nobody"}),
        (Invalid, {"method": CARD}),
        (Invalid, {"confirm": True}),
        (Invalid, {"return_url": "https://evil.example/shop.example"}),
        (Invalid, {"return_url": "http://shop.example/"}),
        (Invalid, {"return_url": "https://me@shop.example/"}),
        (Invalid, {"return_url": "https://[shop.example/"}),
        (CardNumberRefused, {"description": "card 4242 4242-4242 4242 please"}),
        (CardNumberRefused, {"merchant_reference": "4242424242424242"}),
        (CardNumberRefused, {"metadata": {"4242424242424242": "x"}}),
        (CardNumberRefused, {"metadata": {"x": "378282246310005"}}),
    ],
)
async def test_what_does_not_fit_is_refused_stored_nowhere_and_not_repeated(
    desk: Desk, till: Any, problem: type[Problem], fields: dict[str, Any]
) -> None:
    with pytest.raises(problem) as caught:
        await desk.create(**fields)
    assert "4242" not in str(caught.value.body())
    assert "evil" not in str(caught.value.body())
    assert await till.rows(PaymentRow) == []


async def test_references_that_are_no_cards_pass(desk: Desk) -> None:
    made = await desk.create(merchant_reference="4242424242424241", metadata={"n": "42424242424242424242"},
                             return_url="https://shop.example/done")  # fmt: skip
    assert made.merchant_reference == "4242424242424241"


async def test_a_person_is_paid_where_the_provider_collects_for_them(desk: Desk) -> None:
    made = await desk.create(provider="shop", payee=str(Actor("bob").id))
    assert (await desk.see(made.id, "bob")).payee == typeid("usr", Actor("bob").id)


async def test_an_attempt_that_was_never_sent_gives_way_and_one_that_may_have_been_does_not(
    desk: Desk, till: Any
) -> None:
    made = await desk.create(provider="shop")
    (first,) = await desk.rows(made.id)

    async def put(**values: Any) -> None:
        async with till.caller().begin() as ctx:
            row = OperationRow.id == parse_id("pop", first.id)
            await ctx.session.execute(update(OperationRow).where(row).values(**values))

    await put(lease_until=desk.kit.clock.now() + timedelta(seconds=60))
    with pytest.raises(OperationOpen):
        await desk.do("confirm", made.id, replace_provider("shop"))
    await put(lease_until=None, state="sending", sends=2, unsent=1)
    for verb, argument in (("confirm", replace_provider("shop")), ("cancel", "no")):
        with pytest.raises(AttemptUnresolved):
            await desk.do(verb, made.id, argument)
    await put(unsent=2)
    again = await desk.do("confirm", made.id, replace_provider("other"), "https://shop.example/back")
    assert (again.status, again.provider, again.return_url) == ("processing", "other", "https://shop.example/back")
    assert [one.state for one in await desk.rows(made.id)] == ["canceled", "created"]
    assert [row.n for row in await till.rows(AttemptRow)] == [1, 2]
    with pytest.raises(PaymentState):  # two attempts are allowed here
        await desk.do("confirm", made.id, replace_provider("shop"))


async def test_an_attempt_that_is_not_decided_blocks_the_next(desk: Desk, till: Any, say: Any) -> None:
    made = await desk.create(provider="shop")
    (first,) = await desk.rows(made.id)
    async with till.caller().begin() as ctx:
        await ctx.session.execute(update(OperationRow).values(state="sending", sends=1))
    await till.apply(parse_id("pop", first.id), say("pending"))
    with pytest.raises(AttemptUnresolved):
        await desk.do("confirm", made.id, replace_provider("shop"))
    await till.apply(parse_id("pop", first.id), say("failed", error_class="funds"))
    declined = await desk.see(made.id)
    assert declined.status == "requires_payment_method"
    assert declined.decline is not None
    assert declined.decline.reason == "funds"
    assert (await desk.do("confirm", made.id, replace_provider("shop"))).status == "processing"


async def test_what_has_to_be_done_is_the_payers_to_see(desk: Desk, till: Any, say: Any) -> None:
    made = await desk.create(provider="shop", payee=str(Actor("bob").id))
    (first,) = await desk.rows(made.id)
    async with till.caller().begin() as ctx:
        await ctx.session.execute(update(OperationRow).values(state="sending", sends=1))
    action = RedirectUrl(url="https://bank.example/3ds")
    await till.apply(parse_id("pop", first.id), say("requires_action", next_action=action))
    assert (await desk.see(made.id)).next_action == action
    for name in ("bob", "sue"):
        seen = await desk.see(made.id, name)
        assert (seen.status, seen.next_action) == ("requires_action", None)


async def test_a_payment_that_was_not_sent_is_cancelled_at_once(desk: Desk, till: Any) -> None:
    made = await desk.create(provider="shop")
    for _ in range(2):
        assert (await desk.do("cancel", made.id, "changed my mind")).status == "canceled"
    assert [one.state for one in await desk.rows(made.id)] == ["canceled"]
    assert await till.events() == ["payment_canceled", "payment_created"]
    assert await till.audited() == ["payment.canceled", "payment.created"]
    with pytest.raises(PaymentState):
        await desk.do("confirm", made.id, replace_provider("shop"))


async def held(desk: Desk, till: Any, say: Any, provider: str, **evidence: Any) -> Payment:
    made = await desk.create(provider=provider, capture_method="manual")
    (first,) = await desk.rows(made.id)
    async with till.caller().begin() as ctx:
        row = OperationRow.id == parse_id("pop", first.id)
        await ctx.session.execute(update(OperationRow).where(row).values(state="sending", sends=1))
    await till.apply(parse_id("pop", first.id), say("succeeded", **evidence))
    return made


async def test_what_is_held_is_released_by_those_who_may_capture(desk: Desk, till: Any, say: Any) -> None:
    made = await held(desk, till, say, "shop")
    with pytest.raises(Refused):
        await desk.do("cancel", made.id, "no")
    assert (await desk.do("cancel", made.id, "out of stock", who="ben")).status == "requires_capture"
    void = (await desk.rows(made.id))[-1]
    assert (void.kind, void.state, void.initiator) == ("void", "created", typeid("usr", Actor("ben").id))
    stubborn = await held(desk, till, say, "other")
    with pytest.raises(PaymentState):
        await desk.do("cancel", stubborn.id, "no", who="ben")
    taken = await held(desk, till, say, "shop", captured=49900)
    with pytest.raises(PaymentState):
        await desk.do("cancel", taken.id, "no", who="ben")


async def test_who_sees_a_payment_may_not_act_and_who_does_not_hears_that_there_is_none(desk: Desk) -> None:
    made = await desk.create(provider="shop", payee=str(Actor("bob").id))
    for name, problem in (("bob", Refused), ("sue", Refused), ("mallory", NotFound)):
        for verb, argument in (("confirm", replace_provider("shop")), ("cancel", "mine")):
            with pytest.raises(problem):
                await desk.do(verb, made.id, argument, who=name)
    with pytest.raises(NotFound):
        await desk.see(made.id, "mallory")
    with pytest.raises(NotFound):
        await desk.do("confirm", typeid("pay", Actor("x").id), CARD)
    assert [one.state for one in await desk.rows(made.id)] == ["created"]


async def test_what_writes_demands_the_purpose_and_a_person(desk: Desk) -> None:
    service = desk.kit.get(Payments)
    async with desk.kit.caller(Actor("alice")).begin() as ctx:
        with pytest.raises(PluginError, match="payments"):
            await service.create(ctx, PAY)
        with pytest.raises(PluginError, match="payments"):
            await service.cancel(ctx, "pay_x", "no")
    async with desk.kit.caller().system("payments").begin() as ctx:
        with pytest.raises(Unauthenticated):
            await service.create(ctx, PAY)


async def test_pages_hold_what_one_may_see_the_newest_first(desk: Desk, clock: FakeClock) -> None:
    made = []
    for _ in range(5):
        made.append((await desk.create(provider="shop")).id)
        clock.move(1)
    await desk.create("bob")
    seen: list[str] = []
    query = PaymentQuery(limit=2)
    async with desk.kit.caller(Actor("alice")).begin(readonly=True) as ctx:
        while True:
            page = await desk.kit.get(Payments).list(ctx, query)
            seen += [one.id for one in page.items]
            if page.next is None:
                break
            query = PaymentQuery(limit=2, cursor=page.next)
        found = await desk.kit.get(Payments).list(ctx, PaymentQuery(status="succeeded"))
        assert found.items == []
        late = PaymentQuery(provider="shop", since=clock.now() - timedelta(seconds=2), until=clock.now())
        assert len((await desk.kit.get(Payments).list(ctx, late)).items) == 2
    assert seen == made[::-1]


async def test_outside_dev_a_price_is_somebodys_to_say(desk: Desk) -> None:
    desk.kit.env = "prod"
    with pytest.raises(AmountMismatch):
        await desk.create()
    assert (await desk.create(merchant_reference="order-1007")).status == "requires_payment_method"


@pytest.mark.parametrize("table", [{"Shop": {"kind": "closed"}}, {"shop": {"kind": "unheard"}}])
async def test_an_instance_without_an_adapter_ends_the_start(table: dict[str, Any], tmp_path: Path) -> None:
    plugins = [PaymentsPlugin(), ShopPlugin(Settings())]
    with pytest.raises(ConfigError, match=r"payments\.providers"):
        async with make_kit(plugins, tmp_path=tmp_path, settings={"payments": {"providers": table}}):
            pass
