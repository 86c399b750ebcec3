"""One provider, as a sign-in meets it: where to send people, what their code is worth, who they are."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from joserfc import jwt

from corekit_auth.errors import BadIdToken, BadOauthCallback, ProviderDisabled, UnexpectedAudience
from corekit_auth.oidc import Endpoints, OpenId
from corekit_auth.outside import Outside
from corekit_auth.people_elsewhere import Person, person, primary_email
from corekit_auth.providers import Provider, signing_key

_SECRET_TTL = 600


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be remembered while somebody is at the provider."""

    nonce: str
    verifier: str


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider gives for a code."""

    access_token: str = ""
    refresh_token: str | None = None
    id_token: str | None = None


class Remote:
    """A provider of either kind."""

    def __init__(self, name: str, provider: Provider, outside: Outside, redirect_uri: str) -> None:
        self.name = name
        self.provider = provider
        self._outside = outside
        self._redirect_uri = redirect_uri
        self._openid = OpenId(provider, outside) if provider.kind == "oidc" else None

    async def prepare(self) -> None:
        """Learn where people are sent, before anything is written.

        Raises:
            ProviderUnreachable: the provider does not say.

        """
        await self._endpoints()

    async def address(self, errand: Errand, state: str, scopes: Sequence[str], extra: Mapping[str, str]) -> str:
        """Make the address to which the person is sent (RFC 6749 §4.1.1, RFC 7636).

        Raises:
            ProviderUnreachable: the provider does not say where that is.

        """
        endpoint = (await self._endpoints()).authorization_endpoint
        digest = hashlib.sha256(errand.verifier.encode()).digest()
        asked = {
            **extra,
            "client_id": self.provider.client_id,
            "redirect_uri": self._redirect_uri,
            "response_type": "code",
            "scope": " ".join(dict.fromkeys((*self.provider.scopes, *scopes))),
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        if self._openid is not None:
            asked["nonce"] = errand.nonce
        if self.provider.form_post:
            asked["response_mode"] = "form_post"
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked, quote_via=quote)}"

    async def exchange(self, code: str, errand: Errand) -> tuple[Tokens, Person]:
        """Give a code for tokens, and tell who came.

        Raises:
            BadOauthCallback: the provider refuses, or what it says does not hold.
            ProviderUnreachable: it does not answer.

        """
        endpoints = await self._endpoints()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": errand.verifier,
        }
        auth = self._authenticate(form)
        answer = await self._outside.post(endpoints.token_endpoint, form, auth=auth)
        try:
            tokens = msgspec.convert(answer, Tokens)
        except msgspec.ValidationError:
            tokens = Tokens()
        if not tokens.access_token:  # GitHub refuses with 200 and a member `error`
            raise BadOauthCallback
        return tokens, await self._who(endpoints, tokens, errand)

    async def by_id_token(self, token: str, *, nonce: str, access_token: str = "") -> Person:
        """Tell who an id_token speaks of.

        Raises:
            ProviderDisabled: this provider issues none.
            BadIdToken, UnexpectedAudience: telling what is wrong.
            ProviderUnreachable: its keys cannot be read.

        """
        if self._openid is None:
            raise ProviderDisabled
        claims = await self._openid.verified(token, nonce=nonce, access_token=access_token)
        return person(self.name, self.provider, claims, issuer=self.provider.issuer)

    async def _who(self, endpoints: Endpoints, tokens: Tokens, errand: Errand) -> Person:
        if self._openid is None:
            said = _mapping(await self._outside.get(endpoints.userinfo_endpoint, token=tokens.access_token))
            if self.provider.emails_endpoint:
                email = primary_email(await self._outside.get(self.provider.emails_endpoint, token=tokens.access_token))
                names = {key: self.provider.claims.get(key, key) for key in ("email", "email_verified")}
                said = {**said, names["email"]: email, names["email_verified"]: email is not None}
            return person(self.name, self.provider, said)
        if not tokens.id_token:
            raise BadOauthCallback("The provider sent no id_token")
        try:
            claims = await self._openid.verified(tokens.id_token, nonce=errand.nonce, access_token=tokens.access_token)
        except (BadIdToken, UnexpectedAudience) as refusal:
            raise BadOauthCallback(str(refusal)) from None
        if self.provider.claims.get("email", "email") not in claims and endpoints.userinfo_endpoint:
            claims = await self._more(endpoints, tokens, claims)
        return person(self.name, self.provider, claims, issuer=self.provider.issuer)

    async def _more(self, endpoints: Endpoints, tokens: Tokens, claims: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask for what the id_token leaves out; the answer must speak of the same person (OpenID Core §5.3.2)."""
        said = _mapping(await self._outside.get(endpoints.userinfo_endpoint, token=tokens.access_token))
        if said.get("sub") != claims["sub"]:
            raise BadOauthCallback("The provider speaks of somebody else")
        return {**said, **claims}

    async def _endpoints(self) -> Endpoints:
        if self._openid is not None:
            return await self._openid.endpoints()
        return Endpoints(
            authorization_endpoint=self.provider.authorization_endpoint,
            token_endpoint=self.provider.token_endpoint,
            userinfo_endpoint=self.provider.userinfo_endpoint,
        )

    def _authenticate(self, form: dict[str, str]) -> tuple[str, str] | None:
        """Say who asks: in the form, or in the header (RFC 6749 §2.3.1), or, without a secret, by name alone."""
        secret = self._secret()
        if secret and self.provider.client_auth == "basic":
            return quote(self.provider.client_id, safe=""), quote(secret, safe="")
        form["client_id"] = self.provider.client_id
        if secret:
            form["client_secret"] = secret
        return None

    def _secret(self) -> str:
        """Return the client's secret; Apple's is a token of our own, made anew for each request."""
        secret = self.provider.client_secret
        if not self.provider.team_id:
            return secret.reveal() if secret else ""
        now = int(self._outside.clock.now().timestamp())
        claims = {
            "iss": self.provider.team_id,
            "iat": now,
            "exp": now + _SECRET_TTL,
            "aud": self.provider.issuer,
            "sub": self.provider.client_id,
        }
        return jwt.encode({"alg": "ES256", "kid": self.provider.key_id}, claims, signing_key(self.name, secret))


def _mapping(answer: Any) -> Mapping[str, Any]:
    if not isinstance(answer, dict):
        raise BadOauthCallback("The provider does not say who signed in")
    return answer
