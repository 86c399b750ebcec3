"""Somebody who asks over HTTP and keeps every secret that goes in or comes out, to look for it afterwards."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

SECRET = frozenset(
    {
        *("password", "current_password", "nonce", "code", "codes", "token", "token_hash", "hashed_token", "email_otp"),
        *("auth_code", "code_verifier", "access_token", "refresh_token", "provider_token", "provider_refresh_token"),
        *("id_token", "captcha_token", "secret", "state"),
    }
)
SHORT = 8  # a code of fewer characters is looked for as a word of its own


class Witness:
    """Keeps `secrets` by the names of the members that hold them, and which routes were `asked` with success."""

    def __init__(self, web: Callable[..., httpx.AsyncClient]) -> None:
        self._web = web
        self.secrets: dict[str, str] = {}
        self.asked: set[tuple[str, str]] = set()

    async def ask(self, method: str, path: str, token: str = "", status: int = 200, **request: Any) -> Any:
        """Ask, expect a status, keep what is secret, and return the body; a refusal repeats no secret."""
        sent = dict(secrets_of(request))
        async with self._web(token) as client:
            answer = await client.request(method, path, **request)
        assert answer.status_code == status, (method, path, answer.text)
        self.secrets |= {value: name for name, value in sent.items()}
        if status < 400:
            self.asked.add((method, urlsplit(path).path))
        else:
            assert found(answer.text, sent.values()) == [], (method, path)
        body = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else None
        landed = dict(parse_qsl(urlsplit(location := answer.headers.get("location", "")).fragment))
        landed |= parse_qsl(urlsplit(location).query)
        self.keep(body)
        self.keep(landed)
        return landed | {"": location} if location else body

    def keep(self, value: Any) -> None:
        """Keep what is secret in a body; of a signed token its signature too."""
        for name, text in secrets_of(value):
            self.secrets[text] = name
            if text.count(".") == 2:
                self.secrets[text.rpartition(".")[2]] = f"signature of {name}"

    def said(self, code: str) -> str:
        """Keep a code that came by mail or SMS."""
        self.secrets[code] = "code"
        return code


def secrets_of(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Find the secrets in a body or a question, by the names of the members."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from secrets_of(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from secrets_of(one, name)
    elif isinstance(value, str) and value and name in SECRET:
        yield name, value


def found(text: str, secrets: Any) -> list[str]:
    """Return which secrets stand in a text."""
    return [one for one in secrets if (_word(one).search(text) if len(one) < SHORT else one in text)]


def _word(text: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![0-9A-Za-z.-]){re.escape(text)}(?![0-9A-Za-z.-])")
