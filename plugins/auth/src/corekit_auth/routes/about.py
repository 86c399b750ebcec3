"""What clients ask before they sign anybody in."""

from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Controller, Response, get
from litestar.datastructures import CacheControlHeader

from corekit.web import Who
from corekit_auth.service import AuthService

_OFF = ("anonymous_users", "apple", "azure", "bitbucket", "discord", "facebook", "figma", "fly", "github", "gitlab")
_OFF_TOO = ("google", "kakao", "keycloak", "linkedin", "linkedin_oidc", "notion", "slack", "slack_oidc", "snapchat")
_OFF_ALSO = ("spotify", "twitch", "twitter", "workos", "x", "zoom")


class About(msgspec.Struct, frozen=True):
    """What answers here."""

    version: str
    name: str
    description: str


class SettingsObject(msgspec.Struct, frozen=True, kw_only=True):
    """What is on."""

    external: dict[str, bool]
    disable_signup: bool
    mailer_autoconfirm: bool
    phone_autoconfirm: bool = False
    sms_provider: str = ""
    saml_enabled: bool = False
    saml_private_key_next_configured: bool = False
    passkeys_enabled: bool = False


class AboutController(Controller):
    """Health, settings, keys, metadata."""

    @get("/health")
    async def health(self) -> About:
        """Say that it is there."""
        return About(version("corekit-auth"), "corekit-auth", "The Supabase Auth protocol, served by corekit")

    @get("/settings")
    async def settings(self, caller: Who) -> SettingsObject:
        """Say what is on."""
        service, env = caller.kit.get(AuthService), caller.kit.env
        on = {name: getattr(service.settings, name) for name in ("email", "phone")}
        on["anonymous_users"] = service.settings.anonymous
        on |= {name: provider.enabled for name, provider in service.settings.social.items()}
        known = ("email", "phone", *_OFF, *_OFF_TOO, *_OFF_ALSO)
        return SettingsObject(
            external={name: on.get(name, False) for name in (*known, *(name for name in on if name not in known))},
            disable_signup=not service.sign_up_open(),
            mailer_autoconfirm=service.settings.autoconfirm(env),
            phone_autoconfirm=service.settings.phone and service.settings.phone_trusted(env),
            sms_provider="corekit" if service.settings.phone else "",
            passkeys_enabled=service.settings.passkeys,
        )

    @get("/.well-known/jwks.json", cache_control=CacheControlHeader(public=True, max_age=600))
    async def jwks(self, caller: Who) -> dict[str, Any]:
        """Publish the keys with which our tokens are checked."""
        return caller.kit.get(AuthService).keys.jwks

    @get("/.well-known/openid-configuration", cache_control=CacheControlHeader(public=True, max_age=600))
    async def openid_configuration(self, caller: Who) -> Response[dict[str, Any]]:
        """Publish the issuer and where its keys are (OpenID Connect Discovery 1.0 §3)."""
        service = caller.kit.get(AuthService)
        issuer = service.settings.iss
        return Response(
            {
                "issuer": issuer,
                "jwks_uri": f"{issuer}/.well-known/jwks.json",
                "response_types_supported": [],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": service.keys.algs,
                "claims_supported": ["iss", "sub", "aud", "exp", "iat", "email", "role", "aal", "amr", "session_id"],
            }
        )
