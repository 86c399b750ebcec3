"""UPI in payments: a link to pay by, what is not taken, what a client hears of an address, and the settings."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from counters import BASE

from corekit.errors import ConfigError
from corekit.settings import Config
from corekit_payments import PaymentsSettings
from corekit_payments.upi import links
from corekit_payments.upi.limits import LimitRow
from corekit_payments.upi.settings import UpiSettings

SHOP = UpiSettings(payee_vpa="shop@icici", payee_name="Tea & Co", mcc="5411")
UPI = {type_: {"type": type_} for type_ in ("upi_intent", "upi_qr")}
ROOT = BASE.removesuffix("/payments")


async def check(counter: Any, body: Any, who: str | None = "alice") -> Any:
    headers = {"Authorization": f"Bearer {who}"} if who else {}
    return await counter.http.post(f"{ROOT}/upi/check", json=body, headers=headers)


@pytest.mark.parametrize(("type_", "field"), [("upi_intent", "link"), ("upi_qr", "payload")])
async def test_a_link_pays_the_merchant_this_amount(open_counter: Any, type_: str, field: str) -> None:
    counter = await open_counter(upi=SHOP)
    made = (await counter.pay(method=UPI[type_], amount={"amount": 49900, "currency": "INR"})).json()
    assert (made["status"], made["next_action"]["type"]) == ("requires_action", type_)
    (operation,) = (await counter.get(f"/{made['id']}/operations")).json()
    assert made["next_action"][field] == (
        f"upi://pay?pa=shop@icici&pn=Tea%20%26%20Co&mc=5411&tr={operation['reference']}&am=499.00&cu=INR"
    )


async def test_without_a_payee_the_sandbox_pays_nobody(counter: Any) -> None:
    made = (await counter.pay(method=UPI["upi_qr"])).json()
    read = links.parse(made["next_action"]["payload"])
    assert (str(read.payee), read.amount.minor if read.amount else 0) == ("sandbox@corekittest", 1000)


@pytest.mark.parametrize(
    ("amount", "slug"),
    [
        ({"amount": 1000, "currency": "USD"}, "currency-not-supported"),
        ({"amount": 500_001_00, "currency": "INR"}, "amount-out-of-range"),
    ],
)
async def test_what_upi_does_not_move_is_not_sent(counter: Any, amount: Any, slug: str) -> None:
    refused = await counter.pay(method=UPI["upi_qr"], amount=amount)
    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (422, slug)
    assert (await counter.get("")).json()["items"] == []


async def test_what_cannot_be_a_link_fails_in_the_sandbox(counter: Any) -> None:
    """Its own token asks for a link whatever the amount; nothing breaks."""
    refused = await counter.pay("tok_upi_qr", amount={"amount": 1000, "currency": "USD"})
    assert (refused.status_code, refused.json()["reason"]) == (402, "rejected")


async def test_methods_say_the_limit_in_force(open_counter: Any, clock: Any) -> None:
    row = LimitRow(category="merchant", effective_from=date(2031, 1, 1), per_payment=7)
    counter = await open_counter(upi=UpiSettings(limits=(row,)))
    seen = []
    for at in (datetime(2030, 12, 31, 18, 29, tzinfo=UTC), datetime(2030, 12, 31, 18, 30, tzinfo=UTC)):
        clock.move((at - clock.now()).total_seconds())
        answer = await counter.http.get(
            f"{ROOT}/methods", params={"currency": "INR"}, headers={"Authorization": "Bearer alice"}
        )
        seen.append({one["type"]: one["maximum"] and one["maximum"]["amount"] for one in answer.json()})
    assert seen[0] == {"token": None, "upi_intent": 500_000_00, "upi_qr": 500_000_00}
    assert seen[1] == {"token": None, "upi_intent": 7, "upi_qr": 7}
    assert (await counter.pay(method=UPI["upi_intent"])).status_code == 422


ASKED: list[tuple[dict[str, Any], bool, list[str]]] = [
    ({"vpa": "stripe@icici"}, True, []),
    ({"vpa": "stripe@stripeupi", "amount": {"amount": 1, "currency": "INR"}}, True, ["vpa-handle-unknown"]),
    ({"vpa": "test31c_1234@numberofcharacters"}, False, ["vpa-handle-unknown", "vpa-too-long"]),
    ({"vpa": "stripe@gmail.com"}, False, ["vpa-syntax"]),
    ({"vpa": "stripe@icici\n"}, False, ["vpa-syntax"]),
    (
        {"vpa": "\u0661@icici", "amount": {"amount": 0, "currency": "INR"}},
        False,
        ["amount-not-positive", "vpa-syntax"],
    ),
    ({"amount": {"amount": 100, "currency": "USD"}}, False, ["amount-currency"]),
    ({"amount": {"amount": 500_000_01, "currency": "INR"}}, False, ["amount-above-limit"]),
    ({}, True, []),
]


async def test_what_is_typed_is_looked_at(counter: Any) -> None:
    for body, ok, warnings in ASKED:
        answer = await check(counter, body)
        assert (answer.status_code, answer.json()) == (200, {"ok": ok, "warnings": warnings}), body


async def test_what_is_no_question_is_refused_without_repeating_it(
    counter: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    card = "4111111111111111"
    for body in (
        {"vpa": card}, {"vpa": f"{card}@icici"}, {"vpa": "hidden" * 60 + "@icici"}, {"vpa": "hidden@icici\x00"},
        {"vpa": [7]}, {"amount": {"amount": 1.5, "currency": "INR"}},
        {"amount": {"amount": 1, "currency": "hidden"}}, {"address": "hidden@icici"}, [],
    ):  # fmt: skip
        answer = await check(counter, body)
        assert answer.status_code in {400, 422}, body
        assert "hidden@" not in answer.text
        assert card not in answer.text
    assert (await check(counter, {"vpa": "hidden@icici"})).status_code == 200
    said = capfd.readouterr()
    assert not any("hidden@" in text or card in text for text in (said.out, said.err, caplog.text))
    assert (await check(counter, {}, None)).status_code == 401


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"collect": True}, "28 Feb 2026"),
        ({"payee_vpa": "shop@gmail.com", "payee_name": "Shop"}, "payee_vpa"),
        ({"payee_vpa": "shop@icici"}, "payee_name"),
        ({"payee_name": "Shop"}, "payee_vpa"),
        ({"payee_vpa": "shop@icici", "payee_name": "x" * 100}, "pn"),
        ({"mcc": "541"}, "mcc"),
        ({"mcc": "5411\n"}, "mcc"),
        ({"typed_vpa_max": 256}, "typed_vpa_max"),
        ({"limits": [{"category": "merchant", "effective_from": "2027-01-01", "per_payment": 0}]}, "per_payment"),
    ],
)
def test_settings_that_cannot_be_are_refused(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Config.load(environ={}, overrides={"payments": {"upi": table}}).table("payments", PaymentsSettings)


def test_settings_are_read_from_a_table() -> None:
    row = {"category": "merchant", "effective_from": "2027-01-01", "per_payment": 5}
    given = {"upi": {"payee_vpa": "shop@icici", "payee_name": "Shop", "mcc": "5411", "limits": [row]}}
    read = Config.load(environ={}, overrides={"payments": given}).table("payments", PaymentsSettings).upi
    assert read.limits[0].effective_from == date(2027, 1, 1)
    assert read.payee is not None
    assert read.payee.mcc == "5411"
