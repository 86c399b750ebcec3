"""How fast a provider's list is held against the books, and how much memory that takes, on both databases.

`uv run python benchmarks/reconcile.py`: the first run marks what it finds, the second one finds everything as it was.
"""

import asyncio
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from corekit import Actor, Corekit
from corekit.contracts.payments import Evidence, Provider, ProviderSettings, payment_providers
from corekit.data import DatabaseSettings
from corekit.hooks import implements
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit.testing import FakeClock, PostgresServer, make_kit
from corekit.values import Money, uuid7
from corekit_payments import PaymentsPlugin, PaymentsSettings
from corekit_payments.models import AttemptRow, OperationRow, PaymentRow
from corekit_payments.recon import Reconciliation
from corekit_payments.sandbox import Journal, Sandbox

ROWS, CHUNK = 5_000, 500
NOW = datetime(2030, 1, 1, tzinfo=UTC)
ALICE = Actor("alice")
ZERO = dict.fromkeys(("capture_pending", "refunded", "refund_pending", "disputed"), 0)


class Listed(Sandbox):
    """Lists what the books have, as it streams in."""

    async def list_since(self, cursor: str) -> AsyncIterator[Evidence]:  # noqa: ARG002
        """Return each authorisation."""
        money = Money(1000, "INR")
        for n in range(ROWS):
            yield Evidence(
                source="fetched", state="succeeded", occurred_at=NOW, provider_ref=f"r{n}", amount=money, captured=money
            )


class ListedPlugin(Plugin[Settings]):
    """Brings it."""

    name = "listed"

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        super().__init__()
        self.provider = Listed("listed", Journal(folder / "listed.db"), clock)

    @implements(payment_providers)
    async def bring(self, settings: ProviderSettings) -> Sequence[Provider] | None:
        """Bring the instance."""
        return [self.provider] if settings.kind == "listed" else None


async def fill(kit: Corekit) -> None:
    """Store payments that were authorised and captured at once."""
    made = {"created_at": NOW, "updated_at": NOW}
    op = {"final": True, "state": "succeeded", "surplus": False, "superseded": False, "reason": "", "sends": 1,
          "unsent": 0, "checks": 0, "lock_token": 1, "seen": [], "amount": 1000, "provider": "listed"}  # fmt: skip
    for start in range(0, ROWS, CHUNK):
        async with kit.caller(ALICE).system("payments").begin() as ctx:
            for n in range(start, start + CHUNK):
                payment, attempt = uuid7(), uuid7()
                ctx.session.add(PaymentRow(
                    id=payment, payer=ALICE.id, amount=1000, currency="INR", capture_method="automatic",
                    status="succeeded", refund_status="none", dispute_status="none", authorized=1000, captured=1000,
                    max_attempts=5, details={}, version=2, provider="listed", **ZERO, **made,
                ))  # fmt: skip
                await ctx.session.flush()
                ctx.session.add(AttemptRow(
                    id=attempt, payment_id=payment, n=1, payer=ALICE.id, method_type="token", address="", agent="",
                    device="", created_at=NOW,
                ))  # fmt: skip
                await ctx.session.flush()
                for seq, kind in enumerate(("authorize", "capture"), 1):
                    names = {"provider_key": f"{kind}{n}", "reference": f"{kind}-{n}", "provider_ref": f"r{n}"}
                    ids = {"id": uuid7(), "payment_id": payment, "attempt_id": attempt}
                    ctx.session.add(OperationRow(kind=kind, seq=seq, **ids, **names, **op, **made))


async def measure(kit: Corekit, plugin: ListedPlugin, clock: FakeClock, name: str) -> None:
    """Run twice and tell."""
    await fill(kit)
    clock.move(60)
    for what in ("first", "again"):
        started = time.perf_counter()
        run = await kit.get(Reconciliation).run("listing", plugin.provider)
        rate = ROWS / (time.perf_counter() - started) * 60
        assert run is not None
        assert dict(run.counts) == {"listed": ROWS, "agreed": ROWS}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{name:<11} {what}: {rate:>9,.0f} rows/min, at most {peak:.0f} MiB in the process")
        clock.move(60)


async def main(postgresql: DatabaseSettings) -> None:
    """Measure both databases."""
    settings = {"jobs": {"worker": False}}
    instances = {"listed": ProviderSettings(kind="listed")}
    with tempfile.TemporaryDirectory() as folder:
        for name, database in (("sqlite", None), ("postgresql", postgresql)):
            clock, place = FakeClock(NOW + timedelta(minutes=1)), Path(folder) / name
            place.mkdir()
            plugin = ListedPlugin(place, clock)
            plugins = [PaymentsPlugin(PaymentsSettings(sweep=False, providers=instances)), plugin]
            made = make_kit(plugins, database=database, tmp_path=place, clock=clock, settings=settings)
            async with made as kit:
                await measure(kit, plugin, clock, name)


if __name__ == "__main__":
    with PostgresServer.started() as server, server.database() as url:
        asyncio.run(main(asyncio.run(server.settings(url))))
