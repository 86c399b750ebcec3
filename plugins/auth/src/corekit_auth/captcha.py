"""Captcha: whether a person, rather than a program, sends a form; hCaptcha or Turnstile say so."""

from typing import Any, Protocol

from corekit.context import Caller
from corekit_auth.errors import BadOauthCallback, CaptchaFailed
from corekit_auth.outside import Outside
from corekit_auth.settings import AuthSettings

_URLS = {
    "hcaptcha": "https://api.hcaptcha.com/siteverify",
    "turnstile": "https://challenges.cloudflare.com/turnstile/v0/siteverify",
}
_TOKEN_MAX = 8192


class Captcha(Protocol):
    """Asks somebody who knows; called with no context open."""

    async def demand(self, caller: Caller, token: str) -> None:
        """Refuse whoever has not solved it (CaptchaFailed)."""
        ...


class SiteVerify(Captcha):
    """Both providers' protocol: the secret and the answer are posted, `success` comes back."""

    def __init__(self, settings: AuthSettings, outside: Outside) -> None:
        self._secret = settings.captcha_secret
        self._url = settings.captcha_url or _URLS.get(settings.captcha, "")
        self._outside = outside

    async def demand(self, caller: Caller, token: str) -> None:
        """Ask the provider; where captcha is off, everybody passes.

        Raises:
            CaptchaFailed: there is no answer, or the provider does not take it.
            ProviderUnreachable: the provider does not answer: nobody passes meanwhile.

        """
        if not self._url or self._secret is None:
            return
        caller.demand_free("captcha")
        if not token or len(token) > _TOKEN_MAX:
            raise CaptchaFailed("captcha protection: request disallowed (no captcha_token found)")
        form = {"secret": self._secret.reveal(), "response": token}
        if caller.client.address:
            form["remoteip"] = caller.client.address
        try:
            said: Any = await self._outside.post(self._url, form)
        except BadOauthCallback:
            raise CaptchaFailed from None
        if not (isinstance(said, dict) and said.get("success") is True):
            raise CaptchaFailed
