"""The transactions around a provider's call: the lease and the key before it, everything that follows from it after."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from corekit.context import Caller, Context, Kit
from corekit.contracts.payments import Evidence, NotAttempted, Provider, ProviderCall, TokenMethod
from corekit.contracts.payments.objects import CardMethod, Method, RedirectMethod, UpiIntentMethod, UpiQrMethod
from corekit.errors import ConfigError
from corekit.values import Money, typeid
from corekit.watch import get_logger
from corekit_payments.applying import apply, apply_to
from corekit_payments.books import Books, lock_of
from corekit_payments.models import PURPOSE, AttemptRow, OperationRow
from corekit_payments.planning import Step, absent, check_after, retry_after, step_of
from corekit_payments.providers import Providers
from corekit_payments.settings import PaymentsSettings
from corekit_payments.telling import Via
from corekit_payments.transitions import OPEN

_METHODS: dict[str, type[UpiIntentMethod] | type[UpiQrMethod]] = {
    "upi_intent": UpiIntentMethod, "upi_qr": UpiQrMethod
}  # fmt: skip


@dataclass(frozen=True)
class Hold:
    """An operation whose lease a driver has: what to do with it, and the token that fences what it writes."""

    operation: UUID
    tenant: UUID | None
    token: int
    step: Step
    call: ProviderCall
    provider: Provider


class Holding:
    """Takes, keeps and ends holds; each method is one transaction."""

    def __init__(self, kit: Kit, settings: PaymentsSettings, providers: Providers) -> None:
        self._kit = kit
        self._settings = settings
        self._providers = providers

    def caller(self, tenant: UUID | None) -> Caller:
        """Return who works on everybody's payments."""
        return replace(self._kit.caller(), tenant=tenant).system(PURPOSE)

    def now(self) -> datetime:
        """Return the kit's time."""
        return self._kit.clock.now()

    async def demand_adapters(self) -> None:
        """Refuse to start without the adapter of what is open: nobody would know what became of it (ConfigError)."""
        async with self.caller(None).begin(readonly=True) as ctx:
            open_ = OperationRow.next_check_at.is_not(None) & OperationRow.state.in_(
                OPEN
            )  # the first half has an index
            used = await ctx.session.scalars(select(OperationRow.provider).where(open_).distinct())
            gone = sorted(name for name in used if self._providers.named(name) is None)
        if gone:
            names = ", ".join(f"[payments.providers.{name}]" for name in gone)
            raise ConfigError(f"{names}: operations are open there; enable it until they have ended")

    async def take(self, operation: UUID, tenant: UUID | None) -> Hold | None:
        """Claim the lease, and commit to a sending before it is made; None where there is nothing to do for us."""
        async with self.caller(tenant).begin() as ctx:
            books = await lock_of(ctx, operation)
            op = books.operation(operation)
            provider = self._providers.named(op.provider)
            leased = op.lease_until is not None and op.lease_until > ctx.now()
            waits = op.state == "created" and op.review is not None
            if op.state not in OPEN or leased or waits or provider is None:
                return None
            step = step_of(op, provider.capabilities, ctx.now(), self._window)
            op.lock_token += 1
            self._lease(ctx, op)
            if step == "send":
                self._send(ctx, op)
            return Hold(op.id, tenant, op.lock_token, step, await self._call(books, op), provider)

    async def not_found(self, hold: Hold) -> Hold | None:
        """Go on after a look-up that found nothing: commit to another sending, or leave it, or ask for a person."""
        async with self.caller(hold.tenant).begin() as ctx:
            books = await lock_of(ctx, hold.operation)
            op = books.operation(hold.operation)
            if op.lock_token != hold.token or op.state not in OPEN:
                return None
            follows = absent(op, hold.provider.capabilities, ctx.now(), self._window)
            if hold.step == "look_up" and follows == "send":
                self._lease(ctx, op)
                self._send(ctx, op)
                return replace(hold, step="send")
            if hold.step == "look_up" and follows == "review":
                lost = Evidence(source="fetched", state="unknown", occurred_at=ctx.now(), review="unknown")
                await apply_to(books, op, lost, via="sweeper")
                get_logger("corekit.payments").error("payments_outcome_unknown", reason=op.kind)
            await self._expire(books, op)
            self._later(ctx, op, check_after(hold.provider.capabilities, op.checks))
            return None

    async def not_attempted(self, hold: Hold, why: NotAttempted) -> None:
        """Keep that nothing was sent, and when to send again."""
        async with self.caller(hold.tenant).begin() as ctx:
            op = (await lock_of(ctx, hold.operation)).operation(hold.operation)
            if op.lock_token != hold.token:
                return
            if hold.step == "send":
                op.unsent += 1
                self._later(ctx, op, retry_after(op.unsent, why.retry_after))
            else:
                after = check_after(hold.provider.capabilities, op.checks)
                self._later(ctx, op, max(after, why.retry_after or after))
        log = get_logger("corekit.payments")
        (log.error if why.refused else log.warning)("payments_not_attempted", reason=why.reason[:200])

    async def end(self, hold: Hold, evidence: Evidence, via: Via) -> None:
        """Apply what the call brought, unless the lease has passed to another since."""
        async with self.caller(hold.tenant).begin() as ctx:
            books = await lock_of(ctx, hold.operation)
            op = books.operation(hold.operation)
            if op.lock_token != hold.token:
                get_logger("corekit.payments").warning("payments_lease_lost", reason=hold.call.kind)
                return
            self._later(ctx, op, check_after(hold.provider.capabilities, op.checks))
            await apply_to(books, op, evidence, via=via)
            await self._expire(books, op)

    async def due(self, limit: int) -> list[tuple[UUID, UUID | None]]:
        """List operations that somebody should look at now, with their tenants; the longest due first."""
        async with self.caller(None).begin(readonly=True) as ctx:
            free = (OperationRow.lease_until.is_(None)) | (OperationRow.lease_until <= ctx.now())
            sendable = (OperationRow.state != "created") | OperationRow.review.is_(None)
            chosen = select(OperationRow.id, OperationRow.tenant).where(
                OperationRow.next_check_at <= ctx.now(), OperationRow.state.in_(OPEN), free, sendable
            )
            rows = await ctx.session.execute(chosen.order_by(OperationRow.next_check_at).limit(limit))
            return [(row.id, row.tenant) for row in rows]

    async def learn(self, operation: UUID, tenant: UUID | None, evidence: Evidence, via: Via) -> None:
        """Apply what somebody has learnt without a lease: the payment's lock and the ranks suffice."""
        async with self.caller(tenant).begin() as ctx:
            await apply(ctx, operation, evidence, via=via)

    async def watch(self, ctx: Context, provider: str, ref: str | None) -> None:
        """Have an open dispute looked at, where its provider can be asked for it."""
        adapter = self._providers.named(provider)
        named = (OperationRow.provider == provider) & (OperationRow.provider_ref == ref)
        op = await ctx.session.scalar(select(OperationRow).where(named, OperationRow.kind == "dispute"))
        if op is not None and op.state in OPEN and op.next_check_at is None:
            can = adapter.capabilities if adapter is not None else None
            op.next_check_at = ctx.now() + check_after(can, op.checks) if can is not None and can.disputes else None

    @property
    def _window(self) -> timedelta:
        return timedelta(seconds=self._settings.key_window)

    def _lease(self, ctx: Context, op: OperationRow) -> None:
        op.lease_until = op.next_check_at = ctx.now() + timedelta(seconds=self._settings.operation_lease)

    def _send(self, ctx: Context, op: OperationRow) -> None:
        """Commit to a sending: from here on it may have happened."""
        if op.state == "created":
            op.state = "sending"
        op.sends += 1
        op.sent_at = op.updated_at = ctx.now()

    def _later(self, ctx: Context, op: OperationRow, after: timedelta) -> None:
        """Give the lease back; what is still open is looked at again."""
        op.lease_until = None
        op.next_check_at = ctx.now() + after if op.state in OPEN else None
        op.checks += 1

    async def _expire(self, books: Books, op: OperationRow) -> None:
        """End what waited for the payer for too long; it has just been looked at."""
        ctx = books.ctx
        limit = op.expires_at or op.created_at + timedelta(seconds=self._settings.action_ttl)
        if op.state == "requires_action" and limit <= ctx.now():
            over = Evidence(source="local", state="canceled", occurred_at=ctx.now())
            await apply_to(books, op, over, via="sweeper")

    async def _call(self, books: Books, op: OperationRow) -> ProviderCall:
        attempt = await books.ctx.session.get_one(AttemptRow, op.attempt_id)
        first = next(one for one in books.operations if one.attempt_id == op.attempt_id and one.kind == "authorize")
        return ProviderCall(
            key=op.provider_key, reference=op.reference, kind=op.kind, amount=Money(op.amount, books.payment.currency),
            payment=typeid("pay", books.payment.id), method=_method(attempt) if op is first else None,
            provider_ref=op.provider_ref or first.provider_ref, capture_method=books.payment.capture_method,
            final=op.final, reason=op.reason, return_url=books.payment.return_url, challenge=attempt.challenge,
        )  # fmt: skip


def _method(attempt: AttemptRow) -> Method:
    match attempt.method_type:
        case "token":
            return TokenMethod(token=attempt.method_token or "")
        case "card":
            return CardMethod(token=attempt.method_token or "")
        case "redirect":
            return RedirectMethod(name=attempt.method_token or "")
    return _METHODS[attempt.method_type]()
