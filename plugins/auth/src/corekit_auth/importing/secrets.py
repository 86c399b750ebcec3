"""Opening what Supabase's server encrypted with a key beside the database (AES-256-GCM under HKDF-SHA-256)."""

from base64 import b64decode, urlsafe_b64decode

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from corekit.errors import Invalid

_ALGORITHM = "aes-gcm-hkdf"
_SIZE = 32


class _Sealed(msgspec.Struct, frozen=True):
    alg: str
    data: str
    nonce: str
    key_id: str = ""


class ForeignKey:
    """The server's encryption key; without one, only what is in clear can be read."""

    def __init__(self, key: str | None) -> None:
        self._key = _raw(key) if key else None

    def open(self, text: str, object_id: str) -> str:
        """Return what a column holds, whether it was encrypted or not.

        Raises:
            Invalid: it is encrypted, and the key is missing or another one.

        """
        try:
            sealed = msgspec.json.decode(text, type=_Sealed)
        except msgspec.MsgspecError:
            return text
        if self._key is None:
            raise Invalid("it is encrypted: give the key with --db-key")
        if sealed.alg != _ALGORITHM:
            raise Invalid(f"it is encrypted with {sealed.alg!r}, which is not known here")
        derived = HKDF(SHA256(), _SIZE, salt=None, info=object_id.encode()).derive(self._key)
        try:
            return AESGCM(derived).decrypt(b64decode(sealed.nonce), b64decode(sealed.data), None).decode()
        except (InvalidTag, ValueError):
            raise Invalid("it is encrypted with another key than --db-key") from None


def _raw(key: str) -> bytes:
    try:
        raw = urlsafe_b64decode(key + "=" * (-len(key) % 4))
    except ValueError:
        raw = b""
    if len(raw) != _SIZE:
        raise Invalid("--db-key: 32 bytes in base64url, as the server's DB_ENCRYPTION key is")
    return raw
