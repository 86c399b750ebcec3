"""Password hashes that came from elsewhere: bcrypt, Firebase's scrypt, argon2 with other parameters.

Each is checked once: the sign-in that finds it right stores our own in its place.
"""

import base64
import binascii
import hashlib
import hmac
import re
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from corekit_auth.errors import ValidationFailed

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-5])\$[./A-Za-z0-9]{53}")
_BCRYPT_BYTES = 72  # what bcrypt ever reads of a password
_ARGON2 = re.compile(
    r"\$argon2(?:id|i|d)\$v=19\$m=([0-9]{1,6}),t=([0-9]{1,2}),p=([0-9]{1,2})"
    r"\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,172}"
)
_B64 = r"[A-Za-z0-9+/_-]{1,400}={0,2}"
_FBSCRYPT = re.compile(
    rf"\$fbscrypt\$v=1,n=(?P<n>[0-9]{{1,2}}),r=(?P<r>[0-9]{{1,2}}),p=(?P<p>[0-9]{{1,2}})"
    rf"(?:,ss=(?P<ss>{_B64}))?(?:,sk=(?P<sk>{_B64}))\$(?P<salt>{_B64})\$(?P<hash>{_B64})"
)
_SCRYPT_BYTES = 64 << 20
_SCRYPT_LANES = 4
_ARGON2_KIB, _ARGON2_PASSES, _ARGON2_LANES = 1 << 18, 10, 16
_ALLOWED = "bcrypt ($2b$, cost 4 to 15), argon2 ($argon2id$, at most 256 MiB) or $fbscrypt$v=1 (at most 64 MiB)"


def checked(stored: str) -> str:
    """Return a hash that this server can check with bounded work.

    Raises:
        ValidationFailed: naming the field and what is allowed.

    """
    if _BCRYPT.fullmatch(stored):
        if _bcrypt() is None:
            raise ValidationFailed("password_hash: bcrypt needs the package corekit-auth[bcrypt] on this server")
        return stored
    if _argon2_fits(stored) or _fbscrypt(stored) is not None:
        return stored
    raise ValidationFailed(f"password_hash: must be {_ALLOWED}")


def foreign(stored: str) -> bool:
    """Tell whether a hash is one of another scheme than argon2."""
    return stored.startswith(("$2", "$fbscrypt$"))


def matches(stored: str, password: str) -> bool:
    """Check a password against a hash of another scheme; slow, so it runs in a thread."""
    if stored.startswith("$2"):
        bcrypt = _bcrypt()
        try:
            return bcrypt is not None and bool(bcrypt.checkpw(password.encode()[:_BCRYPT_BYTES], stored.encode()))
        except ValueError:
            return False
    parts = _fbscrypt(stored)
    return parts is not None and hmac.compare_digest(_sealed_signer_key(parts, password), parts["hash"])


def _bcrypt() -> Any:
    try:
        import bcrypt  # noqa: PLC0415  # an extra: only whoever brings such hashes needs it
    except ImportError:
        return None
    return bcrypt


def _argon2_fits(stored: str) -> bool:
    found = _ARGON2.fullmatch(stored)
    if found is None:
        return False
    memory, passes, lanes = (int(number) for number in found.groups())
    return 8 * lanes <= memory <= _ARGON2_KIB and 0 < passes <= _ARGON2_PASSES and 0 < lanes <= _ARGON2_LANES


def _fbscrypt(stored: str) -> dict[str, Any] | None:
    found = _FBSCRYPT.fullmatch(stored)
    if found is None:
        return None
    numbers = {name: int(found[name]) for name in ("n", "r", "p")}
    memory = 128 * numbers["r"] * (1 << min(numbers["n"], 40))
    if not (numbers["n"] and numbers["r"] and 0 < numbers["p"] <= _SCRYPT_LANES and memory <= _SCRYPT_BYTES):
        return None
    try:
        texts = {name: _decoded(found[name] or "") for name in ("ss", "sk", "salt", "hash")}
    except binascii.Error:
        return None
    return numbers | texts


def _sealed_signer_key(parts: dict[str, Any], password: str) -> bytes:
    """Firebase's hash is its project's signer key, encrypted under the key that scrypt makes of the password."""
    key = hashlib.scrypt(
        password.encode(),
        salt=parts["salt"] + parts["ss"],
        n=1 << parts["n"],
        r=parts["r"],
        p=parts["p"],
        maxmem=2 * _SCRYPT_BYTES,
        dklen=32,
    )
    encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    return encryptor.update(parts["sk"]) + encryptor.finalize()


def _decoded(text: str) -> bytes:
    padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
    return base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
