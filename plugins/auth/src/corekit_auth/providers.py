"""Providers of social login, as data: another one is an entry in the settings."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from corekit.errors import ConfigError
from corekit.settings import Secret, Settings

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_OURS = frozenset(("email", "phone", "anonymous", "anonymous_users"))
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")


class Provider(Settings, frozen=True, kw_only=True):
    """One provider, `[auth.social.<name>]`; `google`, `apple` and `github` need an id and a secret alone.

    `kind = "oidc"` finds its endpoints at `issuer` (OpenID Connect Discovery 1.0) and reads the id_token; `oauth2`
    names the three endpoints and asks `userinfo_endpoint` who it is. `audiences` lists further client ids whose
    id_tokens are taken, as of an app. `claims` says where `sub`, `email`, `email_verified` and `name` are.
    `emails_endpoint` lists a person's addresses where the provider tells them apart from the rest, as GitHub does.
    `form_post` makes it post its answer. Without `client_secret`, the server is a public client (PKCE alone).
    """

    kind: Literal["oidc", "oauth2", ""] = ""
    enabled: bool = True
    client_id: str = ""
    client_secret: Secret | None = None
    audiences: Sequence[str] = ()
    issuer: str = ""
    issuer_aliases: Sequence[str] = ()  # other forms of `iss` in its id_tokens
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    userinfo_endpoint: str = ""
    emails_endpoint: str = ""
    scopes: Sequence[str] = ()
    client_auth: Literal["basic", "post"] = "post"
    form_post: bool = False
    algorithms: Sequence[str] = ("RS256", "ES256")
    claims: Mapping[str, str] = {}
    team_id: str = ""  # of Apple, whose secret is a token that we sign: `client_secret` is its private key then
    key_id: str = ""

    @property
    def accepted(self) -> frozenset[str]:
        """The client ids whose id_tokens are taken."""
        return frozenset((self.client_id, *self.audiences))

    @property
    def issuers(self) -> frozenset[str]:
        """The forms in which it names itself."""
        return frozenset((self.issuer, *self.issuer_aliases))

    def resolved(self, name: str) -> "Provider":
        """Fill in what is known of a provider of this name; what is set to something of its own stands."""
        known, plain = PRESETS.get(name, {}), Provider()
        missing = {key: value for key, value in known.items() if getattr(self, key) == getattr(plain, key)}
        if "scopes" not in known and self.kind == "oidc" and not self.scopes:
            missing["scopes"] = ("openid", "email", "profile")
        return msgspec.structs.replace(self, **missing)

    def check(self, name: str) -> None:
        """Refuse a provider that could never sign anybody in.

        Raises:
            ConfigError: naming the setting.

        """
        if not _NAME.fullmatch(name) or name in _OURS:
            raise ConfigError(f"[auth.social.{name}]: a name is lower-case letters, digits and `_`, and none of ours")
        if not self.client_id:
            raise ConfigError(f"[auth.social.{name}] client_id is required")
        provider = self.resolved(name)
        provider.check_endpoints(name)
        if foreign := [one for one in provider.algorithms if one not in _ALGORITHMS]:
            raise ConfigError(f"[auth.social.{name}] algorithms: {foreign[0]!r} is none of {', '.join(_ALGORITHMS)}")
        if bool(provider.team_id) != bool(provider.key_id):
            raise ConfigError(f"[auth.social.{name}] team_id and key_id: both or neither")
        if provider.team_id:
            signing_key(name, provider.client_secret)

    def check_endpoints(self, name: str) -> None:
        """Refuse an address that is missing, or over which secrets would travel in clear.

        Raises:
            ConfigError: naming the setting.

        """
        required = {"oidc": ("issuer",), "oauth2": ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")}
        if not self.kind:
            raise ConfigError(f'[auth.social.{name}] kind is required: "oidc" or "oauth2"')
        for field in ("issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "emails_endpoint"):
            url = str(getattr(self, field))
            if not url and field in required[self.kind]:
                raise ConfigError(f"[auth.social.{name}] {field} is required")
            if url and not secure(url):
                raise ConfigError(f"[auth.social.{name}] {field} must be an https address")


def secure(url: str) -> bool:
    """Tell whether secrets may be sent there: encrypted, or not leaving this machine."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    )


def signing_key(name: str, secret: Secret | None) -> ECKey:
    """Read the private key with which a provider's client secret is signed.

    Raises:
        ConfigError: it is none.

    """
    try:
        key = ECKey.import_key(secret.reveal() if secret else "")
    except (JoseError, ValueError, TypeError):
        key = None
    if key is None or not key.is_private or key.curve_name != "P-256":
        raise ConfigError(f"[auth.social.{name}] client_secret must be the private key, as PEM (P-256)")
    return key


PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "google": {
            "kind": "oidc",
            "issuer": "https://accounts.google.com",
            "issuer_aliases": ("accounts.google.com",),
            "scopes": ("openid", "email", "profile"),
            "algorithms": ("RS256",),
        },
        "apple": {
            "kind": "oidc",
            "issuer": "https://appleid.apple.com",
            "scopes": ("openid", "email", "name"),
            "algorithms": ("RS256",),
            "form_post": True,
        },
        "github": {
            "kind": "oauth2",
            "authorization_endpoint": "https://github.com/login/oauth/authorize",
            "token_endpoint": "https://github.com/login/oauth/access_token",
            "userinfo_endpoint": "https://api.github.com/user",
            "emails_endpoint": "https://api.github.com/user/emails",
            "scopes": ("read:user", "user:email"),
            "claims": {"sub": "id", "user_name": "login", "picture": "avatar_url"},
        },
    }
)
