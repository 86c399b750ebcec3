"""Where a passkey may be used: the application's pages, and its apps."""

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from corekit.errors import ConfigError

_ANDROID = "android:apk-key-hash:"
_ANDROID_FORM = re.compile(re.escape(_ANDROID) + r"[A-Za-z0-9_-]{43}")
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31}")
_PACKAGE = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+", re.ASCII)
_APPLE = re.compile(r"[A-Z0-9]{10}\.[A-Za-z0-9.-]{1,155}")


class Sites(Protocol):
    """The settings that name pages and apps."""

    @property
    def site_url(self) -> str: ...
    @property
    def external_url(self) -> str: ...
    @property
    def rp_origins(self) -> Sequence[str]: ...
    @property
    def android_apps(self) -> Mapping[str, Sequence[str]]: ...
    @property
    def apple_apps(self) -> Sequence[str]: ...


def origins(settings: Sites) -> tuple[str, ...]:
    """List what a browser or an app may give as its origin; none is a pattern."""
    pages = [_origin(settings.site_url), _origin(settings.external_url)]
    apps = [app_origin(one) for prints in settings.android_apps.values() for one in prints]
    return tuple(dict.fromkeys(one for one in (*settings.rp_origins, *pages, *apps) if one))


def app_origin(fingerprint: str) -> str:
    """Return the origin of an Android app from the SHA-256 fingerprint of its signing certificate."""
    digest = bytes.fromhex(fingerprint.replace(":", ""))
    return _ANDROID + urlsafe_b64encode(digest).rstrip(b"=").decode()


def check_sites(settings: Sites) -> None:
    """Refuse an origin or an app that nothing would ever match.

    Raises:
        ConfigError: naming the setting and what is allowed.

    """
    for entry in settings.rp_origins:
        if not _ANDROID_FORM.fullmatch(entry) and entry != _origin(entry):
            raise ConfigError(
                f"[auth] rp_origins {entry!r}: must be an origin as in https://app.example.org, without path or"
                f" slash, or {_ANDROID}<43 characters>"
            )
    _check(settings.android_apps, _PACKAGE, "android_apps: a package's name as in org.example.app")
    prints = [one for listed in settings.android_apps.values() for one in listed]
    _check(prints, _FINGERPRINT, "android_apps: a SHA-256 fingerprint is 32 bytes in hexadecimal with colons")
    _check(settings.apple_apps, _APPLE, "apple_apps: a team's id and a bundle's, as in ABCDE12345.org.example.app")


def _check(entries: Iterable[str], form: re.Pattern[str], what: str) -> None:
    for entry in entries:
        if not form.fullmatch(entry):
            raise ConfigError(f"[auth] {what}, not {entry!r}")


def _origin(url: str) -> str:
    """Return the origin of an address, as browsers write it (RFC 6454 §6)."""
    parts = urlsplit(url)
    port = parts.port
    usual = {"http": 80, "https": 443}
    if parts.scheme not in usual or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if port in {None, usual[parts.scheme]} else f":{port}")
