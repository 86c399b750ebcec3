"""The driver: takes what is in hand to its provider and brings back what came of it, whoever waits for it."""

import asyncio
from uuid import UUID

from corekit.context import Caller
from corekit.contracts.payments import Evidence, NotAttempted, OutcomeUnknown, Payment, ReviewReason
from corekit.watch import get_logger
from corekit_payments import reading
from corekit_payments.holding import Hold, Holding
from corekit_payments.settings import PaymentsSettings
from corekit_payments.telling import Via

_LOOK = 0.2  # seconds between looks at what another process drives


class Driver:
    """Drives operations as tasks of its own: a client that leaves, or waits no longer, stops none."""

    def __init__(self, holding: Holding, settings: PaymentsSettings) -> None:
        self._holding = holding
        self._settings = settings
        self._running: dict[UUID, asyncio.Task[None]] = {}

    @property
    def running(self) -> int:
        """How many operations are being driven."""
        return len(self._running)

    def start(self, operation: UUID, tenant: UUID | None, via: Via) -> asyncio.Task[None]:
        """Drive an operation; who asks again while it is driven is given the same task."""
        if (task := self._running.get(operation)) is None:
            task = self._running[operation] = asyncio.create_task(
                self._drive(operation, tenant, via), name="payments-driver"
            )
            task.add_done_callback(lambda _: self._running.pop(operation, None))
        return task

    async def drive(self, caller: Caller, payment: UUID, timeout: float) -> Payment:  # noqa: ASYNC109  # bounds the wait alone
        """Drive what a payment has in hand, for somebody who may see it, and wait so long for what comes of it.

        Returns the payment's newest state.

        Raises:
            NotFound: they may not see it.
            InsideContext: this task holds a context.

        """
        caller.demand_free("drive")
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        tried: set[UUID] = set()
        while True:
            shown, hand = await self._look_at(caller, payment)
            left = end - loop.time()
            if hand is None or (tried and left <= 0):
                return shown
            if hand not in tried:
                tried.add(hand)
                task = self.start(hand, caller.tenant, "request")
                await asyncio.wait([task], timeout=max(0.0, left))
            else:
                await asyncio.sleep(min(_LOOK, left))

    async def close(self) -> None:
        """Let what is on its way arrive; a call has a limit of its own."""
        if self._running:
            _, late = await asyncio.wait(self._running.values(), timeout=self._settings.provider_timeout + 5)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _look_at(self, caller: Caller, payment: UUID) -> tuple[Payment, UUID | None]:
        """Return a payment, and the operation that somebody has to drive."""
        async with caller.begin(readonly=True) as ctx:
            row, operations = await reading.rows_of(ctx, payment)
            hand = reading.in_hand(operations)
            return await reading.shown(ctx, row, operations), None if hand is None else hand.id

    async def _drive(self, operation: UUID, tenant: UUID | None, via: Via) -> None:
        try:
            hold = await self._holding.take(operation, tenant)
            if hold is not None and hold.step != "send":
                hold = await self._look(hold, via)
            if hold is not None:
                await self._send(hold, via)
        except Exception as error:  # noqa: BLE001  # its lease runs out, then somebody looks again
            get_logger("corekit.payments").error("payments_driver_failed", error=f"{type(error).__name__}: {error}")

    async def _look(self, hold: Hold, via: Via) -> Hold | None:
        """Ask what became of it; return the hold again where it is to be sent after all."""
        provider, call = hold.provider, hold.call
        try:
            async with asyncio.timeout(self._settings.provider_timeout):
                if hold.step == "fetch":
                    found: Evidence | None = await provider.fetch(call.provider_ref or "")
                elif provider.capabilities.lookup:
                    found = await provider.lookup(call.reference)
                else:
                    found = None
        except NotAttempted as why:
            await self._holding.not_attempted(hold, why)
            return None
        except (OutcomeUnknown, TimeoutError) as why:
            await self._holding.not_attempted(hold, NotAttempted(str(why) or "no answer in time"))
            return None
        if found is None:
            return await self._holding.not_found(hold)
        await self._holding.end(hold, found, via)
        return None

    async def _send(self, hold: Hold, via: Via) -> None:
        """Call; whatever is not understood may have been done."""
        provider = hold.provider
        verbs = {"authorize": provider.create, "capture": provider.capture, "void": provider.void}
        try:
            async with asyncio.timeout(self._settings.provider_timeout):
                evidence = await verbs.get(hold.call.kind, provider.refund)(hold.call)
        except NotAttempted as why:
            await self._holding.not_attempted(hold, why)
            return
        except OutcomeUnknown as why:
            evidence = self._unknown(mismatch=why.mismatch)
        except Exception as error:  # noqa: BLE001  # an adapter's bug must not hide what may have been done
            if not isinstance(error, TimeoutError):
                get_logger("corekit.payments").error("payments_adapter_failed", error=type(error).__name__)
            evidence = self._unknown()
        await self._holding.end(hold, evidence, via)

    def _unknown(self, *, mismatch: bool = False) -> Evidence:
        review: ReviewReason | None = "unknown" if mismatch else None
        return Evidence(source="reply", state="unknown", occurred_at=self._holding.now(), review=review)
