"""Encryption at rest: AES-256-GCM under a keyring, bound to the place where the text is stored."""

import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from corekit.errors import ConfigError, DecryptFailed
from corekit.settings import Secret, Settings

_NONCE = 12
_KEY = 32
_NAME = re.compile(r"[A-Za-z0-9_-]+")


class KeyringSettings(Settings, frozen=True):
    """`[keyring]`: `active` names the encrypting key, `keys` holds all (base64url, 32 bytes), `index` the MAC key."""

    active: str = ""
    keys: dict[str, Secret] = {}
    index: Secret | None = None


class _File(msgspec.Struct):
    active: str
    keys: dict[str, str]
    index: str


class Keyring:
    """The keys of one kit; `seal` and `open` bind a text to `place` (`table.column.pk`), so it cannot be moved."""

    def __init__(self, active: str, keys: Mapping[str, bytes], index: bytes) -> None:
        self.active = active
        self._ciphers = {name: AESGCM(key) for name, key in keys.items()}
        self._index = index

    @classmethod
    def load(cls, settings: KeyringSettings, data_dir: Path, *, generate: bool) -> "Keyring":
        """Take the keys from the settings, or (`generate`, development only) from `<data_dir>/keyring`, made once.

        Raises:
            ConfigError: no keys, or keys that do not fit.

        """
        if not settings.active and not generate:
            raise ConfigError("[keyring] is required outside dev: set active, keys and index (or their *_FILE)")
        if not settings.active:
            try:
                file = _development(data_dir / "keyring")
            except OSError as error:
                raise ConfigError(f"cannot use {data_dir / 'keyring'}: {error.strerror}") from None
            return cls(
                file.active, {name: _key(text, name) for name, text in file.keys.items()}, _key(file.index, "index")
            )
        if settings.active not in settings.keys or settings.index is None:
            raise ConfigError("[keyring] active must name one of keys, and index must be set")
        keys = {name: _key(secret.reveal(), name) for name, secret in settings.keys.items()}
        return cls(settings.active, keys, _key(settings.index.reveal(), "index"))

    def seal(self, plain: bytes, place: str) -> str:
        """Encrypt: `v1.<key id>.<nonce>.<ciphertext>`, the last two base64url."""
        nonce = os.urandom(_NONCE)
        sealed = self._ciphers[self.active].encrypt(nonce, plain, place.encode())
        return f"v1.{self.active}.{_text(nonce)}.{_text(sealed)}"

    def open(self, sealed: str, place: str) -> bytes:
        """Decrypt what `seal` made for the same place.

        Raises:
            DecryptFailed: unknown key, other place, or changed text.

        """
        try:
            version, name, nonce, text = sealed.split(".")
            if version != "v1":
                raise DecryptFailed(place)
            return self._ciphers[name].decrypt(_bytes(nonce), _bytes(text), place.encode())
        except (ValueError, KeyError, InvalidTag):
            raise DecryptFailed(place) from None

    def mac(self, purpose: str, value: str | bytes) -> bytes:
        """Keyed HMAC-SHA-256, for look-ups by equality and for limit keys; `purpose` keeps uses apart."""
        digest = hmac.HMAC(self._index, hashes.SHA256())
        digest.update(purpose.encode() + b"\0" + (value.encode() if isinstance(value, str) else value))
        return digest.finalize()


def _development(path: Path) -> _File:
    """Read the generated keyring, or make it: never one per process, or rows were unreadable after a restart."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = _File("dev", {"dev": _text(os.urandom(_KEY))}, _text(os.urandom(_KEY)))
        draft = path.with_name(f"{path.name}.{token_hex(8)}")  # containers that share a folder share process ids too
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.encode(made))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # the first of two processes wins
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File)
    except msgspec.MsgspecError:
        raise ConfigError(f"{path} is not a keyring; restore it from a backup, or what it encrypts is lost") from None


def _key(text: str, name: str) -> bytes:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"[keyring] key {name!r}: a name has only letters, digits, _ and -; it is part of every text")
    try:
        key = _bytes(text)
    except ValueError:
        key = b""
    if len(key) != _KEY:
        raise ConfigError(f"[keyring] key {name!r} must be {_KEY} bytes in base64url")
    return key


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
