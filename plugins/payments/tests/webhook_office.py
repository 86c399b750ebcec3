"""The sandbox's notices on their way to a kit: posted to its route, and worked on when the test says so."""

import contextlib
from typing import Any

import httpx
from counters import Counter
from sqlalchemy import select

from corekit.jobs import Retry
from corekit_payments import PaymentsPlugin
from corekit_payments.inbox import WebhookInboxRow
from corekit_payments.inbox.taking import NoticeKey
from corekit_payments.sandbox import Journal, Sandbox, journal_of
from corekit_payments.sandbox.notices import Signed

WEBHOOKS = "/payments/v1/webhooks"


class PostOffice:
    """Takes what the sandbox has to tell to the route, and runs the jobs of the inbox by hand."""

    def __init__(self, counter: Counter) -> None:
        self.kit, self._http = counter.kit, counter.http
        self.journal = Journal(journal_of(self.kit.database.data_dir, "sandbox"))
        self.sandbox = Sandbox("sandbox", self.journal, self.kit.clock)

    async def post(self, notice: Signed, instance: str = "sandbox") -> httpx.Response:
        """Send one."""
        headers, raw = notice
        return await self._http.post(f"{WEBHOOKS}/{instance}", content=raw, headers=headers)

    async def deliver(self, *notices: Signed, instance: str = "sandbox") -> int:
        """Send them, all of the sandbox's unless some are given; return how many were new."""
        answers = [await self.post(one, instance) for one in notices or self.sandbox.notices()]
        assert {answer.status_code for answer in answers} <= {200}
        return sum(answer.json()["received"] for answer in answers)

    async def work(self) -> list[str]:
        """Work on what waits, once each; return what became of every notice, in the order in which they came."""
        (plugin,) = (one for one in self.kit.plugins if isinstance(one, PaymentsPlugin))
        for row in await self.rows():
            if row.state in {"received", "parked"}:
                caller = self.kit.caller().system("payments")
                with contextlib.suppress(Retry):
                    await plugin.process_webhook(caller, NoticeKey(row.provider, row.event_id))
        return [row.state for row in await self.rows()]

    async def approved(self, counter: Counter, means: str = "tok_3ds") -> str:
        """Have a payment wait for its payer, who then approves; return its id: nobody has looked since."""
        made = await counter.pay(means)
        ref = (await counter.get(f"/{made.json()['id']}/operations")).json()[0]["provider_ref"]
        await self.sandbox.decide(ref, approve=True)
        return str(made.json()["id"])

    async def rows(self) -> list[WebhookInboxRow]:
        """Read the inbox."""
        return await self.table(WebhookInboxRow, WebhookInboxRow.received_at, WebhookInboxRow.event_id)

    async def table(self, row: Any, *order: Any) -> list[Any]:
        """Read a table with the plugin's rights."""
        async with self.kit.caller().system("payments").begin(readonly=True) as ctx:
            return list((await ctx.session.scalars(select(row).order_by(*order))).all())
