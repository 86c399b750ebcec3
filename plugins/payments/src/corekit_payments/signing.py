"""Signatures of notices in Stripe's scheme: HMAC-SHA256 over `t.body`, in a header `t=…,v1=…[,v1=…][,v0=…]`."""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta

from corekit.settings import Secret

TOLERANCE = timedelta(seconds=300)  # either way: a notice is never from the future either
_LONGEST = 4096  # characters of a header
_DIGITS = 12  # of a time in seconds


def sign(raw: bytes, secret: Secret, at: datetime) -> str:
    """Write the header for a body."""
    seconds = str(int(at.timestamp()))
    return f"t={seconds},v1={_mac(raw, secret, seconds)}"


def demand_signed(
    header: str | None, raw: bytes, secrets: Sequence[Secret], now: datetime, tolerance: timedelta = TOLERANCE
) -> None:
    """Refuse a body that none of the secrets has signed just now; all `v1` are tried, `v0` is ignored.

    Raises:
        ValueError: the header is missing or unreadable, the time too far away, or no signature is right.

    """
    seconds, signatures = _read(header)
    age = abs(now.timestamp() - int(seconds))
    right = False
    for secret in secrets:
        expected = _mac(raw, secret, seconds).encode() if secret.reveal() else b""
        for signature in signatures:
            right |= bool(expected) and hmac.compare_digest(expected, signature.encode())
    if not right:
        raise ValueError("no signature of this body is right")
    if age > tolerance.total_seconds():
        raise ValueError("the signature is not of now")


def _read(header: str | None) -> tuple[str, list[str]]:
    """Return the time as it was signed, and the `v1` signatures."""
    if not header or len(header) > _LONGEST:
        raise ValueError("no header with signatures")
    pairs = [item.partition("=") for item in header.split(",")]
    times = [value for name, _, value in pairs if name.strip() == "t"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdecimal() and len(times[0]) <= _DIGITS):
        raise ValueError("the header has no time, or more than one")
    return times[0], [value for name, _, value in pairs if name.strip() == "v1"]


def _mac(raw: bytes, secret: Secret, seconds: str) -> str:
    return hmac.new(secret.reveal().encode(), seconds.encode() + b"." + raw, hashlib.sha256).hexdigest()
