"""Links to one payment's page, and the tokens of the forms on it: signed, and stored nowhere."""

import hmac
import secrets
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from corekit.data.crypto import Keyring

_LINK, _FORM = "payments.checkout.link", "payments.checkout.form"
_PLAIN = struct.Struct(">16sQ8s")  # the payment, the second in which the link expires, a nonce
_TOKEN_BYTES = _PLAIN.size + 32
_MAC_CHARACTERS = 43
_VERSION_DIGITS = 18


@dataclass(frozen=True)
class Link:
    """A link that was made here: its token, the payment that it is for, and when it ends."""

    token: str
    payment: UUID
    expires_at: datetime


class Links:
    """Signs and reads tokens by HMAC-SHA-256 under the index key of the keyring."""

    def __init__(self, keyring: Keyring) -> None:
        self._mac = keyring.mac

    def make(self, payment: UUID, expires_at: datetime) -> Link:
        """Make a link; no two are alike."""
        plain = _PLAIN.pack(payment.bytes, int(expires_at.timestamp()), secrets.token_bytes(8))
        return self._link(_text(plain + self._mac(_LINK, plain)), plain)

    def read(self, token: str) -> Link:
        """Read a token, whether or not it has expired (ValueError where it was not made here)."""
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4)) if token.isascii() else b""
        plain, mac = raw[: _PLAIN.size], raw[_PLAIN.size :]
        # The same bytes have several spellings; a link has one, since its token is part of what forms are bound to.
        if len(raw) != _TOKEN_BYTES or not hmac.compare_digest(mac, self._mac(_LINK, plain)) or _text(raw) != token:
            raise ValueError("no link of ours")
        return self._link(token, plain)

    def form(self, link: Link, version: int) -> str:
        """Make the token of the forms on a page that shows this version of the payment."""
        return f"{version}.{_text(self._mac(_FORM, f'{link.token} {version}'))}"

    def version(self, link: Link, form: str) -> int:
        """Return the version of the page that a form was on (ValueError where it was on no page of this link)."""
        version, _, mac = form.partition(".")
        if not (version.isascii() and version.isdigit() and len(version) <= _VERSION_DIGITS):
            raise ValueError("no form of ours")
        expected = self.form(link, int(version))
        if len(mac) != _MAC_CHARACTERS or not hmac.compare_digest(form.encode(), expected.encode()):
            raise ValueError("no form of this link")
        return int(version)

    def _link(self, token: str, plain: bytes) -> Link:
        payment, expires, _ = _PLAIN.unpack(plain)
        return Link(token, UUID(bytes=payment), datetime.fromtimestamp(expires, UTC))


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
