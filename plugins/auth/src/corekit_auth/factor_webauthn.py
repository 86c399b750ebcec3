"""A security key, or the device itself, as second factor: a credential that is bound to it and is no passkey."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from os import urandom
from typing import Any

from msgspec import UnsetType
from sqlalchemy import select

from corekit_auth.errors import ValidationFailed, WebauthnFactorDisabled, WebauthnFactorUnusable
from corekit_auth.factor_kinds import Answer, Kind, Question, WebauthnObject
from corekit_auth.models import FactorRow
from corekit_auth.parts import Parts
from corekit_auth.relying_party import NotProven, RelyingParty

_CHALLENGE = 32  # bytes


class Webauthn(Kind):
    """The first answer brings the credential (Web Authentication §7.1), each later one uses it (§7.2)."""

    method, wrong = "mfa/webauthn", "Invalid WebAuthn response"

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._party = RelyingParty(parts.settings, parts.kit.env)

    def demand_offered(self) -> None:
        """Refuse where it is off."""
        if not self._settings.webauthn_factor:
            raise WebauthnFactorDisabled

    def demand_usable(self) -> None:
        """Refuse where it is off."""
        if not self._settings.webauthn_factor:
            raise WebauthnFactorUnusable

    async def ask(self, question: Question) -> WebauthnObject | UnsetType:
        """Ask for a new credential, or for the one that is known; the authenticator refuses one that it has already."""
        asked, user, known = urandom(_CHALLENGE), question.account.user, question.factor.credential
        question.challenge.webauthn = {"challenge": _text(asked)}
        if known is not None:
            return WebauthnObject("request", {"publicKey": self._party.request(asked, [_bytes(known["id"])])})
        mine = select(FactorRow.credential).where(FactorRow.user_id == user.id, FactorRow.type == "webauthn")
        others = [_bytes(one["id"]) for one in await question.ctx.session.scalars(mine) if one is not None]
        name = user.email or user.phone or str(user.id)
        options = self._party.creation(asked, user.id, name, others, discoverable=False)
        return WebauthnObject("create", {"publicKey": options})

    async def held(self, question: Question, answer: Answer) -> dict[str, Any] | None:
        """Check the signature over this challenge; a counter that does not rise is a copy of the key."""
        if answer.credential is None:
            raise ValidationFailed("webauthn: credential_response is required")
        asked, known = _bytes((question.challenge.webauthn or {}).get("challenge", "")), question.factor.credential
        try:
            if known is None:
                made = self._party.registered(answer.credential, asked)
                key = {"id": _text(made.credential_id), "public_key": _text(made.public_key)}
                return {"credential": key | {"sign_count": made.sign_count}}
            if answer.credential.get("rawId") != known["id"]:
                return None
            found = self._party.asserted(answer.credential, asked, _bytes(known["public_key"]))
        except NotProven:
            return None
        if (found.sign_count or known["sign_count"]) and found.sign_count <= known["sign_count"]:
            return None
        return {"credential": known | {"sign_count": found.sign_count}}


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
