"""Signatures both ways: ours before the SDK's verifier, the SDK's before ours, over bytes of every kind."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe

from corekit.settings import Secret
from corekit_payments.signing import demand_signed, sign

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
OLD, NEW = Secret("whsec_old"), Secret("whsec_new")


def bodies(count: int) -> list[bytes]:
    """Draw texts from all planes, with what JSON escapes and what it does not."""
    draw = random.Random(14)  # noqa: S311  # no secret
    letters = ['"', "\\", "\n", "\r", "é", "\u0661", "₹", "\u2028", "\U0001f4b3", "a", "0", " ", "=", ",", "."]
    return ["".join(draw.choices(letters, k=draw.randrange(200))).encode() for _ in range(count)]


def test_the_sdk_accepts_what_we_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", NOW.timestamp)
    for body in bodies(500):
        header = sign(body, NEW, NOW)
        assert stripe.WebhookSignature.verify_header(body, header, NEW.reveal(), 300)
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.WebhookSignature.verify_header(body + b" ", header, NEW.reveal(), 300)


def test_we_accept_what_the_sdk_signs() -> None:
    at = int(NOW.timestamp())
    for body in bodies(500):
        header = stripe.WebhookSignature.generate_signature_header(body.decode(), NEW.reveal(), at)
        demand_signed(header, body, [OLD, NEW], NOW)
        with pytest.raises(ValueError, match="no signature"):
            demand_signed(header, body + b" ", [OLD, NEW], NOW)


def test_bytes_are_signed_as_they_are() -> None:
    """Red when a body is read as text first: these bytes are no UTF-8."""
    draw = random.Random(15)  # noqa: S311
    for _ in range(500):
        body = draw.randbytes(draw.randrange(300))
        demand_signed(sign(body, NEW, NOW), body, [NEW], NOW)


def header(*pairs: tuple[str, str]) -> str:
    return ",".join("=".join(pair) for pair in pairs)


RIGHT = sign(b"{}", NEW, NOW).partition("v1=")[2]
AT = str(int(NOW.timestamp()))


@pytest.mark.parametrize(
    "given",
    [
        header(("t", AT), ("v1", "0" * 64), ("v1", RIGHT)),
        header(("t", AT), ("v0", "0" * 64), ("v1", RIGHT), ("v2", "x")),
    ],
)
def test_every_v1_is_tried(given: str) -> None:
    demand_signed(given, b"{}", [OLD, NEW], NOW)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "nonsense",
        header(("t", AT), ("v0", RIGHT)),
        header(("t", AT), ("v1", RIGHT[:-1])),
        header(("t", AT), ("v1", RIGHT.upper())),
        header(("t", AT), ("v1", "é" * 64)),
        header(("v1", RIGHT)),
        header(("t", AT), ("t", AT), ("v1", RIGHT)),
        header(("t", AT.translate({ord(str(n)): chr(0x660 + n) for n in range(10)})), ("v1", RIGHT)),
        header(("t", "-" + AT), ("v1", RIGHT)),
        header(("t", "9" * 13), ("v1", RIGHT)),
        header(("t", str(int(AT) + 1)), ("v1", RIGHT)),
        header(("t", AT), ("v1", RIGHT)) + "," * 4096,
    ],
)
def test_what_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match=r"header|signature"):
        demand_signed(given, b"{}", [OLD, NEW], NOW)


def test_secrets_that_are_none_or_another_or_empty() -> None:
    signed = sign(b"{}", NEW, NOW)
    for secrets in ([], [OLD], [Secret("")]):
        with pytest.raises(ValueError, match="no signature"):
            demand_signed(signed, b"{}", secrets, NOW)
    with pytest.raises(ValueError, match="no signature"):
        demand_signed(sign(b"{}", Secret(""), NOW), b"{}", [Secret("")], NOW)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_it_is_of_now(seconds: int) -> None:
    signed = sign(b"{}", NEW, NOW)
    demand_signed(signed, b"{}", [NEW], NOW + timedelta(seconds=seconds - seconds // abs(seconds)))
    with pytest.raises(ValueError, match="not of now"):
        demand_signed(signed, b"{}", [NEW], NOW + timedelta(seconds=seconds))
