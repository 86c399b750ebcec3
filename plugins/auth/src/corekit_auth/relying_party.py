"""The relying party of Web Authentication: what it asks of an authenticator, and whether the answer holds."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import options_to_json_dict
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from corekit_auth.origins import origins
from corekit_auth.settings import AuthSettings

_ALGORITHMS = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
_TRANSPORTS = frozenset(transport.value for transport in AuthenticatorTransport)


class NotProven(Exception):
    """The answer of an authenticator does not hold; `reason` is for the log, never for who sent it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """A new credential."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    aaguid: str
    transports: list[str]
    backup_eligible: bool
    backed_up: bool


class Asserted(msgspec.Struct, frozen=True, kw_only=True):
    """A credential that has signed a challenge."""

    sign_count: int
    backed_up: bool


class RelyingParty:
    """Makes the options of both ceremonies and checks their answers; whose credential it is, others know."""

    def __init__(self, settings: AuthSettings, env: str) -> None:
        self._settings = settings
        self._id = settings.relying_party(env)
        self._origins = origins(settings)
        self._required = settings.passkey_user_verification == "required"
        self._verification = UserVerificationRequirement(settings.passkey_user_verification)

    def creation(
        self, challenge: bytes, user_id: UUID, name: str, known: Sequence[bytes], *, discoverable: bool = True
    ) -> dict[str, Any]:
        """Write the options of `navigator.credentials.create`; `known` are credentials the person has already."""
        options = generate_registration_options(
            rp_id=self._id,
            rp_name=self._settings.rp_name,
            user_id=handle(user_id),
            user_name=name,
            user_display_name=name,
            challenge=challenge,
            timeout=self._timeout,
            attestation=AttestationConveyancePreference.NONE,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED if discoverable else ResidentKeyRequirement.DISCOURAGED,
                require_resident_key=discoverable,
                user_verification=self._verification,
            ),
            exclude_credentials=_descriptors(known),
            supported_pub_key_algs=_ALGORITHMS,
        )
        return options_to_json_dict(options)

    def request(self, challenge: bytes, allowed: Sequence[bytes] = ()) -> dict[str, Any]:
        """Write the options of `navigator.credentials.get`; with none `allowed`, the device offers what it has."""
        options = generate_authentication_options(
            rp_id=self._id,
            challenge=challenge,
            timeout=self._timeout,
            allow_credentials=_descriptors(allowed),
            user_verification=self._verification,
        )
        return options_to_json_dict(options)

    def registered(self, credential: Mapping[str, Any], challenge: bytes) -> Registered:
        """Check the answer to `creation`.

        Raises:
            NotProven: it is malformed, or not the answer to this question.

        """
        found = self._checked(credential, self._verify_registration, credential, challenge)
        if found.credential_id != _bytes(credential, "rawId"):
            raise NotProven("id")
        transports = credential["response"].get("transports") or ()
        return Registered(
            credential_id=found.credential_id,
            public_key=found.credential_public_key,
            sign_count=found.sign_count,
            aaguid=found.aaguid,
            transports=sorted({one for one in transports if one in _TRANSPORTS}),
            backup_eligible=found.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
            backed_up=found.credential_backed_up,
        )

    def asserted(self, credential: Mapping[str, Any], challenge: bytes, public_key: bytes) -> Asserted:
        """Check the answer to `request`; whether the counter has risen is for who keeps it.

        Raises:
            NotProven: it is malformed, of another key, or not the answer to this question.

        """
        found = self._checked(credential, self._verify_authentication, credential, challenge, public_key)
        return Asserted(sign_count=found.new_sign_count, backed_up=found.credential_backed_up)

    @property
    def _timeout(self) -> int:
        return int(self._settings.challenge_ttl * 1000)

    def _verify_registration(self, credential: Mapping[str, Any], challenge: bytes) -> VerifiedRegistration:
        return verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=self._id,
            expected_origin=list(self._origins),
            require_user_presence=True,
            require_user_verification=self._required,
            supported_pub_key_algs=_ALGORITHMS,
        )

    def _verify_authentication(
        self, credential: Mapping[str, Any], challenge: bytes, public_key: bytes
    ) -> VerifiedAuthentication:
        return verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=self._id,
            expected_origin=list(self._origins),
            credential_public_key=public_key,
            credential_current_sign_count=0,  # compared after the signature: nobody else may raise an alarm
            require_user_verification=self._required,
        )

    def _checked(self, credential: Mapping[str, Any], verify: Any, *arguments: Any) -> Any:
        try:
            found = verify(*arguments)
        except Exception as error:  # the library decodes bytes from anybody: whatever it trips over is a refusal
            raise NotProven(self._why(credential)) from error
        if _client_data(credential).get("crossOrigin"):
            raise NotProven("cross_origin")  # a frame in somebody else's page (Web Authentication L3 §13.4.9)
        return found

    def _why(self, credential: Mapping[str, Any]) -> str:
        """Name what an operator may have to set right; everything else is one."""
        try:
            foreign = _client_data(credential).get("origin") not in self._origins
        except (LookupError, ValueError, TypeError, AttributeError, RecursionError):
            return "response"
        return "origin" if foreign else "response"


def handle(user_id: UUID) -> bytes:
    """Return what an authenticator knows a person by: the text of their id, as Supabase's server has it."""
    return str(user_id).encode()


def user_of(credential: Mapping[str, Any]) -> UUID:
    """Return whose credential the authenticator says it is.

    Raises:
        NotProven: it does not say.

    """
    try:
        return UUID(_bytes(credential["response"], "userHandle").decode())
    except (KeyError, ValueError, TypeError, AttributeError):
        raise NotProven("handle") from None


def credential_id(credential: Mapping[str, Any]) -> bytes:
    """Return which credential has answered.

    Raises:
        NotProven: it does not say.

    """
    try:
        return _bytes(credential, "rawId")
    except (KeyError, ValueError, TypeError):
        raise NotProven("id") from None


def to_text(raw: bytes) -> str:
    """Write bytes in base64url, as all of Web Authentication's JSON does."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def to_bytes(text: str) -> bytes:
    """Read base64url."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _bytes(credential: Mapping[str, Any], name: str) -> bytes:
    return to_bytes(credential[name])


def _client_data(credential: Mapping[str, Any]) -> dict[str, Any]:
    read = json.loads(_bytes(credential["response"], "clientDataJSON"))
    if not isinstance(read, dict):
        raise TypeError("clientDataJSON is no object")
    return read


def _descriptors(ids: Sequence[bytes]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=one) for one in ids]
