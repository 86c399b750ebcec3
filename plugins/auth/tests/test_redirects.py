"""Statement 16: a link leads to listed places alone."""

import pytest

from corekit.errors import ConfigError
from corekit_auth import AuthSettings
from corekit_auth.redirects import Redirects

SITE = "https://app.example.com"
ALLOW = [
    "https://shop.example.com/back",
    "https://app.example.com/in/*",
    "com.example.app://callback",
    "http://127.0.0.1/cb",
]
REDIRECTS = Redirects(AuthSettings(site_url=SITE, redirect_allow=ALLOW))


@pytest.mark.parametrize(
    "wanted",
    [
        "https://app.example.com",
        "https://app.example.com/",
        "https://app.example.com?next=%2Fhome#top",
        "https://shop.example.com/back",
        "https://shop.example.com/back?order=1",
        "https://app.example.com/in/here",
        "com.example.app://callback",
        "com.example.app://callback?x=1",
        "http://127.0.0.1:49152/cb",
    ],
)
def test_the_site_and_what_is_listed_are_allowed(wanted: str) -> None:
    assert REDIRECTS.allowed(wanted) == wanted


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "https://evil.example",
        "https://app.example.com.evil.example",
        "https://app.example.com@evil.example/in/here",
        "https://shop.example.com/back/",
        "https://shop.example.com/backdoor",
        "https://shop.example.com:444/back",
        "http://shop.example.com/back",
        "https://app.example.com/in/a/b",
        "https://app.example.com/in/..",
        "https://app.example.com/in/%2E%2e",
        "https://app.example.com/in/\\evil.example",
        "https://app.example.com\r\nLocation: https://evil.example",
        "//evil.example",
        "javascript:alert(1)",
        "https://[::1",
        "https://app.example.com:99999/",
        "http://localhost:49152/cb",
        "http://127.0.0.1:49152/other",
        "https://app.example.com/in/" + "a" * 2048,
    ],
)
def test_whatever_else_becomes_the_site(wanted: str) -> None:
    """Mutation: return `wanted` from `allowed` and each of these goes red."""
    assert REDIRECTS.allowed(wanted) == SITE


@pytest.mark.parametrize("entry", ["https://*.example.com/", "https://example*", "*://example.com/"])
def test_a_wildcard_outside_the_path_keeps_the_server_from_starting(entry: str) -> None:
    with pytest.raises(ConfigError, match="redirect_allow"):
        AuthSettings(redirect_allow=[entry]).check("dev")
