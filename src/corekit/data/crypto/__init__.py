"""Encryption at rest: the keyring, the column type that uses it, and what re-wraps keys."""

from corekit.data.crypto.columns import Encrypted, Keys, reveal, seal, unseal
from corekit.data.crypto.keyring import Keyring, KeyringSettings
from corekit.data.crypto.keys import Key, Sealed

__all__ = ["Encrypted", "Key", "Keyring", "KeyringSettings", "Keys", "Sealed", "reveal", "seal", "unseal"]
