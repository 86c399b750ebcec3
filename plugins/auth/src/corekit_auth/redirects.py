"""Where a link may lead: the application's own page, and what the operator lists."""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from corekit_auth.settings import AuthSettings

_PLAIN = re.compile(r"[\x21-\x7e]{1,2048}")
_UNUSABLE = re.compile(r"[\\\x00-\x20\x7f]")


class Redirects:
    """An exact list: `*` stands for anything within one part of a path, and a foreign address is never echoed."""

    def __init__(self, settings: AuthSettings) -> None:
        self._site = settings.site_url
        self._exact = {settings.site_url, settings.site_url.rstrip("/"), settings.site_url.rstrip("/") + "/"}
        self._listed = [(_pattern(entry), _loopback(entry)) for entry in settings.redirect_allow]

    def allowed(self, wanted: str | None) -> str:
        """Return what was asked for where it is listed, otherwise the application's own page."""
        return wanted if wanted and self.listed(wanted) else self._site

    def listed(self, wanted: str) -> bool:
        """Tell whether an address is the application's or on the list; its query and fragment are free."""
        if not _PLAIN.fullmatch(wanted) or _UNUSABLE.search(wanted):
            return False
        try:
            parts = urlsplit(wanted)
            _ = parts.port
        except ValueError:
            return False
        if parts.username is not None or parts.password is not None or _climbs(parts.path):
            return False
        bare = _bare(parts)
        if bare in self._exact:
            return True
        anywhere = _bare(parts._replace(netloc=parts.hostname or "")) if _is_loopback(parts.hostname) else None
        return any(
            pattern.fullmatch(bare) or (loose and anywhere is not None and pattern.fullmatch(anywhere))
            for pattern, loose in self._listed
        )


def _bare(parts: SplitResult) -> str:
    return parts._replace(query="", fragment="").geturl()


def _pattern(entry: str) -> re.Pattern[str]:
    """Read one entry."""
    return re.compile("[^/?#]*".join(re.escape(part) for part in entry.split("*")))


def _climbs(path: str) -> bool:
    """Tell whether a browser would leave the path: it reads `%2e` as a dot too (WHATWG URL §4.1)."""
    return any(part.lower().replace("%2e", ".") in {".", ".."} for part in path.split("/"))


def _loopback(entry: str) -> bool:
    """Tell whether an entry is a loopback address without a port: then any port is meant (RFC 8252 §7.3)."""
    parts = urlsplit(entry)
    return parts.port is None and _is_loopback(parts.hostname)


def _is_loopback(host: str | None) -> bool:
    if host is None:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
