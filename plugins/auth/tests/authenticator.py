"""A strict authenticator and browser in software: ES256, discoverable, and wrong in just the way a test wants."""

import hashlib
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

ORIGIN = "http://localhost:3000"
UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Credential:
    """What the authenticator keeps of one passkey."""

    id: bytes
    key: ec.EllipticCurvePrivateKey
    rp_id: str
    user_handle: bytes
    count: int = 0


@dataclass
class Authenticator:
    """One device; its fields say what it gets wrong."""

    origin: str = ORIGIN
    rp_id: str = ""  # instead of the one asked for
    verified: bool = True
    present: bool = True
    synced: bool = True
    counts: bool = True
    challenge: bytes = b""  # instead of the one asked for
    type: str = ""
    cross_origin: bool = False
    resident: str = "required"  # what it insists on being asked for
    credentials: list[Credential] = field(default_factory=list)

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """Make a passkey, as `navigator.credentials.create` does; refuses options that are not strict."""
        chosen = options["authenticatorSelection"]
        assert chosen["residentKey"] == self.resident
        assert {"type": "public-key", "alg": -7} in options["pubKeyCredParams"]
        assert options["attestation"] == "none"
        assert len(raw(options["challenge"])) >= 16
        held = {credential.id for credential in self.credentials}
        assert not held & {raw(one["id"]) for one in options.get("excludeCredentials", [])}, "InvalidStateError"
        made = Credential(
            os.urandom(32), ec.generate_private_key(ec.SECP256R1()), options["rp"]["id"], raw(options["user"]["id"])
        )
        self.credentials.append(made)
        return self.attest(made, options)

    def attest(self, credential: Credential, options: dict[str, Any]) -> dict[str, Any]:
        """Answer a registration with a credential that is there."""
        numbers = credential.key.public_key().public_numbers()
        point = {-2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, **point})
        attested = bytes(16) + len(credential.id).to_bytes(2, "big") + credential.id + public
        data = self._data(credential, AT) + attested
        response = {
            "clientDataJSON": b64(self._client("webauthn.create", options)),
            "attestationObject": b64(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
            "transports": ["internal", "hybrid", "carrier-pigeon"],
        }
        return self._written(credential, response)

    def get(self, options: dict[str, Any], which: int = -1) -> dict[str, Any]:
        """Sign a challenge, as `navigator.credentials.get` does."""
        assert len(raw(options["challenge"])) >= 16
        credential = self.credentials[which]
        assert options["rpId"] == credential.rp_id
        credential.count += self.counts
        client, data = self._client("webauthn.get", options), self._data(credential)
        signature = credential.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        response = {
            "clientDataJSON": b64(client),
            "authenticatorData": b64(data),
            "signature": b64(signature),
            "userHandle": b64(credential.user_handle),
        }
        return self._written(credential, response)

    def _client(self, kind: str, options: dict[str, Any]) -> bytes:
        challenge = b64(self.challenge) if self.challenge else options["challenge"]
        told = {"type": self.type or kind, "challenge": challenge, "origin": self.origin}
        return json.dumps(told | {"crossOrigin": self.cross_origin}).encode()

    def _data(self, credential: Credential, more: int = 0) -> bytes:
        flags = more | UP * self.present | UV * self.verified | (BE | BS) * self.synced
        rp = hashlib.sha256((self.rp_id or credential.rp_id).encode()).digest()
        return rp + bytes([flags]) + credential.count.to_bytes(4, "big")

    def _written(self, credential: Credential, response: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": b64(credential.id),
            "rawId": b64(credential.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {"credProps": {"rk": True}},
            "response": response,
        }
