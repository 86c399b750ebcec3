"""What somebody wants of a provider, what they come back with, and what is remembered meanwhile."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from corekit_auth.flows import Pkce


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody wants to sign in, and where they want to come out; `extra` is passed on to the provider."""

    provider: str
    redirect_to: str | None = None
    scopes: Sequence[str] = ()
    pkce: Pkce | None = None
    extra: Mapping[str, str] = {}


class Back(msgspec.Struct, frozen=True, kw_only=True):
    """With what the provider sends somebody back; `user` is what Apple adds the first time."""

    code: str = ""
    state: str = ""
    error: str = ""
    iss: str = ""
    user: str = ""


class IdToken(msgspec.Struct, frozen=True, kw_only=True):
    """An id_token that an app got from the provider's own library."""

    id_token: str
    provider: str = ""
    access_token: str = ""
    nonce: str = ""
    client_id: str = ""
    issuer: str = ""


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """What a flow remembers, sealed."""

    nonce: str
    verifier: str
    session_id: UUID | None = None  # of who links by hand
