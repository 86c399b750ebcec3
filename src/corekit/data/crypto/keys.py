"""One key, what it makes of a plain text, and that as an opaque value: AES-256-GCM, bound to a place."""

import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from corekit.errors import DecryptFailed

SIZE = 32
_NONCE = 12
_ID = re.compile(r"@?[A-Za-z0-9_-]{1,64}")


class Key:
    """A key and the id under which its texts name it.

    Without `@` it belongs to the keyring, with it to the database (`corekit_dek`).
    """

    def __init__(self, id_: str, raw: bytes) -> None:
        self.id = id_
        self.raw = raw
        self._cipher = AESGCM(raw)

    def seal(self, plain: bytes, place: str) -> str:
        """Encrypt: `v1.<key id>.<nonce>.<ciphertext>`, the last two base64url; it opens only at `place`."""
        nonce = os.urandom(_NONCE)
        return f"v1.{self.id}.{to_text(nonce)}.{to_text(self._cipher.encrypt(nonce, plain, place.encode()))}"

    def open(self, sealed: str, place: str) -> bytes:
        """Decrypt what `seal` made for the same place.

        Raises:
            DecryptFailed: other key, other place, or changed text.

        """
        try:
            _, _, nonce, text = sealed.split(".")
            return self._cipher.decrypt(to_bytes(nonce), to_bytes(text), place.encode())
        except (ValueError, InvalidTag):
            raise DecryptFailed(f"{place} does not open: it was changed, moved, or sealed by another key") from None


class Sealed:
    """An encrypted text as it is stored: what a reader gets who goes past the ORM. It shows nothing of itself."""

    __slots__ = ("plain", "text")

    def __init__(self, text: str, plain: Any = None) -> None:
        self.text = text
        self.plain = plain  # only while its row is flushed, to give the attribute its value back

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return "Sealed(…)"


def key_id(sealed: str, place: str) -> str:
    """Read which key sealed a text.

    Raises:
        DecryptFailed: it is not of the form that `Key.seal` makes.

    """
    version, _, rest = sealed.partition(".")
    name = rest.partition(".")[0]
    if version != "v1" or not _ID.fullmatch(name):
        raise DecryptFailed(f"{place} does not open: it is no sealed text")
    return name


def to_text(raw: bytes) -> str:
    """Write bytes as base64url without padding."""
    return urlsafe_b64encode(raw).decode().rstrip("=")


def to_bytes(text: str) -> bytes:
    """Read what `to_text` wrote (ValueError)."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
