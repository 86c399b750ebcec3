"""Sending a notice of the sandbox's, as a provider would: for a command, which nobody waits beside."""

from collections.abc import Mapping
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from corekit.errors import ConfigError

_SECONDS = 10


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow none."""


def send(url: str, headers: Mapping[str, str], raw: bytes) -> str:
    """Post it and return what came back, status and body (ConfigError where nobody answers there)."""
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ConfigError(f"{url} is no address of a server: http://… or https://…")
    opener = build_opener(ProxyHandler({}), _Stay())
    try:
        with opener.open(Request(url, raw, dict(headers)), timeout=_SECONDS) as answer:  # noqa: S310  # checked above
            return f"{answer.status} {answer.read(1024).decode('utf-8', 'replace')}"
    except HTTPError as error:
        with error:
            return f"{error.code} {error.read(1024).decode('utf-8', 'replace')}"
    except (URLError, OSError) as error:
        raise ConfigError(f"nobody answers at {url}: {error}") from error
