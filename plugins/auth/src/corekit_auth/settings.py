"""`[auth]`: every number of the plugin, with the defaults of a strict server."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

from corekit.errors import ConfigError
from corekit.settings import Secret
from corekit_auth.origins import check_sites
from corekit_auth.profiles import SUPABASE
from corekit_auth.providers import Provider
from corekit_auth.rates import Rates

_ACCESS_TTL_MIN = 300
_FREE_MIN = 2
_OTP_LENGTHS = range(6, 11)
_LEAD_MIN = 600
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
Profile = Literal["secure", "supabase"]


class AuthSettings(Rates, frozen=True, kw_only=True):
    """Times are in seconds.

    `profile = "supabase"` gives the defaults of Supabase's own server, for an application that relies on them; what is
    set beside it stands. `mailer_autoconfirm` and `phone_autoconfirm` trust an address without a code; left out, they
    are on in the environment `dev` alone. `external_url` is where clients reach this server; `issuer` is derived from
    it where it is left out. `site_url` is the application's page, where links lead that name no allowed
    `redirect_to`; `redirect_allow` lists the others, with `*` for anything within a part of the path.
    """

    profile: Profile = "secure"
    prefix: str = "/auth/v1"
    site_url: str = "http://localhost:3000"
    external_url: str = "http://localhost:8000"
    redirect_allow: Sequence[str] = ()
    issuer: str = ""
    aud: str = "authenticated"
    role: str = "authenticated"
    admin_roles: Sequence[str] = ("service_role", "supabase_admin")

    # What is on.
    disable_signup: bool = False
    email: bool = True
    anonymous: bool = False
    totp: bool = True
    phone: bool = False
    phone_factor: bool = False
    passkeys: bool = False
    webauthn_factor: bool = False
    manual_linking: bool = False
    social: Mapping[str, Provider] = {}
    hibp: bool = False
    hibp_url: str = "https://api.pwnedpasswords.com"
    captcha: Literal["", "hcaptcha", "turnstile"] = ""
    captcha_secret: Secret | None = None
    captcha_url: str = ""  # left out: the provider's own
    verify_page: bool = False
    mailer_autoconfirm: bool | None = None
    phone_autoconfirm: bool | None = None

    # Passwords and accounts.
    password_min: int = 8
    password_checks: bool = True
    product_words: Sequence[str] = ("corekit", "password")
    max_metadata: int = 4096
    demand_current_password: bool = True
    fresh_sign_in: float = 900  # how old a sign-in may be for a change of what one signs in with; 0 = any
    double_email_change: bool = True
    hide_unknown: bool = True  # an unknown or taken address is answered as any other
    made_up_identity: bool = True
    pkce_plain: bool = False

    # Codes.
    otp_length: int = 6
    otp_ttl: float = 600
    sms_otp_ttl: float = 300
    otp_tries: int = 5
    flow_ttl: float = 300
    templates: str = ""  # a directory of mail templates that come before ours

    # Second factors and passkeys.
    max_factors: int = 10
    max_passkeys: int = 10
    factor_failures_max: int = 100
    challenge_ttl: float = 300
    rp_id: str = ""  # left out: localhost in dev
    rp_name: str = "corekit"
    rp_origins: Sequence[str] = ()  # beside those of site_url and external_url
    android_apps: Mapping[str, Sequence[str]] = {}  # package → SHA-256 fingerprints of its signing certificates
    apple_apps: Sequence[str] = ()  # <team id>.<bundle id>
    passkey_user_verification: Literal["required", "preferred"] = "required"
    passkey_aal: Literal[1, 2] = 2

    # Sessions and tokens.
    access_ttl: int = 900
    reuse_interval: float = 10
    inactivity: float = 30 * 86_400
    absolute_life: float = 180 * 86_400
    admin_aal2_life: float = 12 * 3600
    single_session: bool = False
    token_cache: int = 10_000
    revocation_poll: float = 0.5
    revocation_stale: float = 5
    key_age: float = 90 * 86_400
    rotation_lead: float = 1200
    legacy_service_jwt: bool = False
    known_device_life: float = 90 * 86_400

    hash_threads: int = 0
    hash_wait: float = 2
    sign_in_floor: float = -1  # the least time of a sign-in; -1: 0.1 while imported hashes remain, otherwise none
    request_timeout: float = 10
    hook_timeout: float = 5

    @classmethod
    def preset(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the defaults of the profile that was chosen."""
        return SUPABASE if values.get("profile") == "supabase" else {}

    @classmethod
    def supabase(cls, **values: Any) -> "AuthSettings":
        """Make settings of the profile `supabase` in code."""
        return cls(**{**SUPABASE, "profile": "supabase", **values})

    def autoconfirm(self, env: str) -> bool:
        """Tell whether an e-mail address counts as confirmed at once."""
        return env == "dev" if self.mailer_autoconfirm is None else self.mailer_autoconfirm

    def phone_trusted(self, env: str) -> bool:
        """Tell whether a number counts as confirmed at once."""
        return env == "dev" if self.phone_autoconfirm is None else self.phone_autoconfirm

    @property
    def base_url(self) -> str:
        """Where clients reach the routes of auth."""
        return self.external_url.rstrip("/") + self.prefix

    @property
    def iss(self) -> str:
        """The issuer of our tokens."""
        return self.issuer or self.base_url

    def relying_party(self, env: str) -> str:
        """Return the domain to which passkeys are bound (`rp_id`)."""
        return self.rp_id or ("localhost" if env == "dev" else "")

    def check(self, env: str) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigError: naming the setting and what is allowed.

        """
        if self.access_ttl < _ACCESS_TTL_MIN:
            raise ConfigError(
                f"[auth] access_ttl must be at least {_ACCESS_TTL_MIN}: clients refresh 90 s before the end"
            )
        if env != "dev" and urlsplit(self.external_url).hostname in _LOOPBACK:
            raise ConfigError(
                f"[auth] external_url is required in {env}: the address at which clients reach this server"
            )
        if self.failures_free < _FREE_MIN:
            raise ConfigError(f"[auth] failures_free must be at least {_FREE_MIN}")
        if self.prefix and not self.prefix.startswith("/"):
            raise ConfigError('[auth] prefix must begin with "/", or be empty')
        if self.otp_length not in _OTP_LENGTHS:
            raise ConfigError("[auth] otp_length must be 6 to 10")
        if self.rotation_lead < _LEAD_MIN:
            raise ConfigError(f"[auth] rotation_lead must be at least {_LEAD_MIN}: key sets are cached so long")
        for entry in self.redirect_allow:
            if "*" in entry.partition("://")[2].partition("/")[0] or "*" in entry.partition("://")[0]:
                raise ConfigError(f"[auth] redirect_allow {entry!r}: `*` stands within the path alone")
        self._check_features(env)

    def _check_features(self, env: str) -> None:
        if self.captcha and self.captcha_secret is None:
            raise ConfigError("[auth] captcha_secret is required where captcha is on")
        if (self.passkeys or self.webauthn_factor) and not self.relying_party(env):
            raise ConfigError(f"[auth] rp_id is required in {env}: the domain to which passkeys are bound")
        if self.rp_id.replace(".", "").isdigit() or ":" in self.rp_id:
            raise ConfigError("[auth] rp_id must be a domain: passkeys are not bound to IP addresses")
        if self.passkey_aal == 2 and self.passkey_user_verification != "required":  # noqa: PLR2004  # the level's name
            raise ConfigError('[auth] passkey_aal = 2 needs passkey_user_verification = "required"')
        check_sites(self)
        for name, provider in self.social.items():
            provider.check(name)
