"""Mail through a provider's HTTP API, in place of the core's SMTP: `Corekit([OwnMailPlugin(), …])`. Needs httpx."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx

from corekit import Caller, Kit, Plugin, Secret, Settings
from corekit.contracts.delivery import Gone, Mail, MailSender, Outcome, Rejected, Retry, Sent, Throttled

SOON = timedelta(minutes=1)


class OwnMailSettings(Settings, frozen=True):
    """`[own_mail]`: where the provider is, and the key that it gave you."""

    url: str
    key: Secret


class OwnMail(MailSender):
    """Posts each mail; what the provider answers becomes an outcome."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def send(self, caller: Caller, mail: Mail) -> Outcome:
        """Hand one mail over."""
        caller.demand_free("sending mail")  # no transaction waits for the network
        body = {"to": mail.to, "subject": mail.subject, "text": mail.text, "html": mail.html}
        try:
            answer = await self._http.post("/messages", json=body)
        except httpx.TransportError as error:
            return Retry(SOON, type(error).__name__)
        match answer.status_code:
            case 202:
                return Sent(answer.json()["id"])
            case 410:
                return Gone("410")
            case 429:
                return Throttled(SOON)
            case status if status >= httpx.codes.INTERNAL_SERVER_ERROR:
                return Retry(SOON, str(status))
            case status:
                return Rejected(str(status))


class OwnMailPlugin(Plugin[OwnMailSettings]):
    """Stands in for the core's sender, because it provides the same contract."""

    name = "own_mail"
    provides = (MailSender,)

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
        """Keep one client for as long as the kit runs."""
        headers = {"Authorization": f"Bearer {self.settings.key.reveal()}"}
        async with httpx.AsyncClient(base_url=self.settings.url, headers=headers, timeout=10) as http:
            kit.provide(MailSender, OwnMail(http))
            yield
