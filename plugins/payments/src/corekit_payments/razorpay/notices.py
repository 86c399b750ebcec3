"""Razorpay's notices: an HMAC over the body alone, so that nothing else of a request is believed."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import msgspec

from corekit.contracts.payments import Headers, ProviderEvent
from corekit.settings import Secret
from corekit_payments.razorpay.reading import notes

_ID_MAX = 128
_SIGNATURE = 64  # hexadecimal digits of SHA-256


class _Notice(msgspec.Struct):
    event: str
    payload: dict[str, Any] = {}


def verify(headers: Headers, raw: bytes, secrets: Sequence[Secret], *, live: bool) -> list[ProviderEvent]:
    """Read a notice signed with one of the secrets; several, so that one can be replaced.

    Its id stands outside the signature: it serves to see a notice only once, and nothing is concluded from it. There is
    no time in it either, so an old notice proves nothing: what became of the payment is fetched.

    Raises:
        ValueError: it is not theirs, or cannot be read.

    """
    given = {name.lower(): value for name, value in headers.items()}
    signature = given.get("x-razorpay-signature", "")
    if len(signature) != _SIGNATURE or not signature.isascii() or not _signed(raw, signature, secrets):
        raise ValueError("not signed by Razorpay")
    try:
        notice = msgspec.json.decode(raw, type=_Notice)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ValueError("a notice that cannot be read") from None
    id_ = given.get("x-razorpay-event-id", "")
    if not 0 < len(id_) <= _ID_MAX or not id_.isascii() or not id_.isprintable():
        id_ = hashlib.sha256(raw).hexdigest()
    ref, reference = _about(notice.payload)
    return [ProviderEvent(id=id_, type=notice.event[:_ID_MAX], live=live, provider_ref=ref, reference=reference)]


def _signed(raw: bytes, signature: str, secrets: Sequence[Secret]) -> bool:
    """Compare with each secret, whatever the first ones say; an empty one signs nothing."""
    matches = [
        hmac.compare_digest(hmac.new(text.encode(), raw, hashlib.sha256).hexdigest(), signature)
        for text in (secret.reveal() for secret in secrets)
        if text
    ]
    return any(matches)


def _about(payload: dict[str, Any]) -> tuple[str | None, str | None]:
    """Find what to fetch: a refund before its payment, and our reference on it.

    A refund that is not ours has no reference: that of its payment is another operation's.
    """
    for kind in ("refund", "payment", "qr_code", "order"):
        part = payload.get(kind)
        entity = part.get("entity") if isinstance(part, dict) else None
        if isinstance(entity, dict) and isinstance(id_ := entity.get("id"), str):
            own = notes(entity.get("notes")).reference or entity.get("receipt")
            if isinstance(own, str) and own:
                return id_[:_ID_MAX], own[:_ID_MAX]
            return id_[:_ID_MAX], None if kind == "refund" else _reference(payload)
    return None, None


def _reference(payload: dict[str, Any]) -> str | None:
    """Find our reference on what a payment was made by."""
    for kind in ("qr_code", "order"):
        part = payload.get(kind)
        entity = part.get("entity") if isinstance(part, dict) else None
        if isinstance(entity, dict) and (found := notes(entity.get("notes")).reference):
            return found[:_ID_MAX]
    return None
