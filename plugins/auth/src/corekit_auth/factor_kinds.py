"""What is special about each type of second factor: how it begins, what it is asked, whether its answer holds."""

import asyncio
import hmac
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from corekit.context import Caller, Context
from corekit_auth import totp
from corekit_auth.errors import (
    PhoneFactorDisabled,
    PhoneFactorUnusable,
    TotpDisabled,
    ValidationFailed,
    VerifiedFactorExists,
)
from corekit_auth.models import ChallengeRow, FactorRow
from corekit_auth.models.factors import FactorType
from corekit_auth.parts import Parts
from corekit_auth.phones import normal_phone
from corekit_auth.sending import Sending
from corekit_auth.sessions import Account

_NO_CODE = "code: required"


class TotpObject(msgspec.Struct, frozen=True):
    """What an authenticator app is set up with, shown once: a picture (SVG), the secret, and the URI of both."""

    qr_code: str
    secret: str
    uri: str


class WebauthnObject(msgspec.Struct, frozen=True):
    """What a browser is to ask its authenticator: to make a credential, or to use the one of this factor."""

    type: Literal["create", "request"]
    credential_options: dict[str, Any]


class EnrolledObject(msgspec.Struct, frozen=True, kw_only=True):
    """A factor that was begun."""

    id: UUID
    type: FactorType
    friendly_name: str
    totp: TotpObject | UnsetType = UNSET
    phone: str | UnsetType = UNSET


class ChallengeObject(msgspec.Struct, frozen=True, kw_only=True):
    """A question put to a factor; `expires_at` in seconds since 1970."""

    id: UUID
    type: FactorType
    expires_at: int
    webauthn: WebauthnObject | UnsetType = UNSET


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to enrol."""

    name: str = ""
    issuer: str = ""
    phone: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back: a code that was typed, or the word of an authenticator."""

    code: str = ""
    credential: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Enrolment:
    """A factor that begins, and the columns that are its own."""

    account: Account
    wish: Wish
    columns: Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """A challenge of a factor, in the context in which it is put or answered."""

    ctx: Context
    account: Account
    factor: FactorRow
    challenge: ChallengeRow


class Kind(ABC):
    """One type of second factor; `method` is its name in `amr`, `wrong` what is said to a wrong answer."""

    method: ClassVar[str]
    wrong: ClassVar[str]

    def __init__(self, parts: Parts) -> None:
        self._settings = parts.settings

    @abstractmethod
    def demand_offered(self) -> None:
        """Refuse an enrolment where the type is switched off."""

    def demand_usable(self) -> None:  # noqa: B027  # whoever has one may use it, unless the type says otherwise
        """Refuse a challenge or an answer where the type is switched off."""

    def begin(self, wish: Wish) -> dict[str, Any]:  # noqa: ARG002
        """Return the columns of a new factor (ValidationFailed)."""
        return {}

    def fit(self, enrolment: Enrolment) -> None:  # noqa: B027
        """Refuse what does not fit beside the factors that are there."""

    async def shown(self, enrolment: Enrolment) -> dict[str, Any]:  # noqa: ARG002
        """Return what is shown of a new factor, this once."""
        return {}

    async def charge(self, caller: Caller, phone: str) -> None:  # noqa: B027
        """Count what a challenge costs; no context is open."""

    def ttl(self) -> float:
        """Return for how many seconds a challenge can be answered."""
        return self._settings.challenge_ttl

    async def ask(self, question: Question) -> WebauthnObject | UnsetType:  # noqa: ARG002
        """Put the question; return what the client needs for its answer."""
        return UNSET

    @abstractmethod
    async def held(self, question: Question, answer: Answer) -> dict[str, Any] | None:
        """Return what an answer that holds changes of the factor; None where it does not hold."""


class Totp(Kind):
    """Codes of an authenticator app."""

    method, wrong = "totp", "Invalid TOTP code entered"

    def demand_offered(self) -> None:
        """Refuse where it is off."""
        if not self._settings.totp:
            raise TotpDisabled

    def begin(self, wish: Wish) -> dict[str, Any]:  # noqa: ARG002
        """Make a secret."""
        return {"secret": totp.new_secret()}

    async def shown(self, enrolment: Enrolment) -> dict[str, Any]:
        """Draw the secret."""
        user, secret = enrolment.account.user, enrolment.columns["secret"]
        person = user.email or user.phone or str(user.id)
        written = totp.uri(secret, issuer=enrolment.wish.issuer, account=person)
        return {"totp": TotpObject(await asyncio.to_thread(totp.qr_code, written), secret, written)}

    async def held(self, question: Question, answer: Answer) -> dict[str, Any] | None:
        """Find the step whose code it is; each counts once, and none before it."""
        if not answer.code:
            raise ValidationFailed(_NO_CODE)
        factor = question.factor
        step = totp.matching_step(factor.secret or "", answer.code, question.ctx.now())
        return None if step is None or step <= (factor.last_step or 0) else {"last_step": step}


class Phone(Kind):
    """A code by SMS, made by the job that sends it."""

    method, wrong = "mfa/phone", "Invalid MFA Phone code entered"

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._sending = Sending(parts)

    def demand_offered(self) -> None:
        """Refuse where it is off."""
        if not self._settings.phone_factor:
            raise PhoneFactorDisabled

    def demand_usable(self) -> None:
        """Refuse where it is off: nothing would be sent."""
        if not self._settings.phone_factor:
            raise PhoneFactorUnusable

    def begin(self, wish: Wish) -> dict[str, Any]:
        """Take the number."""
        return {"phone": normal_phone(wish.phone)}

    def fit(self, enrolment: Enrolment) -> None:
        """Take each number once (VerifiedFactorExists)."""
        for factor in enrolment.account.factors:
            if factor.status == "verified" and factor.phone == enrolment.columns["phone"]:
                raise VerifiedFactorExists

    async def shown(self, enrolment: Enrolment) -> dict[str, Any]:
        """Repeat the number."""
        return {"phone": enrolment.columns["phone"]}

    async def charge(self, caller: Caller, phone: str) -> None:
        """Count the SMS (OverSmsRate, SmsSendFailed)."""
        await self._sending.charge(caller, phone)

    def ttl(self) -> float:
        """Return the time of codes by SMS."""
        return self._settings.sms_otp_ttl

    async def ask(self, question: Question) -> WebauthnObject | UnsetType:
        """Have the code sent."""
        phone, more = question.factor.phone or "", {"challenge": str(question.challenge.id)}
        await self._sending.write(question.ctx, "mfa", phone, user_id=question.account.user.id, more=more)
        return UNSET

    async def held(self, question: Question, answer: Answer) -> dict[str, Any] | None:
        """Compare with what the job made for this challenge."""
        if not answer.code:
            raise ValidationFailed(_NO_CODE)
        typed = phone_mac(question.ctx, question.challenge.id, answer.code)
        return {} if hmac.compare_digest(typed, question.challenge.otp_mac or b"") else None


def phone_mac(ctx: Context, challenge_id: UUID, code: str) -> bytes:
    """Bind a code by SMS to its challenge."""
    return ctx.kit.keyring.mac("auth.mfa.phone", f"{challenge_id.hex}\0{code}")
