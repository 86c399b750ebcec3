"""UPI's addresses, links and codes: the public vectors, what is refused, and that what is written is read again."""

import contextlib
import re
import struct
import zlib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree as ET

import msgspec
import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st

from corekit.contracts.payments import ErrorClass, OperationState
from corekit.values import Money
from corekit_payments.upi import codes, links, qr, vpa
from corekit_payments.upi.limits import LimitRow, Limits

# From Stripe's STPVPANumberValidatorTest.swift, then three seen live.
VALID = (
    "stripe@icici", "stripe@okaxis", "stripe.9897605011@paytm", "payment.pending@stripeupi",
    "test30c_123@numberofcharacters", "test29c_12@numberofcharacters",
    "LC1111111111.lyra@rbl", "sbe.sbemid0001.poutube039@cnrb", "rzr.qrtestaccoun27230053@icici",
)  # fmt: skip
INVALID = (
    "", "stripe", "test@stripe.com", "stripe@gmail.com", "this-vpa-id-is-too-long-30-chars",
    "test31c_1234@numberofcharacters",
)  # fmt: skip
ODD = (
    "@icici", "stripe@", "a@b@icici", ".a@icici", "a@1cici", "a@i", "st ripe@icici", "stripe@icici\n", "stripe@icici ",
    "\u0661@icici", "a\u0660@icici", "stripe@ic\u0131ci", "strípe@icici", "a\x00@icici", "stripe@icici&am=1.00",
    "stripe%40icici",
)  # fmt: skip
GOLDEN = "upi://pay?pa=shop@icici&pn=Shop&mc=5411&tr=K3T7QX2M5W4Z6A2B3C4D&am=499.00&cu=INR"
# Of the form of a provider's intent link: signed, in an order of its own, with encodings that ours has not.
SIGNED = (
    "upi://pay?ver=01&mode=15&pa=rzr.qrtestaccoun27230053@icici&pn=Test%20Account+One&tr=RZPKjqrv2&cu=INR&mc=5399"
    "&qrMedium=04&tn=PaymenttoTest&am=499&mam=null&QRexpire=2026-11-22T09:08:00%2B05:30&sign=MEQCIF+a/b+c==&tid="
)


@pytest.mark.parametrize("text", VALID)
def test_an_address_is_read(text: str) -> None:
    read = vpa.parse(text, most=vpa.TYPED_MAX)
    assert str(read) == text
    assert read == vpa.parse(text.upper())
    assert hash(read) == hash(vpa.parse(text.upper()))


@pytest.mark.parametrize("text", [*INVALID, *ODD])
def test_what_is_no_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(vpa.VpaError) as refused:
        vpa.parse(text, most=vpa.TYPED_MAX)
    assert len(text) < 4 or text not in str(refused.value)


def test_a_providers_address_is_not_refused_for_its_length() -> None:
    assert vpa.parse("test31c_1234@numberofcharacters").handle == "numberofcharacters"
    assert vpa.parse("a" * 249 + "@icici")
    with pytest.raises(vpa.VpaError):
        vpa.parse("a" * 250 + "@icici")


def test_an_address_is_masked_wherever_it_is_shown() -> None:
    assert vpa.parse("stripe@icici").masked == "st***@icici"
    assert [vpa.parse(f"{local}@icici").masked for local in ("a", "ab")] == ["***@icici", "***@icici"]
    assert "stripe" not in repr(vpa.parse("stripe@icici"))
    assert vpa.known_handle(vpa.parse("x@OkAxis"))
    assert not vpa.known_handle(vpa.parse("x@stripeupi"))


def test_a_link_is_built_in_its_order() -> None:
    shop = links.Link(
        payee=vpa.parse("shop@icici"), name="Shop", mcc="5411", reference="K3T7QX2M5W4Z6A2B3C4D",
        amount=Money(49900, "INR"),
    )  # fmt: skip
    assert links.build(shop) == GOLDEN
    assert links.parse(GOLDEN) == shop
    odd = msgspec.structs.replace(shop, name="Tea & Söhne+Co", note="Order 7")
    assert links.build(odd) == (
        "upi://pay?pa=shop@icici&pn=Tea%20%26%20S%C3%B6hne%2BCo&mc=5411&tr=K3T7QX2M5W4Z6A2B3C4D&tn=Order%207"
        "&am=499.00&cu=INR"
    )
    person = links.Link(payee=vpa.parse("ann@okaxis"), name="Ann", mcc="0000")
    assert links.build(person) == "upi://pay?pa=ann@okaxis&pn=Ann&mc=0000"


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"name": ""}, "pn"), ({"name": "x" * 100}, "pn"), ({"name": "a\nb"}, "pn"), ({"name": "\ud800"}, "pn"),
        ({"mcc": "541"}, "mc"), ({"mcc": "541\u0661"}, "mc"), ({"mcc": "5411\n"}, "mc"),
        ({"reference": None}, "tr"), ({"reference": "a" * 36}, "tr"), ({"reference": "a-b"}, "tr"),
        ({"reference": "abc\n"}, "tr"), ({"reference": "\u0661"}, "tr"), ({"reference": None, "mcc": None}, "tr"),
        ({"note": "a" * 51}, "tn"), ({"note": "a&b"}, "tn"), ({"note": ""}, "tn"),
        ({"amount": Money(0, "INR")}, "am"), ({"amount": Money(-1, "INR")}, "am"), ({"amount": Money(1, "USD")}, "am"),
        ({"amount": Money(10**12, "INR")}, "am"), ({"others": {"mode": "15"}}, "provider"),
        ({"minimum": Money(1, "INR")}, "provider"),
    ],
)  # fmt: skip
def test_a_link_is_not_built_of_what_does_not_fit(changed: dict[str, Any], named: str) -> None:
    shop = links.parse(GOLDEN)
    with pytest.raises(links.LinkError, match=named):
        links.build(msgspec.structs.replace(shop, **changed))


@pytest.mark.parametrize("amount", ["1", "1.5", "1.50", "0.01", "9999999999.99"])
def test_an_amount_is_read_exactly(amount: str) -> None:
    read = links.parse(f"upi://pay?pa=a@icici&am={amount}").amount
    assert read == Money.parse(amount, "INR")


@pytest.mark.parametrize(
    "amount",
    ["0", "0.00", "00.10", "01.00", "1.", ".5", "1.005", "-1.00", "+1.00", "1e3", "1E3", "NaN", "Infinity", "inf",
     "1,00", "1_0", "\u0661.00", "%D9%A1.00", "1.0\u0660", "1.00%0A", "1.00\n", "1.00%20", "0x10", "99999999999.00"],
)  # fmt: skip
def test_what_is_no_amount_is_refused(amount: str) -> None:
    with pytest.raises(links.LinkError):
        links.parse(f"upi://pay?pa=a@icici&am={amount}")


@pytest.mark.parametrize(
    "text",
    ["", "upi://pay", "upi://mandate?pa=a@icici", "https://pay?pa=a@icici", "upi://pay?", "upi://pay?pn=Shop",
     "upi://pay?pa=a@icici&pa=b@icici", "upi://pay?pa=a@icici&am=1.00&cu=USD", "upi://pay?pa=a@icici&pn=%",
     "upi://pay?pa=a@icici&pn=%ff", "upi://pay?pa=a@icici&pn=a%00", "upi://pay?pa=a@icici&mam=1.00",
     "upi://pay?pa=a@icici&am=1.00&mam=1.01", "upi://pay?pa=a@icici&mc=54", "upi://pay?pa=a@icici&mode=1",
     "upi://pay?pa=a@icici&pn", "upi://pay?pa=a@icici&&pn=b", "upi://pay?pa=a@icici&pn=" + "x" * 4096, GOLDEN + "\n"],
)  # fmt: skip
def test_what_is_no_link_is_refused(text: str) -> None:
    with pytest.raises(links.LinkError):
        links.parse(text)


def test_a_providers_link_is_read_and_never_built_again() -> None:
    read = links.parse(SIGNED)
    assert (str(read.payee), read.name, read.reference) == (
        "rzr.qrtestaccoun27230053@icici", "Test Account One", "RZPKjqrv2"
    )  # fmt: skip
    assert read.amount == read.minimum == Money(49900, "INR")
    assert read.others["sign"] == "MEQCIF+a/b+c=="
    assert set(read.others) == {"ver", "mode", "qrMedium", "QRexpire", "sign"}
    with pytest.raises(links.LinkError, match="as it came"):
        links.build(read)


_ADDRESS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}@[A-Za-z][A-Za-z0-9]{1,20}", fullmatch=True).map(vpa.parse)
_NAME = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=99)
_LINKS = st.builds(
    links.Link,
    payee=_ADDRESS,
    name=_NAME,
    mcc=st.none() | st.from_regex(r"[0-9]{4}", fullmatch=True),
    reference=st.from_regex(r"[A-Za-z0-9]{1,35}", fullmatch=True),
    note=st.none() | st.from_regex(r"[A-Za-z0-9 ]{1,50}", fullmatch=True),
    amount=st.none() | st.integers(1, 10**12 - 1).map(lambda minor: Money(minor, "INR")),
)


@given(_LINKS)
def test_what_is_built_is_read_again(link: links.Link) -> None:
    text = links.build(link)
    assert re.fullmatch(r"upi://pay\?[A-Za-z0-9@%&=._~-]+", text)
    assert links.parse(text) == link
    assert links.build(links.parse(text)) == text


@given(st.text())
def test_no_text_does_more_than_be_refused(text: str) -> None:
    for reader, error in ((vpa.parse, vpa.VpaError), (links.parse, links.LinkError)):
        for tried in (text, f"upi://pay?{text}", f"upi://pay?pa=a@icici&{text}"):
            with contextlib.suppress(error):
                reader(tried)


def pixels(png: bytes) -> tuple[int, int, bytes]:
    """Read a PNG of one bit a pixel, with the filters None and Up (RFC 2083), into one byte a pixel."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height, depth, colour = struct.unpack(">IIBB", png[16:26])
    assert (depth, colour) == (1, 0)
    data, at = b"", 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        data += png[at + 8 : at + 8 + size] if png[at + 4 : at + 8] == b"IDAT" else b""
        at += size + 12
    raw, row = zlib.decompress(data), (width + 7) // 8 + 1
    lines = [bytes(row - 1)]
    for y in range(height):
        kind, line = raw[y * row], raw[y * row + 1 : (y + 1) * row]
        assert kind in {0, 2}
        above = lines[-1] if kind else bytes(row - 1)
        lines.append(bytes((one + up) % 256 for one, up in zip(line, above, strict=True)))
    return width, height, bytes(255 * (line[x // 8] >> (7 - x % 8) & 1) for line in lines[1:] for x in range(width))


@pytest.mark.parametrize("text", [GOLDEN, SIGNED])
def test_a_reader_of_codes_reads_the_same_bytes(text: str) -> None:
    width, height, dots = pixels(qr.png(text))
    (found,) = zxingcpp.read_barcodes(memoryview(dots).cast("B", (height, width)))
    assert found.text == text


def test_a_code_stands_in_a_page_without_style_or_script() -> None:
    drawn = ET.fromstring(qr.svg(GOLDEN))  # noqa: S314  # ours
    assert drawn.tag.endswith("svg")
    assert {name for one in drawn.iter() for name in one.attrib if name in {"style", "onload", "href"}} == set()
    for text in ("", "x" * (qr.MOST + 1)):
        with pytest.raises(ValueError, match="bytes"):
            qr.svg(text)


def test_a_limit_holds_from_its_day_in_india() -> None:
    limits = Limits([LimitRow(category="jewellery", effective_from=date(2027, 4, 1), per_payment=7)])
    before, after = datetime(2027, 3, 31, 18, 29, 59, tzinfo=UTC), datetime(2027, 3, 31, 18, 30, tzinfo=UTC)
    held = [row.per_payment if (row := limits.at(at, "jewellery")) else None for at in (before, after)]
    assert held == [200_000_00, 7]
    assert limits.at(datetime(2025, 9, 14, 18, 29, tzinfo=UTC), "merchant") is None
    assert limits.at(after, "no such") is None


def test_a_row_of_the_settings_takes_the_place_of_the_packages() -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    lower = Limits([LimitRow(category="merchant", effective_from=date(2025, 9, 15), per_payment=5, per_day=9)])
    row = lower.at(at, lower.category("5411"))
    assert row is not None
    assert (row.per_payment, row.per_day) == (5, 9)
    named = [lower.category(mcc) for mcc in ("0000", "6211", "9311", "5944", None, "", "9999")]
    assert named == ["person", "capital_markets", "tax", "jewellery", "merchant", "merchant", "merchant"]


def test_the_limits_are_npcis() -> None:
    lakh, at = 100_000_00, datetime(2026, 11, 1, tzinfo=UTC)
    rows = {name: Limits().at(at, name) for name in (
        "person", "capital_markets", "insurance", "government_market", "travel", "collections", "tax", "card_bills",
        "jewellery", "merchant", "fx_retail", "account_opening", "initial_funding", "ipo")}  # fmt: skip
    shown = {name: row and (row.per_payment // lakh, row.per_day and row.per_day // lakh) for name, row in rows.items()}
    ten = dict.fromkeys(
        ("capital_markets", "insurance", "government_market", "travel", "collections", "tax"), (5, 10)
    )  # fmt: skip
    assert shown == ten | {
        "person": (1, 1), "card_bills": (5, 6), "jewellery": (2, 6), "merchant": (5, None), "fx_retail": (5, 5),
        "account_opening": (5, 5), "initial_funding": (2, 2), "ipo": (5, None),
    }  # fmt: skip


EXPECTED = {
    "00": ("succeeded", None, None), "01": ("pending", None, "poll"), "RB": ("unknown", None, "reconcile"),
    "96": ("unknown", None, "reconcile"), "U69": ("failed", "expired", None), "ZA": ("failed", "declined", None),
    "Z9": ("failed", "funds", None), "Z8": ("failed", "limit", None), "Z7": ("failed", "limit", None),
    "Z6": ("failed", "authentication", None), "ZM": ("failed", "authentication", None), "U16": ("failed", "risk", None),
    "59": ("failed", "risk", None), "U30": ("failed", "retry_later", None), "U48": ("failed", "other", None),
    "U01": ("unknown", None, "look_up"),
}  # fmt: skip


def test_every_code_maps() -> None:
    assert {code: (row.state, row.error, row.then) for code, row in codes.table().items()} == EXPECTED
    for code, row in codes.table().items():
        assert row.state in get_args(OperationState)
        assert row.error is None or row.error in get_args(ErrorClass)
        assert codes.outcome(f" {code.lower()}", failed=True) is row  # never failed from its sender's word against it
        assert row.meaning


def test_of_an_unknown_code_only_its_senders_word_counts() -> None:
    told, untold = codes.outcome("QQ", failed=True), codes.outcome("QQ", failed=False)
    assert (told.state, told.error, told.then) == ("failed", "other", None)
    assert (untold.state, untold.error, untold.then) == ("unknown", None, "look_up")


def test_each_code_stands_once_in_its_file() -> None:
    text = (Path(codes.__file__).parent / "codes.toml").read_text("utf-8")
    assert len(re.findall(r"^\[\[code\]\]$", text, re.MULTILINE)) == len(codes.table())
