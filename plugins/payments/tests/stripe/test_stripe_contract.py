"""The contract suite over Stripe's adapter, before the strict stand-in behind a door: it can judge every row."""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit

import httpx
import pytest
import stripe
from stripe_stand_in import KEY, StandIn  # beside this file

from corekit.contracts.payments import CardMethod, Method, RedirectMethod
from corekit.settings import Secret
from corekit.testing import Door, FakeClock
from corekit.testing.payments import ProviderContract, ProviderRig, Row, Trouble, Verb
from corekit_payments.stripe.line import Line
from corekit_payments.stripe.provider import StripeProvider

OLD, NOW_USED = "whsec_old", "whsec_now_used"
FAULTS: Mapping[Trouble, str] = {
    "unauthorized": "401", "forbidden": "403", "throttled": "429", "timeout": "hang", "dropped": "drop",
    "fault": "stored_500", "unreadable": "html_200", "too_long": "huge", "redirect": "302", "in_progress": "409",
    "mismatch": "mismatch", "invalid": "invalid", "unmapped": "unmapped",
}  # fmt: skip
DECLINE = {"type": "card_error", "code": "card_declined", "decline_code": "generic_decline"}


class StripeRig:
    """The adapter; the payer's card is known, or their client goes on with the form."""

    currency, secrets = "INR", (KEY, OLD, NOW_USED)
    unjudged: Mapping[Row, str] = {}

    def __init__(self, service: StandIn, door: Door, clock: FakeClock, method: Method) -> None:
        self._line = Line(Secret(KEY), door.url)
        self.provider = StripeProvider("cards", self._line, clock, [Secret(OLD), Secret(NOW_USED)])
        self.method = method
        places = [urlsplit(url) for url in (door.url, service.address)]  # the door connects in this process too
        self.addresses = frozenset((one.hostname or "", one.port or 0) for one in places)
        self._service, self._door, self._clock = service, door, clock

    @asynccontextmanager
    async def trouble(self, kind: Trouble, verb: Verb) -> AsyncGenerator[Method]:  # every verb meets it
        if kind == "declined":
            self._service.declines["pm_no"] = DECLINE
            yield CardMethod(token="pm_no")
            return
        if kind == "unreachable":
            await self._door.shut()
        else:
            self._service.fail(FAULTS[kind])
        with self._impatient(kind):
            yield self.method
        assert self._service.faults == [], "it has met it"

    @contextmanager
    def _impatient(self, kind: Trouble) -> Iterator[None]:
        """Wait for an answer that never comes no longer than a test may."""
        http = self._line._wire._http
        patient = http.timeout
        if kind == "timeout":
            http.timeout = httpx.Timeout(20, read=0.3)
        yield
        http.timeout = patient

    async def approve(self, ref: str) -> None:
        self._service._charge(self._service.objects[ref])

    def effects(self) -> list[tuple[str, int]]:
        return list(self._service.moved)

    def notices(self) -> list[tuple[dict[str, str], bytes]]:
        return [self._notice(number, one) for number, one in enumerate(self._service.made("payment_intent"))]

    def _notice(self, number: int, of: object) -> tuple[dict[str, str], bytes]:
        """Have the SDK sign one."""
        event = {"id": f"evt_{number}", "object": "event", "type": "payment_intent.succeeded", "livemode": False}
        body = json.dumps({**event, "created": 1893456000, "data": {"object": of}})
        at = int(self._clock.now().timestamp())
        header = stripe.WebhookSignature.generate_signature_header(body, NOW_USED, at)
        return {"stripe-signature": header}, body.encode()

    async def close(self) -> None:
        await self._line.close()


class TestStripe(ProviderContract):
    """Paid by a card that is known, and by the form."""

    @pytest.fixture(params=[CardMethod(token="pm_ok"), RedirectMethod(name="elements")], ids=["card", "form"])
    async def rig(
        self, request: pytest.FixtureRequest, stand_in: StandIn, clock: FakeClock
    ) -> AsyncGenerator[ProviderRig]:
        async with Door(stand_in.address) as door:
            rig = StripeRig(stand_in, door, clock, request.param)
            yield rig
            await rig.close()
