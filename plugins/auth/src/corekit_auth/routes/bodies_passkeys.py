"""What authenticators answer, as browsers write it (Web Authentication L3 §5.1.8); what is not used is ignored."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=1364)]  # 1023 bytes in base64url, the longest there is
_Bytes = Annotated[str, msgspec.Meta(min_length=1, max_length=65_536)]
_Transports = Annotated[list[Annotated[str, msgspec.Meta(max_length=32)]], msgspec.Meta(max_length=16)]


class Attestation(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a new credential."""

    clientDataJSON: _Bytes  # noqa: N815  # the standard's name
    attestationObject: _Bytes  # noqa: N815
    transports: _Transports | None = None


class Assertion(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a known credential."""

    clientDataJSON: _Bytes  # noqa: N815  # the standard's names
    authenticatorData: _Bytes  # noqa: N815
    signature: _Bytes
    userHandle: Annotated[str, msgspec.Meta(max_length=128)] | None = None  # noqa: N815


class _Credential(msgspec.Struct, frozen=True, kw_only=True):
    id: _Id
    rawId: _Id  # noqa: N815  # the standard's name
    type: Literal["public-key"]


class NewCredential(_Credential, frozen=True, kw_only=True):
    """A credential that `navigator.credentials.create` made."""

    response: Attestation


class KnownCredential(_Credential, frozen=True, kw_only=True):
    """A credential that `navigator.credentials.get` used."""

    response: Assertion


class RegistrationBody(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a registration."""

    challenge_id: UUID
    credential: NewCredential


class AuthenticationBody(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a sign-in."""

    challenge_id: UUID
    credential: KnownCredential


class RenameBody(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a change of a passkey."""

    friendly_name: str


def plain(credential: NewCredential | KnownCredential) -> dict[str, Any]:
    """Write a credential as the JSON that it came as."""
    written: dict[str, Any] = msgspec.to_builtins(credential)
    return written
