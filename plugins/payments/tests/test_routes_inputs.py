"""What does not fit is refused with the name of its field, and a card's number leaves no trace."""

import copy
from typing import Any

import pytest
from counters import BASE, payment
from sqlalchemy import select

from corekit.data import Base
from corekit.values import encode_cursor, typeid, uuid7
from corekit_payments.sandbox import journal_of

CARDS = ("4111111111111111", "5500-0000-0000-0004", "3782 822463 10005")
ID = typeid("pay", uuid7())
TOKEN = {"type": "token", "token": "tok_ok", "provider": "sandbox"}
FULL: dict[str, Any] = payment(
    method=TOKEN,
    capture_method="manual",
    payee="merchant",
    merchant_reference="order-7",
    description="tea",
    metadata={"shelf": "a"},
    return_url=None,
)
BODIES: dict[str, Any] = {
    "": FULL,
    "/confirm": {"method": TOKEN, "return_url": None},
    "/cancel": {"reason": "sold out"},
    "/capture": {"amount": {"amount": 1, "currency": "INR"}},
    "/refunds": {"amount": {"amount": 1, "currency": "INR"}, "reason": "torn"},
    "/review": {"verdict": "accept", "reason": "the address fits the order"},
    "PATCH": {"description": "tea", "metadata": {"shelf": "a"}},
}
WHO = {"/capture": "clara", "/refunds": "clara", "/cancel": "clara", "/review": "rita"}


def places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """List where a body holds a text, or may: what is null, and one field too many."""
    if not isinstance(value, dict):
        return [path] if value is None or isinstance(value, str) else []
    return [*(place for key, inner in value.items() for place in places(inner, (*path, key))), (*path, "surplus")]


def put(body: Any, path: tuple[str, ...], text: str) -> Any:
    changed = copy.deepcopy(body)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = text
    return changed


async def dump(counter: Any) -> str:
    """Write out every table, and what the sandbox keeps."""
    async with counter.kit.caller().system("payments").begin(readonly=True) as ctx:
        mine = [table for table in Base.metadata.sorted_tables if table.name.startswith(("corekit_", "payments_"))]
        tables = [list(await ctx.session.execute(select(*table.c))) for table in mine]
    file = journal_of(counter.kit.database.data_dir, "sandbox")
    return repr(tables) + "".join(part.read_bytes().decode("latin-1") for part in file.parent.glob("*"))


@pytest.mark.parametrize("verb", BODIES)
async def test_card_numbers_leave_no_trace(
    counter: Any, verb: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Into every field of every body: refused, and in no reply, no table, no journal and no log."""
    held = (await counter.pay(capture_method="manual")).json()["id"]
    path, who, body = f"/{held}{verb}" if verb else "", WHO.get(verb, "alice"), BODIES[verb]
    tried = [(place, put(body, place, card)) for place in places(body) for card in CARDS]
    if "metadata" in body:
        tried += [(("metadata",), put(body, ("metadata",), {card: "shelf"})) for card in CARDS]  # type: ignore[arg-type]
    for place, changed in tried:
        if verb == "PATCH":
            sent = {"Authorization": "Bearer alice", "If-Match": "*"}
            answer = await counter.http.patch(f"{BASE}/{held}", json=changed, headers=sent)
        else:
            answer = await counter.post(path, changed, who)
        assert answer.status_code == 422, (place, answer.text)
        assert not any(card in answer.text for card in CARDS), place
    said, kept = capfd.readouterr(), await dump(counter)
    assert "tok_ok" in kept  # what is looked through is what was written
    assert not any(card in found for found in (kept, said.out, said.err, caplog.text) for card in CARDS)
    assert counter.effects() == [("authorize", 1000)]


@pytest.mark.parametrize(
    ("change", "slug", "pointer"),
    [
        ({"amount": None}, "invalid", "/amount"),
        ({"amount": {"amount": 0, "currency": "INR"}}, "amount-out-of-range", "/amount/amount"),
        ({"amount": {"amount": -5, "currency": "INR"}}, "amount-out-of-range", "/amount/amount"),
        ({"amount": {"amount": 1.5, "currency": "INR"}}, "invalid", "/amount/amount"),
        ({"amount": {"amount": True, "currency": "INR"}}, "invalid", "/amount/amount"),
        ({"amount": {"amount": "\u0663", "currency": "INR"}}, "invalid", "/amount/amount"),
        ({"amount": {"amount": "10\n", "currency": "INR"}}, "invalid", "/amount/amount"),
        ({"amount": {"amount": "1e3", "currency": "INR"}}, "invalid", "/amount/amount"),
        ({"amount": {"amount": "1000", "currency": "INR"}}, "invalid", "/amount/amount"),
        ({"amount": {"amount": 1000.5, "currency": "INR"}}, "invalid", "/amount/amount"),
        ({"confirm": "true"}, "invalid", "/confirm"),
        ({"amount": {"amount": 2**53, "currency": "INR"}}, "invalid", "/amount"),
        ({"amount": {"amount": 10, "currency": "XXX"}}, "invalid", "/amount"),
        ({"amount": {"amount": 10, "currency": "CHF"}}, "currency-not-supported", "/amount/currency"),
        ({"method": {"type": "card", "token": "pm_1"}}, "method-not-available", "/method"),
        ({"method": {"type": "token", "token": "a b"}}, "invalid", "/method/token"),
        ({"method": {"type": "token", "token": "tok_ok", "provider": "no!"}}, "invalid", "/method/provider"),
        ({"method": None}, "invalid", "/method"),
        ({"confirm": False}, "invalid", "/method"),
        ({"payee": "nobody"}, "invalid", "/payee"),
        ({"capture_method": "later"}, "invalid", "/capture_method"),
        ({"description": "x" * 501}, "invalid", "/description"),
        ({"metadata": {"shelf": 3}}, "invalid", "/metadata"),
        ({"metadata": {str(number): "x" for number in range(21)}}, "invalid", "/metadata"),
        ({"return_url": "https://evil.example/"}, "invalid", "/return_url"),
        ({"amonut": 1}, "invalid", "/amonut"),
    ],
)
async def test_what_does_not_fit_is_named(counter: Any, change: dict[str, Any], slug: str, pointer: str) -> None:
    answer = await counter.post("", payment() | change)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, f"urn:corekit:problem:{slug}"), problem
    assert problem["pointer"] == pointer
    assert counter.effects() == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"description": "a\x00b"}, "/description"),
        ({"merchant_reference": "\x00"}, "/merchant_reference"),
        ({"metadata": {"a\x00": "x"}}, "/metadata"),
        ({"metadata": {"a": "\x00"}}, "/metadata"),
        ({"return_url": "https://shop.example/\x00"}, "/return_url"),
    ],
)
async def test_a_text_that_no_database_takes(counter: Any, body: dict[str, Any], pointer: str) -> None:
    answer = await counter.post("", payment() | body)
    assert (answer.status_code, answer.json()["pointer"]) == (422, pointer)


async def test_amounts_that_do_not_fit_the_payment(counter: Any) -> None:
    held = (await counter.pay(capture_method="manual")).json()["id"]
    tries = [
        ("/capture", {"amount": {"amount": 1001, "currency": "INR"}}, 409, "amount-exceeds-remaining"),
        ("/capture", {"amount": {"amount": 1, "currency": "USD"}}, 422, "invalid"),
        ("/capture", {"amount": {"amount": 0, "currency": "INR"}}, 422, "amount-out-of-range"),
        ("/refunds", {"reason": "torn"}, 409, "payment-state"),
        ("/refunds", {"reason": ""}, 422, "invalid"),
        ("/refunds", {}, 422, "invalid"),
    ]
    for verb, body, status, slug in tries:
        answer = await counter.post(f"/{held}{verb}", body, "clara")
        assert (answer.status_code, answer.json()["type"]) == (status, f"urn:corekit:problem:{slug}"), answer.text
    assert counter.effects() == [("authorize", 1000)]


async def test_lists_are_filtered_and_go_on(counter: Any, clock: Any) -> None:
    ids = []
    for token in ("tok_ok", "tok_declined", "tok_ok"):
        answer = await counter.pay(token)
        ids.append(answer.json().get("id") or answer.json()["payment"])
        clock.move(60)
    page = (await counter.get("", limit=2)).json()
    assert [one["id"] for one in page["items"]] == [ids[2], ids[1]]
    rest = (await counter.get("", limit=2, cursor=page["next"])).json()
    assert ([one["id"] for one in rest["items"]], rest["next"]) == ([ids[0]], None)
    assert [one["id"] for one in (await counter.get("", status="succeeded")).json()["items"]] == [ids[2], ids[0]]
    assert (await counter.get("", provider="other")).json()["items"] == []
    since = rest["items"][0]["created_at"]
    assert len((await counter.get("", since=since)).json()["items"]) == 3
    assert (await counter.get("", until=since)).json()["items"] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "201"),
        ("limit", "many"),
        ("status", "paid"),
        ("provider", "No Body"),
        ("since", "yesterday"),
        ("since", "2030-01-01T00:00:00"),
        ("cursor", "nonsense"),
        ("cursor", encode_cursor(2**61, "0199f3c2-0000-7000-8000-000000000001")),  # no calendar has that moment
    ],
)
async def test_questions_that_do_not_fit(counter: Any, name: str, value: str) -> None:
    answer = await counter.get("", **{name: value})
    assert (answer.status_code, answer.json()["pointer"].strip("/")) == (422, name), answer.text


async def test_the_methods_of_a_currency(counter: Any) -> None:
    path, headers = f"{BASE.removesuffix('payments')}methods", {"Authorization": "Bearer alice"}
    answer = await counter.http.get(path, params={"currency": "JPY"}, headers=headers)
    assert answer.json() == [
        {"type": "token", "provider": "sandbox", "minimum": {"amount": 1, "currency": "JPY"}, "maximum": None}
    ]
    assert (await counter.http.get(path, params={"currency": "CHF"}, headers=headers)).json() == []
    for params in ({}, {"currency": "rupees"}):
        refused = await counter.http.get(path, params=params, headers=headers)
        assert refused.status_code == 422
        assert "currency" in refused.text
    assert (await counter.http.get(path, params={"currency": "JPY"})).status_code == 401
    assert (await counter.http.get(BASE)).status_code == 401
