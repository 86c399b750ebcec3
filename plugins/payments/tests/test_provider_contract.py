"""The contract suite over the providers that come with payments."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from corekit.contracts.payments import TokenMethod
from corekit.testing import FakeClock
from corekit.testing.payments import ProviderContract, ProviderRig, Trouble, Verb
from corekit_payments.sandbox import Journal, Sandbox

TOKENS: dict[Trouble, str] = {
    "timeout": "tok_lost_before", "dropped": "tok_lost_after", "fault": "tok_stored_500", "invalid": "tok_nobody_knows",
    "declined": "tok_declined",
}  # fmt: skip


class SandboxRig:
    """The sandbox, whose trouble comes from tokens."""

    currency, address, secrets = "INR", None, ()

    def __init__(self, journal: Journal, means: str) -> None:
        self.provider = Sandbox("sandbox", journal, FakeClock())
        self.method = TokenMethod(token=means)
        self._journal = journal

    @asynccontextmanager
    async def trouble(self, kind: Trouble, verb: Verb) -> AsyncGenerator[TokenMethod]:
        if verb != "create" or kind not in TOKENS:
            pytest.skip("it has no network")
        yield TokenMethod(token=TOKENS[kind])

    async def approve(self, ref: str) -> None:
        await self.provider.decide(ref, approve=True)

    def effects(self) -> list[tuple[str, int]]:
        return [(one.kind, one.amount) for one in self._journal.effects()]

    def notices(self) -> list[tuple[dict[str, str], bytes]]:
        return []


class TestSandbox(ProviderContract):
    """The sandbox, paid at once and after the payer has acted."""

    @pytest.fixture(params=["tok_ok", "tok_upi_qr"])
    def rig(self, request: pytest.FixtureRequest, tmp_path: Path) -> ProviderRig:
        return SandboxRig(Journal(tmp_path / "sandbox.db"), request.param)
