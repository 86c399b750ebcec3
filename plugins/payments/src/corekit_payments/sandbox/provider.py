"""The adapter of the sandbox: the calls of `Provider`, answered from its journal."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from corekit.contracts.payments import (
    Capabilities,
    DisputingProvider,
    Evidence,
    Headers,
    NextAction,
    OutcomeUnknown,
    ProviderCall,
    ProviderEvent,
    RedirectUrl,
    SettlementRow,
    UpiIntent,
    UpiQr,
)
from corekit.contracts.payments.providers import EvidenceSource
from corekit.errors import ConfigError
from corekit.settings import Secret
from corekit.values import Clock, Money
from corekit_payments.calling import Line
from corekit_payments.sandbox import counter
from corekit_payments.sandbox.bank import Bank
from corekit_payments.sandbox.counter import Counter, Far, Near, Rejected
from corekit_payments.sandbox.court import Row, Verdict
from corekit_payments.sandbox.journal import Journal
from corekit_payments.sandbox.notices import Signed, disturbed, read, signed
from corekit_payments.signing import TOLERANCE
from corekit_payments.upi import links, vpa

CAPABILITIES = Capabilities(
    methods=frozenset({"token", "upi_intent", "upi_qr"}),
    currencies=frozenset({"INR", "USD", "EUR", "GBP", "JPY"}),
    multicapture=True,
    disputes=True,
    settlements=True,
    collects_for_users=True,
    lookup_settles_after=timedelta(minutes=1),
)
_TO_ANSWER = timedelta(days=7)
# No bank has this handle, so that nobody is paid.
NOBODY = links.Link(payee=vpa.parse("sandbox@corekittest"), name="corekit sandbox", mcc=links.PERSON)


NOWHERE = "https://sandbox.invalid"


class Sandbox(DisputingProvider):
    """One instance; `capabilities` may deny what it can, to see what others cannot. Its links pay `payee`.

    What it does is in the journal at `place`, or in that of a process at the other end of a line, which knows repeated
    calls by their keys whatever `capabilities` say; then `secrets` are needed.
    Its notices say that they are `live` where the whole plugin is, and are signed with the first of `secrets`, or with
    one that its journal keeps. Below `pages` its payers approve or refuse.
    """

    def __init__(
        self,
        name: str,
        place: Journal | Line,
        clock: Clock,
        capabilities: Capabilities = CAPABILITIES,
        payee: links.Link | None = None,
        *,
        secrets: Sequence[Secret] = (),
        tolerance: timedelta = TOLERANCE,
        live: bool = False,
        pages: str = NOWHERE,
    ) -> None:
        self.name = name
        self.capabilities = capabilities
        self._payee = payee or NOBODY
        self._journal = place if isinstance(place, Journal) else None
        self._counter: Counter = (
            Near(Bank(place, clock, keys=capabilities.keys)) if isinstance(place, Journal) else Far(place)
        )
        self._clock = clock
        self._secrets = tuple(one for one in secrets if one.reveal())
        self._tolerance = tolerance
        self._live = live
        self._pages = pages

    async def create(self, call: ProviderCall) -> Evidence:
        """Begin an authorisation."""
        return await self._take(call)

    async def confirm(self, call: ProviderCall) -> Evidence:
        """Return what became of an authorisation after the payer acted."""
        return await self.fetch(call.provider_ref or "")

    async def capture(self, call: ProviderCall) -> Evidence:
        """Take what was authorised, or a part."""
        return await self._take(call)

    async def void(self, call: ProviderCall) -> Evidence:
        """Release what was authorised."""
        return await self._take(call)

    async def refund(self, call: ProviderCall) -> Evidence:
        """Give captured money back."""
        return await self._take(call)

    async def fetch(self, ref: str) -> Evidence:
        """Return what became of an object."""
        return self._shown(await self._counter.ask(counter.Fetch(ref=ref)), "fetched")

    async def lookup(self, reference: str) -> Evidence | None:
        """Find an operation by our reference."""
        found = await self._counter.ask(counter.Lookup(reference=reference))
        return None if found is None else self._shown(found, "fetched")

    async def decide(self, ref: str, *, approve: bool) -> Evidence:
        """Be the payer who approves or refuses (3DS, a UPI app)."""
        return self._shown(await self._counter.ask(counter.Decide(ref=ref, approve=approve)), "fetched")

    async def disputes(self, ref: str) -> Sequence[Evidence]:
        """List the disputes of what was taken."""
        return [self._shown(row, "fetched") for row in await self._counter.ask(counter.Disputes(ref=ref))]

    async def dispute(self, ref: str) -> Evidence:
        """Be the payer who asks their bank for all of it back."""
        return self._shown(await self._counter.ask(counter.Dispute(ref=ref)), "fetched")

    async def judge(self, ref: str, verdict: Verdict) -> Evidence:
        """Be the bank that decides a dispute."""
        return self._shown(await self._counter.ask(counter.Judge(ref=ref, verdict=verdict)), "fetched")

    async def list_since(self, cursor: str) -> AsyncIterator[Evidence]:
        """List objects that were made since a time in seconds (Unix)."""
        since = datetime.fromtimestamp(int(cursor or 0), UTC)
        async for row in self._since(since):
            yield self._shown(row, "fetched")

    async def settlement_rows(self, day: date) -> AsyncIterator[SettlementRow]:
        """List what was captured or given back on a day: it is paid out at once, without a fee."""
        begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
        async for row in self._since(begin):
            at = datetime.fromisoformat(row["at"])
            taken = row["kind"] in {"capture", "refund"} or (row["kind"] == "authorize" and row["automatic"])
            if at.date() == day and row["state"] == "succeeded" and taken:
                yield SettlementRow(
                    id=row["ref"], kind="refund" if row["kind"] == "refund" else "capture", settled_at=at,
                    amount=Money(row["amount"], row["currency"]), provider_ref=row["ref"],
                )  # fmt: skip

    def verify(self, headers: Headers, raw: bytes) -> Sequence[ProviderEvent]:
        """Check a notice's signature over its bytes and read it (ValueError)."""
        return [read(headers, raw, self._keys(), self._clock.now(), self._tolerance)]

    def notices(self, after: int = 0, *, copies: int = 1, seed: int | None = None) -> list[Signed]:
        """Write and sign what there is to tell after the number of a notice; nobody sends them but who asks for them.

        Each comes as often as `copies` says, and with a `seed` in an order of chance, the same for the same seed.

        Raises:
            ConfigError: the journal is another process's.

        """
        if self._journal is None:
            raise ConfigError(f"[payments.providers.{self.name}]: the notices are where its process is")
        told = signed(self._journal.notices(after), self._keys()[0], self._clock.now(), live=self._live)
        return told * copies if seed is None else disturbed(told, copies, seed)

    async def last_notice(self, ref: str) -> Signed | None:
        """Write and sign the last that there is to tell of an object."""
        told = await self._counter.ask(counter.LastNotice(ref=ref))
        return None if told is None else signed([told], self._keys()[0], self._clock.now(), live=self._live)[0]

    async def close(self) -> None:
        """Close the connections."""
        await self._counter.close()

    def page(self, ref: str) -> str | None:
        """Say where the payer of an object acts; nowhere where there are no pages."""
        return None if self._pages == NOWHERE else f"{self._pages}/{ref}"

    def _keys(self) -> Sequence[Secret]:
        if not self._secrets and self._journal is not None:
            self._secrets = (Secret(self._journal.secret()),)
        return self._secrets

    async def _take(self, call: ProviderCall) -> Evidence:
        try:
            return self._shown(await self._counter.ask(counter.Take(call=call)), "reply")
        except Rejected:
            return Evidence(source="reply", state="failed", error_class="rejected", occurred_at=self._clock.now())

    async def _since(self, begun: datetime) -> AsyncIterator[Row]:
        """List objects since a time, a page in memory, until there are no more: how long a page is, the bank knows."""
        after = 0
        while page := await self._counter.ask(counter.Since(begun=begun, after=after)):
            for row in page:
                yield row
            if page[-1]["n"] <= after:
                return
            after = page[-1]["n"]

    def _shown(self, row: Row, source: EvidenceSource) -> Evidence:
        """Write what an object of the sandbox shows (OutcomeUnknown: nothing that can be)."""
        try:
            money = Money(row["amount"], row["currency"])
        except ValueError:
            raise OutcomeUnknown("its answer cannot be read") from None
        done = row["state"] == "succeeded"
        taken = done and (row["kind"] == "capture" or (row["kind"] == "authorize" and row["automatic"]))
        disputed, at = row["kind"] == "dispute", datetime.fromisoformat(row["at"])
        fields: dict[str, Any] = {"state": row["state"], "error_class": row["error"], "provider_ref": row["ref"]}
        return Evidence(
            source=source,
            occurred_at=at,
            amount=money,
            reference=row["reference"] or None,
            captured=money if taken else None,
            refunded=money if done and row["kind"] == "refund" else None,
            stage=(row["means"] or None) if disputed else None,
            expires_at=at + _TO_ANSWER if disputed and row["means"] == "opened" else None,
            next_action=self._action(row, money) if row["state"] == "requires_action" else None,
            raw={"id": row["ref"], "kind": row["kind"], "status": row["state"]},
            **fields,
        )

    def _action(self, row: Row, money: Money) -> NextAction:
        if row["means"] not in {"tok_upi_qr", "tok_upi_intent"}:
            return RedirectUrl(url=f"{self._pages}/{row['ref']}")
        link = links.build(msgspec.structs.replace(self._payee, reference=row["reference"], amount=money))
        return UpiIntent(link=link) if row["means"] == "tok_upi_intent" else UpiQr(payload=link, expires_at=None)
