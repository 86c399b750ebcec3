"""What the settings refuse, and what follows from them."""

from typing import Any

import pytest

from corekit.errors import ConfigError
from corekit.settings import Config
from corekit_auth.providers import Provider
from corekit_auth.rates import Rate
from corekit_auth.settings import AuthSettings


@pytest.mark.parametrize(
    ("settings", "env", "match"),
    [
        (AuthSettings(access_ttl=299), "dev", "access_ttl must be at least 300"),
        (AuthSettings(), "prod", "external_url is required in prod"),
        (AuthSettings(external_url="http://127.0.0.1:8000"), "staging", "external_url is required in staging"),
        (AuthSettings(failures_free=1), "dev", "failures_free must be at least 2"),
        (AuthSettings(prefix="auth"), "dev", "prefix must begin"),
    ],
)
def test_what_cannot_work_is_refused(settings: AuthSettings, env: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        settings.check(env)


def test_the_defaults_work_in_development_and_a_url_makes_them_work_elsewhere() -> None:
    AuthSettings().check("dev")
    AuthSettings(external_url="https://app.example.org").check("prod")


def test_addresses_are_trusted_in_development_alone() -> None:
    assert AuthSettings().autoconfirm("dev")
    assert not AuthSettings().autoconfirm("prod")
    assert AuthSettings(mailer_autoconfirm=True).autoconfirm("prod")
    assert not AuthSettings(mailer_autoconfirm=False).autoconfirm("dev")


def test_the_issuer_follows_the_address() -> None:
    assert AuthSettings(external_url="https://app.example.org/").iss == "https://app.example.org/auth/v1"
    assert AuthSettings(issuer="https://id.example.org").iss == "https://id.example.org"


def test_every_limit_is_a_setting() -> None:
    rules = AuthSettings(token_rate=Rate(count=1, period=2, burst=3)).rules
    assert (rules["token"].count, rules["token"].period, rules["token"].burst) == (1, 2, 3)
    assert {name: rule.kind for name, rule in rules.items()} == {
        "token": "ip",
        "prefix_failure": "prefix",
        "refresh": "ip",
        "session_refresh": "session",
        "otp": "ip",
        "address_interval": "address",
        "address_hourly": "address",
        "mail": "global",
        "sms": "global",
        "verify": "ip",
        "anonymous": "ip",
        "mfa": "ip",
        "passkey": "ip",
    }


def test_a_profile_changes_defaults_and_what_is_set_beside_it_stands() -> None:
    """In the file and in code alike; `corekit config explain` says where a value came from."""
    config = Config.load(environ={}, overrides={"auth": {"profile": "supabase", "otp_ttl": 900}})
    for settings in (config.table("auth", AuthSettings), AuthSettings.supabase(otp_ttl=900)):
        assert (settings.password_min, settings.access_ttl, settings.hide_unknown) == (6, 3600, False)
        assert settings.otp_ttl == 900
    assert AuthSettings().password_min == 8
    rows = {key: (value, origin) for key, value, origin in config.explain("auth", AuthSettings)}
    assert rows["auth.password_min"] == ("6", "profile")
    assert rows["auth.otp_ttl"] == ("900.0", "command line")
    assert rows["auth.otp_length"] == ("6", "default")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"otp_length": 5}, "otp_length"),
        ({"rotation_lead": 60}, "rotation_lead"),
        ({"captcha": "hcaptcha"}, "captcha_secret"),
        ({"passkeys": True, "rp_id": "192.0.2.1"}, "rp_id"),
        ({"social": {"google": Provider()}}, "client_id"),
    ],
)
def test_what_cannot_work_keeps_the_server_from_starting(values: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        AuthSettings(**values).check("dev")
