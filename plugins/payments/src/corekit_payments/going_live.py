"""Which instances move real money, as the audit log remembers it: an entry where one begins to, and where it stops."""

from collections.abc import Iterable

import msgspec
from sqlalchemy import text

from corekit.context import Context, Kit
from corekit.contracts.audit import Audit, AuditQuery, Target
from corekit_payments.live import live_instances
from corekit_payments.models import PURPOSE
from corekit_payments.settings import PaymentsSettings

ENABLED, DISABLED = "payments.provider.live_enabled", "payments.provider.live_disabled"
_TARGET = "payment_provider"
_LOCK = 0x706179_6C697665  # "paylive": processes that start together write one entry


async def record_live(kit: Kit, settings: PaymentsSettings) -> None:
    """Write down what has changed since the last start: nothing, as a rule, which a look finds out."""
    live = live_instances(settings)
    system = kit.caller().system(PURPOSE)
    async with system.begin(readonly=True) as ctx:
        if await _remembered(ctx) == live:
            return
    async with system.begin() as ctx:
        if kit.database.dialect == "postgresql":  # SQLite has one writer
            await ctx.session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        before = await _remembered(ctx)
        await _record(ctx, ENABLED, live - before, settings)
        await _record(ctx, DISABLED, before - live, settings)


async def _remembered(ctx: Context) -> frozenset[str]:
    """Name the instances whose last entry says that they are live."""
    last: dict[str, bool] = {}
    query: AuditQuery | None = AuditQuery(actions=(ENABLED, DISABLED), target=Target(_TARGET, ""), limit=200)
    while query is not None:
        page = await ctx.get(Audit).find(ctx, query)
        for entry in page.items:  # the newest first
            if entry.target is not None:
                last.setdefault(str(entry.target.id), entry.action == ENABLED)
        query = msgspec.structs.replace(query, cursor=page.next) if page.next else None
    return frozenset(name for name, live in last.items() if live)


async def _record(ctx: Context, action: str, names: Iterable[str], settings: PaymentsSettings) -> None:
    for name in sorted(names):
        instance = settings.providers.get(name)
        details = {"kind": instance.kind, "enabled": instance.enabled} if instance is not None else {}
        await ctx.get(Audit).record(ctx, action, target=Target(_TARGET, name), details=details)
