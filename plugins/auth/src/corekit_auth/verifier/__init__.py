"""Checks access tokens with nothing but a key set: usable in any service, with no kit and no database."""

from corekit_auth.verifier.claims import Claims, InvalidToken, Method, Reason, UnknownKey
from corekit_auth.verifier.local import TOKEN_MAX, Verifier
from corekit_auth.verifier.remote import KeysUnavailable, RemoteVerifier

__all__ = [
    "TOKEN_MAX",
    "Claims",
    "InvalidToken",
    "KeysUnavailable",
    "Method",
    "Reason",
    "RemoteVerifier",
    "UnknownKey",
    "Verifier",
]
