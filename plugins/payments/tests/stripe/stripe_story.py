"""The same stories told to any provider, and what its evidence says in each step."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from corekit.contracts.payments import Evidence, Method, Provider, ProviderCall
from corekit.values import Money

Seen = tuple[str, str, int | None, int | None, str | None]  # step, state, captured, refunded, error class
_NUMBERS = count(1)


@dataclass
class Teller:
    """A provider, its ways to pay, and its payer; `seen` is what its evidence said, step by step."""

    provider: Provider
    means: Callable[[str], Awaitable[Method]]  # of a payment that is `ok`, `declined`, or asks its payer first (`3ds`)
    decide: Callable[[Evidence, bool], Awaitable[object]]
    seen: list[Seen] = field(default_factory=list)
    number: int = 0  # of the last reference
    captures: set[str | None] = field(default_factory=set)

    async def create(self, means: str = "ok", *, manual: bool = False) -> Evidence:
        method = await self.means(means)
        return await self._sent("create", "authorize", 1000, method=method, manual=manual)

    async def capture(self, of: Evidence, amount: int) -> Evidence:
        return await self._sent("capture", "capture", amount, of)

    async def void(self, of: Evidence, amount: int = 1000) -> Evidence:
        return await self._sent("void", "void", amount, of)

    async def refund(self, of: Evidence, amount: int) -> Evidence:
        return await self._sent("refund", "refund", amount, of)

    async def fetch(self, of: Evidence) -> Evidence:
        return self._noted("fetch", await self.provider.fetch(of.provider_ref or ""))

    async def confirm(self, of: Evidence) -> Evidence:
        return self._noted("confirm", await self.provider.confirm(self._call("authorize", 1000, of)))

    async def lookup(self) -> Evidence:
        """Find what was sent last by our reference."""
        found = await self.provider.lookup(f"STORY{self.number}")
        assert found is not None
        return self._noted("lookup", found)

    async def listed(self, *made: Evidence) -> None:
        """Find objects in the list."""
        every = {one.provider_ref: one async for one in self.provider.list_since("0")}
        for one in made:
            self._noted("list", every[one.provider_ref])

    async def _sent(
        self, step: str, kind: Any, amount: int, of: Evidence | None = None, *, method: Any = None, manual: bool = False
    ) -> Evidence:
        self.number = next(_NUMBERS)
        call = self._call(kind, amount, of, method=method, capture_method="manual" if manual else "automatic")
        return self._noted(step, await getattr(self.provider, step)(call))

    def _call(self, kind: Any, amount: int, of: Evidence | None, **more: Any) -> ProviderCall:
        return ProviderCall(
            key=f"pop_story_{self.number}", reference=f"STORY{self.number}", kind=kind, amount=Money(amount, "EUR"),
            payment="pay_story", provider_ref=None if of is None else of.provider_ref, **more,
        )  # fmt: skip

    def _noted(self, step: str, said: Evidence) -> Evidence:
        """Write a step down; a capture is of its whole amount, whether `captured` says so too or not."""
        if step == "capture":
            self.captures.add(said.provider_ref)
        took = said.provider_ref in self.captures and said.state == "succeeded"
        taken = said.amount if took else said.captured
        taken, back = (None if one is None else one.minor for one in (taken, said.refunded))
        self.seen.append((step, said.state, taken, back, said.error_class))
        return said


async def charged(teller: Teller) -> None:
    paid = await teller.create()
    await teller.lookup()
    await teller.fetch(paid)
    await teller.confirm(paid)
    first = await teller.refund(paid, 400)
    await teller.lookup()
    await teller.fetch(first)
    await teller.refund(paid, 600)
    await teller.capture(paid, 1)
    await teller.void(paid)
    await teller.listed(paid, first)


async def held(teller: Teller) -> None:
    hold = await teller.create(manual=True)
    await teller.fetch(hold)
    taken = await teller.capture(hold, 300)
    await teller.capture(hold, 1)
    await teller.capture(hold, 700)
    await teller.void(hold, 700)
    await teller.fetch(taken)
    await teller.refund(hold, 300)
    await teller.listed(taken)


async def over_captured(teller: Teller) -> None:
    hold = await teller.create(manual=True)
    await teller.capture(hold, 1001)
    await teller.fetch(hold)
    await teller.capture(hold, 1000)


async def released(teller: Teller) -> None:
    hold = await teller.create(manual=True)
    await teller.fetch(hold)
    await teller.void(hold)


async def approved(teller: Teller) -> None:
    waits = await teller.create("3ds")
    await teller.fetch(waits)
    await teller.decide(waits, True)
    await teller.confirm(waits)
    await teller.refund(waits, 1000)


async def approved_and_held(teller: Teller) -> None:
    waits = await teller.create("3ds", manual=True)
    await teller.decide(waits, True)
    await teller.fetch(waits)
    await teller.capture(waits, 1000)


async def denied(teller: Teller) -> None:
    waits = await teller.create("3ds")
    await teller.decide(waits, False)
    await teller.confirm(waits)
    await teller.fetch(waits)
    await teller.listed(waits)


async def declined(teller: Teller) -> None:
    await teller.create("declined")
    refused = await teller.lookup()
    await teller.fetch(refused)
    await teller.capture(refused, 1000)
    await teller.refund(refused, 1)


STORIES = (charged, held, over_captured, released, approved, approved_and_held, denied, declined)
