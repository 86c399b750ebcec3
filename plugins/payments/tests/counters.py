"""A kit with payments behind HTTP, and people who come to its counter."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from generous import GENEROUS  # beside this file

from corekit.context import Actor
from corekit.contracts.auth import Denied, authenticate
from corekit.data import DatabaseSettings
from corekit.hooks import implements
from corekit.kit import Corekit
from corekit.plugin import Plugin
from corekit.settings import Settings
from corekit.testing import FakeClock, make_kit
from corekit.web import create_app
from corekit_payments import PaymentsPlugin, PaymentsSettings
from corekit_payments.requesting import Requests
from corekit_payments.sandbox import Journal, journal_of

BASE = "/payments/v1/payments"
LOST = {"tok_lost_before", "tok_lost_after", "tok_stored_500", "tok_slow_lookup"}  # nobody knows until a later look
PEOPLE = ("alice", "bob", "clara", "sue", "rita", "olga", "frida")
STAFF = {"clara": "cashier", "sue": "support", "rita": "reviewer", "olga": "operator", "frida": "guardian"}
ACCESS = {
    "roles": {
        "cashier": ["payments:payment:capture", "payments:refund:create"],
        "support": ["payments:payment:read"],
        "reviewer": ["payments:payment:review"],
        "guardian": ["payments:fraud:manage"],
        "operator": ["payments:recon:resolve", "payments:ledger:read"],
    },
    "grants": {str(Actor(who).id): [role] for who, role in STAFF.items()},
}


class NamesPlugin(Plugin[Settings]):
    """Accepts the name of a person as their bearer token."""

    name = "names"

    @implements(authenticate)
    async def by_name(self, token: str) -> Actor | Denied | None:
        return Actor(token) if token in PEOPLE else Denied("invalid")


class Counter:
    """A shop's counter: requests of people, and what the sandbox has done."""

    def __init__(self, kit: Corekit, http: httpx.AsyncClient) -> None:
        self.kit, self.http = kit, http

    async def post(self, path: str, body: Any, who: str = "alice", key: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {who}", "Idempotency-Key": key or str(uuid4())}
        return await self.http.post(f"{BASE}{path}", json=body, headers=headers)

    async def get(self, path: str, who: str = "alice", **params: Any) -> httpx.Response:
        return await self.http.get(f"{BASE}{path}", headers={"Authorization": f"Bearer {who}"}, params=params)

    async def pay(
        self, means: str = "tok_ok", who: str = "alice", key: str | None = None, **more: Any
    ) -> httpx.Response:
        with self.impatient() if means in LOST else nullcontext():
            return await self.post("", payment(means, **more), who, key)

    @contextmanager
    def impatient(self) -> Iterator[None]:
        """Wait no longer than this for what is not decided soon, although a busy machine may need longer."""
        requests = self.kit.get(Requests)
        before, requests._wait = requests._wait, 3.0
        yield
        requests._wait = before

    def effects(self) -> list[tuple[str, int]]:
        journal = Journal(journal_of(self.kit.database.data_dir, "sandbox"))
        return [(one.kind, one.amount) for one in journal.effects()]


def payment(means: str = "tok_ok", **more: Any) -> dict[str, Any]:
    return {
        "amount": {"amount": 1000, "currency": "INR"},
        "method": {"type": "token", "token": means},
        "confirm": True,
        **more,
    }


@asynccontextmanager
async def opened(
    database: DatabaseSettings,
    folder: Path,
    clock: FakeClock,
    *plugins: Plugin[Any],
    worker: bool = False,
    **more: Any,
) -> AsyncGenerator[Counter]:
    """Open a counter; what is in hand is driven by requests alone."""
    payments = PaymentsPlugin(PaymentsSettings(**{"sweep": False, "request_timeout": 30.0, "fraud": GENEROUS, **more}))
    settings: dict[str, Any] = {"jobs": {"worker": worker}, "access": ACCESS}
    every = [payments, NamesPlugin(), *plugins]
    async with make_kit(every, database=database, tmp_path=folder, clock=clock, settings=settings) as kit:
        transport = httpx.ASGITransport(create_app(kit, lifespan=False))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            yield Counter(kit, http)
