"""What the settings of a provider may say, and Apple's secret, which we sign."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from corekit.errors import ConfigError
from corekit.settings import Config, Secret
from corekit.testing import FakeClock
from corekit_auth.outside import Outside
from corekit_auth.providers import PRESETS, Provider
from corekit_auth.remote import Errand, Remote
from corekit_auth.settings import AuthSettings

APPLE = ECKey.generate_key("P-256", private=True)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_the_known_ones_need_an_id_and_a_secret(name: str) -> None:
    provider = Provider(client_id="x", client_secret=Secret("y"))
    provider.check(name)
    resolved = provider.resolved(name)
    assert resolved.kind
    assert resolved.scopes
    assert resolved.client_id == "x"


def test_what_is_set_stands_above_what_is_known() -> None:
    provider = Provider(client_id="x", issuer="https://id.example.org", scopes=["openid"])
    resolved = provider.resolved("google")
    assert (resolved.issuer, resolved.scopes, resolved.kind) == ("https://id.example.org", ["openid"], "oidc")
    assert Provider(client_id="x", kind="oidc").resolved("acme").scopes == ("openid", "email", "profile")


@pytest.mark.parametrize(
    ("name", "fields", "match"),
    [
        ("google", {"client_id": ""}, "client_id is required"),
        ("acme", {}, "kind is required"),
        ("acme", {"kind": "oidc"}, "issuer is required"),
        ("acme", {"kind": "oidc", "issuer": "http://id.example.org"}, "issuer must be an https address"),
        ("acme", {"kind": "oauth2"}, "authorization_endpoint is required"),
        ("github", {"token_endpoint": "ftp://x"}, "token_endpoint must be an https address"),
        ("github", {"token_endpoint": "https://x:port"}, "token_endpoint must be an https address"),
        ("google", {"algorithms": ["none"]}, "algorithms: 'none' is none of RS256"),
        ("google", {"algorithms": ["HS256"]}, "algorithms: 'HS256'"),
        ("apple", {"team_id": "T"}, "team_id and key_id: both or neither"),
        ("apple", {"team_id": "T", "key_id": "K"}, "client_secret must be the private key"),
        ("email", {}, "none of ours"),
        ("Bad name", {}, "a name is"),
    ],
)
def test_what_cannot_work_is_refused(name: str, fields: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        AuthSettings(social={name: Provider(**{"client_id": "x", **fields})}).check("dev")


@pytest.mark.parametrize(
    "secret",
    ["", "x", APPLE.as_pem(private=False).decode(), RSAKey.generate_key(2048).as_pem(private=True).decode()],
    ids=["none", "no key", "a public one", "of another kind"],
)
def test_a_secret_that_is_no_private_key(secret: str) -> None:
    provider = Provider(client_id="x", team_id="T", key_id="K", client_secret=Secret(secret) if secret else None)
    with pytest.raises(ConfigError, match=r"client_secret must be the private key") as refusal:
        provider.check("apple")
    assert not secret or secret not in str(refusal.value)


def test_apples_secret_is_a_token_of_ours() -> None:
    """Its form is Apple's: who asks, for whom, by which key, and for less than six months."""
    clock = FakeClock()
    provider = Provider(
        client_id="org.example.app",
        team_id="TEAM",
        key_id="KEY",
        client_secret=Secret(APPLE.as_pem(private=True).decode()),
    )
    provider.check("apple")
    remote = Remote("apple", provider.resolved("apple"), Outside(clock), "https://x/callback")
    form: dict[str, str] = {}
    assert remote._authenticate(form) is None
    read = jwt.decode(form["client_secret"], APPLE, algorithms=["ES256"])
    now = int(clock.now().timestamp())
    assert (read.header["alg"], read.header["kid"]) == ("ES256", "KEY")
    assert read.claims == {
        "iss": "TEAM",
        "iat": now,
        "exp": now + 600,
        "aud": "https://appleid.apple.com",
        "sub": "org.example.app",
    }
    assert form["client_id"] == "org.example.app"


async def test_apple_is_asked_to_post() -> None:
    provider = Provider(client_id="x", authorization_endpoint="https://a.example.org/auth?v=2")
    github = msgspec.structs.replace(provider.resolved("github"), form_post=True)
    remote = Remote("github", github, Outside(FakeClock()), "https://x/callback")
    address = await remote.address(Errand(nonce="n", verifier="v"), "s", [], {})
    assert address.startswith("https://a.example.org/auth?v=2&client_id=x&")
    assert "response_mode=form_post" in address


def test_all_of_them_may_lie_in_a_file_of_secrets(tmp_path: Path) -> None:
    """`corekit config explain` shows none of them."""
    file = tmp_path / "social.json"
    file.write_text('{"google": {"client_id": "x", "client_secret": "very secret"}}')
    config = Config.load(environ={"COREKIT_AUTH__SOCIAL_FILE": str(file)})
    secret = config.table("auth", AuthSettings).social["google"].client_secret
    assert secret is not None
    assert secret.reveal() == "very secret"
    assert "very secret" not in str(config.explain("auth", AuthSettings))
