"""Second factors and recovery codes."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, post
from litestar.params import FromPath, JSONBody

from corekit.web import Who
from corekit_auth.errors import ValidationFailed
from corekit_auth.factor_kinds import Answer, ChallengeObject, EnrolledObject
from corekit_auth.objects import SessionObject
from corekit_auth.purposes import SIGN_IN
from corekit_auth.recovery import RecoveryCodesObject
from corekit_auth.routes.envelope import Asked
from corekit_auth.routes.sign_in import granted
from corekit_auth.routes.user import signed_in
from corekit_auth.service import AuthService

_CODE_MAX = 64


class EnrollBody(msgspec.Struct, frozen=True, kw_only=True):
    """Body of an enrolment."""

    factor_type: str
    friendly_name: str | None = None
    issuer: str | None = None
    phone: str | None = None


class WebauthnBody(msgspec.Struct, frozen=True, kw_only=True):
    """The word of an authenticator, as `navigator.credentials` gives it in JSON."""

    credential_response: dict[str, Any]


class VerifyBody(msgspec.Struct, frozen=True, kw_only=True):
    """Body of an answer to a challenge."""

    challenge_id: str
    code: str = ""
    webauthn: WebauthnBody | None = None


class RecoveryBody(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a recovery."""

    code: str = ""


class RemovedObject(msgspec.Struct, frozen=True):
    """The factor that is gone."""

    id: UUID


class FactorsController(Controller):
    """The second factors of who is signed in."""

    security = [{"bearer": []}]

    @post("/factors", status_code=200)
    async def enroll(self, request: Asked, caller: Who, data: JSONBody[EnrollBody]) -> Response[EnrolledObject]:
        """Begin a second factor; the secret is shown this once."""
        person = signed_in(request, caller)
        factors = person.kit.get(AuthService).factors
        made = await factors.enroll(
            person,
            data.factor_type,
            name=data.friendly_name or "",
            issuer=data.issuer or "",
            phone=data.phone or "",
        )
        return Response(made, headers={"Cache-Control": "no-store"})

    @post("/factors/{factor_id:str}/challenge", status_code=200)
    async def challenge(self, request: Asked, caller: Who, factor_id: FromPath[str]) -> ChallengeObject:
        """Put the question to a factor; it can be answered for five minutes, by this session."""
        person = signed_in(request, caller)
        return await person.kit.get(AuthService).factors.challenge(person, _uuid("factor_id", factor_id))

    @post("/factors/{factor_id:str}/verify", status_code=200)
    async def verify(
        self, request: Asked, caller: Who, factor_id: FromPath[str], data: JSONBody[VerifyBody]
    ) -> Response[SessionObject]:
        """Answer a challenge: the session goes on at aal2."""
        person = signed_in(request, caller)
        factor, challenge = _uuid("factor_id", factor_id), _uuid("challenge_id", data.challenge_id)
        word = data.webauthn.credential_response if data.webauthn else None
        answer = Answer(code="" if word else _code(data.code), credential=word)
        return granted(await person.kit.get(AuthService).factors.verify(person, factor, challenge, answer))

    @delete("/factors/{factor_id:str}", status_code=200)
    async def unenroll(self, request: Asked, caller: Who, factor_id: FromPath[str]) -> RemovedObject:
        """Remove a factor; sessions that used it are at aal1 again."""
        person, factor = signed_in(request, caller), _uuid("factor_id", factor_id)
        async with person.system(SIGN_IN).begin() as ctx:
            return RemovedObject(await ctx.get(AuthService).factors.unenroll(ctx, factor))

    @post("/x/recovery-codes", status_code=200)
    async def new_codes(self, request: Asked, caller: Who) -> Response[RecoveryCodesObject]:
        """Make ten recovery codes, shown this once; older ones are void."""
        person = signed_in(request, caller)
        async with person.system(SIGN_IN).begin() as ctx:
            codes = await ctx.get(AuthService).recovery_codes.replace(ctx)
        return Response(codes, headers={"Cache-Control": "no-store"})

    @post("/x/recovery-codes/verify", status_code=200)
    async def recover(self, request: Asked, caller: Who, data: JSONBody[RecoveryBody]) -> Response[SessionObject]:
        """Use a recovery code in place of a second factor: the session goes on at aal2."""
        person = signed_in(request, caller)
        return granted(await person.kit.get(AuthService).recovery_codes.verify(person, _code(data.code)))


def _uuid(field: str, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ValidationFailed(f"{field}: must be a UUID") from None


def _code(text: str) -> str:
    code = "".join(text.split())
    if not 0 < len(code) <= _CODE_MAX:
        raise ValidationFailed(f"code: 1 to {_CODE_MAX} characters")
    return code
