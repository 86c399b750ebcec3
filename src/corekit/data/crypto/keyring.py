"""The keyring: keys that encrypt keys, and the key of look-ups. What is in rows is under the keys that it wraps."""

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives import hashes, hmac

from corekit.data.crypto import keyfile
from corekit.data.crypto.keyfile import NAME
from corekit.data.crypto.keys import SIZE, Key, key_id, to_bytes
from corekit.errors import ConfigError, DecryptFailed
from corekit.settings import Secret, Settings

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class KeyringSettings(Settings, frozen=True):
    """`[keyring]`: `active` names the encrypting key, `keys` holds all (base64url, 32 bytes), `index` the MAC key."""

    active: str = ""
    keys: dict[str, Secret] = {}
    index: Secret | None = None


class Keyring:
    """The keys of one kit; `seal` and `open` bind a text to `place` (`table.column.pk`), so it cannot be moved.

    With a `file` it follows what another process does to that: before it seals, and where it meets an unknown key.
    """

    def __init__(self, active: str, keys: Mapping[str, bytes], index: bytes, *, file: Path | None = None) -> None:
        self._active = active
        self.file = file
        self._keys = {name: Key(name, key) for name, key in keys.items()}
        self._index = index
        self._version: tuple[int, int] | None = None  # of the file, as it was read last

    @classmethod
    def load(cls, settings: KeyringSettings, data_dir: Path, *, generate: bool) -> "Keyring":
        """Take the keys from the settings, or (`generate`, development only) from `<data_dir>/keyring`, made once.

        Raises:
            ConfigError: no keys, keys that do not fit, or, where none is generated, those of development.

        """
        if not settings.active and not generate:
            raise ConfigError("[keyring] is required outside dev: set active, keys and index (or their *_FILE)")
        path = data_dir / "keyring"
        if not settings.active:
            made = keyfile.read(path)
            return cls(made.active, _raw(made.keys), _key(made.index, "index"), file=path)
        if settings.active not in settings.keys or settings.index is None:
            raise ConfigError("[keyring] active must name one of keys, and index must be set")
        keys = _raw({name: secret.reveal() for name, secret in settings.keys.items()})
        if not generate:
            _demand_own(keys, path)
        return cls(settings.active, keys, _key(settings.index.reveal(), "index"))

    @property
    def active(self) -> str:
        """The key that seals."""
        self._follow()
        return self._active

    @property
    def names(self) -> frozenset[str]:
        """The keys there are."""
        self._follow()
        return frozenset(self._keys)

    def seal(self, plain: bytes, place: str) -> str:
        """Encrypt under the active key: `v1.<key id>.<nonce>.<ciphertext>`. Columns use `Encrypted`, not this."""
        active = self.active  # before the look-up: it may replace the keys
        return self._keys[active].seal(plain, place)

    def open(self, sealed: str, place: str) -> bytes:
        """Decrypt what `seal` made for the same place, under whichever key that was.

        Raises:
            DecryptFailed: unknown key, other place, or changed text.

        """
        name = key_id(sealed, place)
        if name not in self._keys:
            self._follow()
        if name not in self._keys:
            raise DecryptFailed(
                f"{place} is sealed by the key {name!r}, which the keyring does not have: put it back; "
                "a key may go when `corekit keyring status` says that it is removable"
            )
        return self._keys[name].open(sealed, place)

    def mac(self, purpose: str, value: str | bytes) -> bytes:
        """Keyed HMAC-SHA-256, for look-ups by equality and for limit keys; `purpose` keeps uses apart."""
        digest = hmac.HMAC(self._index, hashes.SHA256())
        digest.update(purpose.encode() + b"\0" + (value.encode() if isinstance(value, str) else value))
        return digest.finalize()

    def index(self, kind: Literal["email", "phone"], value: str) -> bytes:
        """Blind index of a normalised address or number: a column that finds an encrypted one, by equality only."""
        plain = unicodedata.normalize("NFKC", value).strip()
        if kind == "phone":
            plain = "+" * plain.startswith("+") + "".join(filter(str.isdecimal, plain))
        return self.mac(f"index.{kind}", plain.lower())

    def _follow(self) -> None:
        """Read the file again, if it is another one by now."""
        if self.file is None or (version := _version(self.file)) in {None, self._version}:
            return
        made = keyfile.read(self.file)
        self._keys = {name: Key(name, key) for name, key in _raw(made.keys).items()}
        self._active, self._version = made.active, version


def _version(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:  # whoever moved it away moved it away from the next start; this one has its keys
        return None
    return found.st_ino, found.st_mtime_ns


def _demand_own(keys: Mapping[str, bytes], file: Path) -> None:
    """Refuse the keys of development where data is real: they lie beside the data, and on laptops."""
    known = set(_raw(keyfile.read(file).keys).values()) if file.exists() else set()
    for name, key in keys.items():
        if name == NAME or name.startswith(f"{NAME}-") or key in known:
            raise ConfigError(f"[keyring] key {name!r} is one of development; make others for this environment")


def _raw(keys: Mapping[str, str]) -> dict[str, bytes]:
    return {name: _key(text, name) for name, text in keys.items()}


def _key(text: str, name: str) -> bytes:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"[keyring] key {name!r}: a name has only letters, digits, _ and -; it is part of every text")
    try:
        key = to_bytes(text)
    except ValueError:
        key = b""
    if len(key) != SIZE:
        raise ConfigError(f"[keyring] key {name!r} must be {SIZE} bytes in base64url")
    return key
