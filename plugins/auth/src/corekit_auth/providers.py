"""Providers of social login, as data: another one is an entry in the settings."""

from collections.abc import Mapping, Sequence
from typing import Literal

from corekit.errors import ConfigError
from corekit.settings import Secret, Settings


class Provider(Settings, frozen=True, kw_only=True):
    """One provider, `[auth.social.<name>]`; `google`, `apple` and `github` need an id and a secret alone.

    `kind = "oidc"` finds its endpoints at `issuer` (OpenID Connect Discovery 1.0) and reads the id_token; `oauth2`
    names the three endpoints and asks `userinfo_endpoint` who it is. `audiences` lists further client ids whose
    id_tokens are taken, as of an app. `claims` says where `sub`, `email`, `email_verified` and `name` are.
    """

    kind: Literal["oidc", "oauth2", ""] = ""
    enabled: bool = True
    client_id: str = ""
    client_secret: Secret | None = None
    audiences: Sequence[str] = ()
    issuer: str = ""
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    userinfo_endpoint: str = ""
    scopes: Sequence[str] = ()
    client_auth: Literal["basic", "post"] = "post"
    algorithms: Sequence[str] = ("RS256", "ES256")
    claims: Mapping[str, str] = {}
    team_id: str = ""  # of Apple, whose secret is a token that we sign
    key_id: str = ""

    def check(self, name: str) -> None:
        """Refuse a provider that could never sign anybody in.

        Raises:
            ConfigError: naming the setting.

        """
        if not self.client_id:
            raise ConfigError(f"[auth.social.{name}] client_id is required")
