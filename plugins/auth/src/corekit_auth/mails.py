"""What mails and SMS say: one text and one HTML template per kind and language, and the links in them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    select_autoescape,
)

from corekit.contracts.delivery import Mail, Sms
from corekit_auth.settings import AuthSettings

_FALLBACK = "en"
_LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A mail before it is written: which template, to whom, about what."""

    to: str
    template: str
    locale: str
    values: Mapping[str, Any] = {}


class Mails:
    """Writes mails; a directory of the operator's own templates comes before those of the package."""

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        loaders: list[BaseLoader] = [PackageLoader("corekit_auth", "templates")]
        if settings.templates:
            loaders.insert(0, FileSystemLoader(Path(settings.templates)))
        self._environment = Environment(
            loader=ChoiceLoader(loaders),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )

    def write(self, draft: Draft) -> Mail:
        """Write a mail; the first line of the text is its subject."""
        values = {"site_url": self._settings.site_url, "site": urlsplit(self._settings.site_url).hostname or ""}
        values |= {"email": draft.to, **draft.values}
        subject, _, text = self._rendered(draft, "txt", values).partition("\n")
        return Mail(
            to=draft.to,
            subject=subject.strip(),
            text=text.strip() + "\n",
            html=self._rendered(draft, "html", values),
            kind=f"auth.{draft.template}",
            locale=draft.locale,
        )

    def text(self, phone: str, sms_type: str, locale: str, values: Mapping[str, Any]) -> Sms:
        """Write an SMS; its last line lets the browser or the phone fill the code in (domain-bound codes)."""
        values = {"site": urlsplit(self._settings.site_url).hostname or "", **values}
        names = [f"{one}/sms.txt" for one in _locales(locale)]
        text = self._environment.select_template(names).render(values).strip()
        return Sms(to=phone, text=text, kind=f"auth.{sms_type}", locale=locale)

    def link(self, token_hash: str, type_: str, redirect_to: str, *, pkce: bool) -> str:
        """Make the link of a code; `pkce_` tells the route that the client that asked has a verifier."""
        token = f"pkce_{token_hash}" if pkce else token_hash
        query = urlencode({"token": token, "type": type_, "redirect_to": redirect_to})
        return f"{self._settings.base_url}/verify?{query}"

    def page(self, locale: str, values: Mapping[str, Any]) -> str:
        """Write the page with one button that stands between a link and what it does."""
        names = [f"{one}/verify_page.html" for one in _locales(locale)]
        return self._environment.select_template(names).render(values)

    def _rendered(self, draft: Draft, form: str, values: Mapping[str, Any]) -> str:
        names = [f"{locale}/{draft.template}.{form}" for locale in _locales(draft.locale)]
        return self._environment.select_template(names).render(values)


def _locales(wanted: str) -> list[str]:
    """Name the folders to look into: `de-AT`, `de`, then the fallback."""
    found = [wanted, wanted.partition("-")[0]] if _LOCALE.fullmatch(wanted) else []
    return [*dict.fromkeys([*found, _FALLBACK])]
