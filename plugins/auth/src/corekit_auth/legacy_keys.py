"""Service keys of Supabase's older kind: JWTs under a shared secret that say `service_role` and hardly ever end."""

from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature

from corekit.context import Actor, Kit, Proof
from corekit_auth.keys import Keys
from corekit_auth.settings import AuthSettings
from corekit_auth.verifier import TOKEN_MAX
from corekit_auth.verifier.signatures import canonical, secret_key, unpadded


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str | None = None
    typ: str = "JWT"
    crit: Any = msgspec.UNSET


class _Claims(msgspec.Struct, frozen=True):
    role: str
    exp: int | None = None


class LegacyKeys:
    """Accepts them where `legacy_service_jwt` is on and their secret was imported; older ones name no `kid`."""

    def __init__(self, kit: Kit, settings: AuthSettings, keys: Keys) -> None:
        self._kit = kit
        self._on = settings.legacy_service_jwt
        self._roles = frozenset(settings.admin_roles)
        self._keys = keys

    def find(self, token: str) -> Actor | None:
        """Tell which service shows this token; None where it is no such token, or not good."""
        if not self._on or len(token) > TOKEN_MAX or not self._keys.secrets:
            return None
        try:
            head, body, signature = token.encode("ascii").split(b".")
            header = msgspec.json.decode(unpadded(head), type=_Header)
            claims = msgspec.json.decode(unpadded(body), type=_Claims)
            kid = self._signed(header, head + b"." + body, canonical(signature))
        except (ValueError, msgspec.MsgspecError, RecursionError):
            return None
        ended = claims.exp is not None and claims.exp <= self._kit.clock.now().timestamp()
        if kid is None or ended or claims.role not in self._roles:
            return None
        return Actor(f"legacy {kid}", "service", proof=Proof(role=claims.role))

    def _signed(self, header: _Header, signed: bytes, signature: bytes) -> str | None:
        if header.alg != "HS256" or header.typ != "JWT" or header.crit is not msgspec.UNSET:
            return None
        for kid, secret in self._keys.secrets.items():
            if header.kid in {None, kid}:
                try:
                    secret_key(secret).check(signed, signature)
                except InvalidSignature:
                    continue
                return kid
        return None
