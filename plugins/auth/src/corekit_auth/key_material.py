"""Keys as they are made and as files hold them: JWKS, JWK, PEM."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import uuid4

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, RSAKey

from corekit_auth.errors import ValidationFailed
from corekit_auth.verifier.signatures import RSA_MIN, SECRET_MIN, unpadded

Alg = Literal["ES256", "RS256", "HS256"]
Signer = ECKey | RSAKey | OctKey
_KINDS: Mapping[str, tuple[Alg, type[Signer]]] = {
    "EC": ("ES256", ECKey),
    "RSA": ("RS256", RSAKey),
    "oct": ("HS256", OctKey),
}
_CLASSES: Mapping[str, type[Signer]] = dict(_KINDS.values())
_FILE_MAX = 1 << 20
_KEYS_MAX = 20
_KID_MAX = 128


class Material(msgspec.Struct, frozen=True):
    """A key, ready to be stored; `private` is empty where a file has the public half alone."""

    kid: str
    alg: Alg
    private: str
    public: dict[str, Any]


def make(alg: Literal["ES256", "RS256"]) -> Material:
    """Make a key."""
    made: Signer = (
        ECKey.generate_key("P-256", private=True) if alg == "ES256" else RSAKey.generate_key(RSA_MIN, private=True)
    )
    return _material(made, alg, made.thumbprint())


def signer(alg: str, private: str) -> Signer:
    """Open what `Material.private` holds."""
    found = _CLASSES[alg]
    return OctKey.import_key(msgspec.json.decode(private)) if found is OctKey else found.import_key(private)


def secret(private: str) -> bytes:
    """Open a shared secret."""
    return OctKey.import_key(msgspec.json.decode(private)).raw_value


def read(raw: bytes) -> Sequence[Material]:
    """Read a file: a key set, one key, or PEM.

    Raises:
        ValidationFailed: naming the key, and what is allowed.

    """
    if len(raw) > _FILE_MAX:
        raise ValidationFailed("file: at most 1 MiB")
    if raw.lstrip().startswith(b"-----BEGIN"):
        return [_pem(raw)]
    try:
        document = msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise ValidationFailed("file: a JWKS or a JWK in JSON, or a key in PEM") from None
    entries = document.get("keys", [document])
    if not isinstance(entries, list) or not 0 < len(entries) <= _KEYS_MAX:
        raise ValidationFailed(f"keys: a list of 1 to {_KEYS_MAX} keys")
    return [_jwk(entry, f"keys[{n}]") for n, entry in enumerate(entries)]


def _pem(raw: bytes) -> Material:
    for alg, kind in (("ES256", ECKey), ("RS256", RSAKey)):
        try:
            key = kind.import_key(raw)
        except (JoseError, ValueError, TypeError):
            continue
        return _checked(key, "file", alg, key.thumbprint())
    raise ValidationFailed("file: PEM of a key on P-256 or of an RSA key, not encrypted")


def _jwk(entry: Any, field: str) -> Material:
    if not isinstance(entry, dict) or entry.get("kty") not in _KINDS:
        raise ValidationFailed(f"{field}.kty: one of {', '.join(_KINDS)}")
    alg, kind = _KINDS[entry["kty"]]
    if entry.get("alg", alg) != alg or entry.get("use", "sig") != "sig":
        raise ValidationFailed(f"{field}.alg: {alg} for signatures is what such a key is good for here")
    kid = entry.get("kid")
    if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= _KID_MAX or not kid.isprintable()):
        raise ValidationFailed(f"{field}.kid: 1 to {_KID_MAX} printable characters")
    if alg == "HS256":
        _demand_long(entry.get("k"), f"{field}.k")
    try:
        # What a key is for is written anew: a file may say "sign" alone.
        key = kind.import_key({name: value for name, value in entry.items() if name not in {"key_ops", "use", "alg"}})
    except (JoseError, ValueError, TypeError):
        raise ValidationFailed(f"{field}: its members do not make a key") from None
    # The thumbprint of a secret would be a hash of the secret.
    return _checked(key, field, alg, kid or (str(uuid4()) if isinstance(key, OctKey) else key.thumbprint()))


def _checked(key: Signer, field: str, alg: str, kid: str) -> Material:
    if isinstance(key, ECKey) and key.curve_name != "P-256":
        raise ValidationFailed(f"{field}.crv: P-256")
    if isinstance(key, RSAKey) and key.raw_value.key_size < RSA_MIN:
        raise ValidationFailed(f"{field}.n: at least {RSA_MIN} bits")
    return _material(key, alg, kid)


def _demand_long(k: Any, field: str) -> None:
    try:
        secret = unpadded(k.encode()) if isinstance(k, str) else b""
    except ValueError:
        secret = b""
    if len(secret) < SECRET_MIN:
        raise ValidationFailed(f"{field}: at least {SECRET_MIN} bytes, in base64url")


def _material(key: Signer, alg: Any, kid: str) -> Material:
    if isinstance(key, OctKey):
        private = msgspec.json.encode(key.as_dict(private=True)).decode()
        return Material(kid, "HS256", private, {"kty": "oct", "kid": kid, "alg": "HS256"})
    private = key.as_pem(private=True).decode() if key.is_private else ""
    shown = {name: value for name, value in key.as_dict(private=False).items() if name not in {"kid", "ext"}}
    return Material(kid, alg, private, {**shown, "kid": kid, "alg": alg, "use": "sig", "key_ops": ["verify"]})
