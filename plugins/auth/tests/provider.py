"""A strict provider of our own, which refuses whatever a real one would, and can be told to misbehave."""

import asyncio
import base64
import hashlib
import secrets
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey
from litestar import Litestar, Request, Response, get, post

from corekit.values import Clock

REDIRECT = "http://localhost:8000/auth/v1/callback"


class StandIn:
    """One provider: `person` is who signs in, `changes` alters the id_token, `gate` holds its answers back."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.url = ""
        self.keys = [RSAKey.generate_key(2048, {"kid": "one", "alg": "RS256", "use": "sig"})]
        self.secret, self.token, self.refresh_token = "secret", "theirs", "theirs-too"
        self.person: dict[str, Any] = {"sub": "1234", "email": "ann@example.org", "email_verified": True, "name": "Ann"}
        self.changes: dict[str, Any] = {}
        self.asked: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.status = 200
        self._codes: dict[str, dict[str, str]] = {}

    def id_token(self, *, key: Any = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """Sign an id_token; a claim set to None is left out."""
        now = int(self.clock.now().timestamp())
        claims = {"iss": self.url, "aud": "app", "iat": now, "exp": now + 300, **self.person, **changes}
        claims = {name: value for name, value in claims.items() if value is not None}
        key = key or self.keys[-1]
        head = {"alg": key.as_dict().get("alg", "RS256"), "kid": key.kid, **(header or {})}
        head = {name: value for name, value in head.items() if value is not None}
        return jwt.encode(head, claims, key, algorithms=[head["alg"]])

    def visit(self, address: str) -> dict[str, str]:
        """Walk through the login page: check the address as a strict provider does, return what comes back."""
        parts = urlsplit(address)
        assert parts._replace(query="").geturl() == f"{self.url}/authorize"
        asked = {key: values[0] for key, values in parse_qs(parts.query).items() if len(values) == 1}
        assert (asked["response_type"], asked["client_id"], asked["redirect_uri"]) == ("code", "app", REDIRECT)
        assert asked["code_challenge_method"] == "S256"
        assert len(asked["code_challenge"]) == 43
        assert len(asked["state"]) > 40
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def app(self) -> Litestar:
        """Make its pages."""

        @get("/.well-known/openid-configuration")
        async def configuration() -> dict[str, Any]:
            self.asked.append("configuration")
            return {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
            }

        @get("/keys")
        async def keys() -> dict[str, Any]:
            self.asked.append("keys")
            return {"keys": [{"kty": "new"}, *(key.as_dict(private=False) for key in self.keys)]}

        @post("/token", status_code=200)
        async def token(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
            self.asked.append("token")
            form = {key: str(value) for key, value in (await request.form()).items()}
            self.forms.append(form)
            await self.gate.wait()
            asked = self._codes.pop(form["code"], None)
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            good = (
                asked is not None
                and form["grant_type"] == "authorization_code"
                and form["redirect_uri"] == REDIRECT
                and form["client_id"] == "app"
                and form["client_secret"] == self.secret
                and base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
            )
            if asked is None or not good:
                return Response({"error": "invalid_grant"}, status_code=400)
            answer = {"access_token": self.token, "token_type": "bearer", "refresh_token": self.refresh_token}
            signed = self.id_token(**{"nonce": asked["nonce"], **self.changes})
            return Response({**answer, "id_token": signed}, status_code=self.status)

        return Litestar([configuration, keys, token], openapi_config=None)
