"""The contract suite over the providers that come with payments."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import pytest
from razorpay_standin import LOGIN, WEBHOOK, StandIn

from corekit.contracts.payments import Method, ProviderSettings, TokenMethod, UpiIntentMethod
from corekit.settings import Secret
from corekit.testing import Door, FakeClock
from corekit.testing.payments import ProviderContract, ProviderRig, Row, Trouble, Verb
from corekit_payments.calling import Line
from corekit_payments.razorpay import Razorpay
from corekit_payments.sandbox import Journal, Sandbox

TOKENS: dict[Trouble, str] = {
    "timeout": "tok_lost_before", "dropped": "tok_lost_after", "fault": "tok_stored_500", "invalid": "tok_nobody_knows",
    "declined": "tok_declined",
}  # fmt: skip


class SandboxRig:
    """The sandbox, whose trouble comes from tokens."""

    currency, secrets = "INR", ()
    addresses: frozenset[tuple[str, int]] = frozenset()
    unjudged: Mapping[Row, str] = {
        (kind, verb): "it has no network, and its trouble comes from the token of a payment"
        for kind, verb in product(get_args(Trouble), get_args(Verb))
        if verb != "create" or kind not in TOKENS
    }
    method: Method

    def __init__(self, journal: Journal, means: str) -> None:
        self.provider = Sandbox("sandbox", journal, FakeClock())
        self.method = TokenMethod(token=means)
        self._journal = journal

    @asynccontextmanager
    async def trouble(self, kind: Trouble, verb: Verb) -> AsyncGenerator[TokenMethod]:
        assert verb == "create"
        yield TokenMethod(token=TOKENS[kind])

    async def approve(self, ref: str) -> None:
        await self.provider.decide(ref, approve=True)

    def effects(self) -> list[tuple[str, int]]:
        return [(one.kind, one.amount) for one in self._journal.effects()]

    def notices(self) -> list[tuple[dict[str, str], bytes]]:
        return self.provider.notices()


class TestSandbox(ProviderContract):
    """The sandbox, paid at once and after the payer has acted."""

    @pytest.fixture(params=["tok_ok", "tok_upi_qr"])
    def rig(self, request: pytest.FixtureRequest, tmp_path: Path) -> ProviderRig:
        return SandboxRig(Journal(tmp_path / "sandbox.db"), request.param)


class RazorpayRig:
    """Razorpay's adapter before a stand-in, behind a door that can be shut."""

    currency, secrets = "INR", (LOGIN[1], WEBHOOK)
    method: Method = UpiIntentMethod()
    unjudged: Mapping[Row, str] = {}

    def __init__(self, service: StandIn, door: Door) -> None:
        settings = ProviderSettings(
            kind="razorpay", name="shop_in", key_id=LOGIN[0], webhook_secrets=(Secret("old"), Secret(WEBHOOK)),
            contact="+919999999999", email="shop@example.com",
        )  # fmt: skip
        self.provider = Razorpay(settings, Line(door.url, LOGIN, timeout=1.5), FakeClock(), timedelta(days=1))
        places = [urlsplit(url) for url in (door.url, service.url)]  # the door connects in this process too
        self.addresses = frozenset((one.hostname or "", one.port or 0) for one in places)
        self._service, self._door = service, door

    @asynccontextmanager
    async def trouble(self, kind: Trouble, verb: Verb) -> AsyncGenerator[Method]:  # every verb meets it
        if kind == "unreachable":
            await self._door.shut()
        self._service.trouble = kind
        yield self.method
        self._service.trouble = ""

    async def approve(self, ref: str) -> None:
        self._service.pay(ref)

    def effects(self) -> list[tuple[str, int]]:
        return list(self._service.moved)

    def notices(self) -> list[tuple[dict[str, str], bytes]]:
        return [self._service.notice("payment.captured", payment=one) for one in self._service.payments.values()]


class TestRazorpay(ProviderContract):
    """Razorpay's adapter, paid by a link."""

    @pytest.fixture
    async def rig(self) -> AsyncGenerator[ProviderRig]:
        async with StandIn() as service, Door(service.url) as door:
            rig = RazorpayRig(service, door)
            yield rig
            await rig.provider.close()


class SilentRig(SandboxRig):
    """Leaves rows out and does not say so."""

    unjudged: Mapping[Row, str] = {}

    @asynccontextmanager
    async def trouble(self, kind: Trouble, verb: Verb) -> AsyncGenerator[TokenMethod]:
        pytest.skip(f"no {kind} at {verb}")
        yield TokenMethod(token="tok_ok")

    def notices(self) -> list[tuple[dict[str, str], bytes]]:
        return []


async def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    """Red when a rig can skip a row, or have nothing to show in it, without saying so."""
    suite, silent = ProviderContract(), SilentRig(Journal(tmp_path / "sandbox.db"), "tok_ok")
    with pytest.raises(pytest.fail.Exception, match="throttled at refund is left out"):
        await suite.test_what_was_not_attempted(silent, "throttled", "refund")
    with pytest.raises(pytest.fail.Exception, match="what happened is told of"):
        await suite.test_only_its_own_notices_are_read(silent)
    silent.unjudged = {("throttled", "refund"): "because", "notices": "none of ours"}
    with pytest.raises(pytest.skip.Exception, match="cannot judge throttled at refund: because"):
        await suite.test_what_was_not_attempted(silent, "throttled", "refund")
    with pytest.raises(pytest.skip.Exception, match="cannot judge notices: none of ours"):
        await suite.test_only_its_own_notices_are_read(silent)
